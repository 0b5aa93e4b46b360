package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.fp.X87Float;

/**
 * The x87 registers in {@link Cpu}, as a stack to the x87 unit and as plain registers to MMX (SDM vol. 1, "x87 FPU Data
 * Registers"; vol. 3A, "Effect of MMX Instructions on the x87 FPU State").
 */
final class FpuState {
  private static final int ALL_VALID = 0xFF;
  /** Sign and exponent of a register that MMX has written. */
  private static final int MMX_EXPONENT = 0xFFFF;
  private static final int PRE_COMPUTATION = X87Float.INVALID | X87Float.DENORMAL | X87Float.ZERO_DIVIDE;

  private final Cpu cpu;

  FpuState(Cpu cpu) {
    this.cpu = cpu;
  }

  /** MMX register: the significand of the physical register of that number. */
  long mmx(int number) {
    return cpu.fpuSignificand[number];
  }

  void setMmx(int number, long value) {
    cpu.fpuSignificand[number] = value;
    cpu.fpuExponent[number] = MMX_EXPONENT;
  }

  /** What every MMX instruction but EMMS does: TOP = 0, all registers valid. */
  void enterMmx() {
    cpu.fpuStatus &= ~FpuWord.TOP;
    cpu.fpuValid = ALL_VALID;
  }

  /** EMMS: all registers empty. */
  void leaveMmx() {
    cpu.fpuStatus &= ~FpuWord.TOP;
    cpu.fpuValid = 0;
  }

  /**
   * Whether the next waiting instruction raises #MF. With CR0.NE = 0 it asserts FERR# instead, which reaches the
   * interrupt controller as IRQ 13, and goes on: the processor would stop until the interrupt, but as in QEMU this one
   * is taken behind the instruction.
   */
  boolean exceptionPending() {
    boolean unmasked = FpuWord.unmasked(cpu.fpuStatus, cpu.fpuControl);
    if ((cpu.cr0 & ControlRegister.CR0_NE) != 0) {
      return unmasked;
    }
    if (!unmasked) {
      cpu.ignoresCoprocessorError = false;
    } else if (!cpu.ignoresCoprocessorError) {
      cpu.bus.coprocessorError();
    }
    return false;
  }

  /** Physical number of ST(i). */
  int physical(int i) {
    return (cpu.fpuStatus >>> FpuWord.TOP_SHIFT) + i & Cpu.FPU_REGISTERS - 1;
  }

  boolean empty(int i) {
    return (cpu.fpuValid >>> physical(i) & 1) == 0;
  }

  int exponent(int i) {
    return cpu.fpuExponent[physical(i)];
  }

  long significand(int i) {
    return cpu.fpuSignificand[physical(i)];
  }

  void set(int i, int signExponent, long significand) {
    int register = physical(i);
    cpu.fpuExponent[register] = signExponent;
    cpu.fpuSignificand[register] = significand;
    cpu.fpuValid |= 1 << register;
  }

  void free(int i) {
    cpu.fpuValid &= ~(1 << physical(i));
  }

  /** Moves TOP: +1 or −1. */
  void turn(int by) {
    int top = physical(by);
    cpu.fpuStatus = cpu.fpuStatus & ~FpuWord.TOP | top << FpuWord.TOP_SHIFT;
  }

  void pop() {
    free(0);
    turn(1);
  }

  void push(int signExponent, long significand) {
    turn(-1);
    set(0, signExponent, significand);
  }

  void conditions(int bits) {
    cpu.fpuStatus = cpu.fpuStatus & ~(FpuWord.C0 | FpuWord.C1 | FpuWord.C2 | FpuWord.C3) | bits;
  }

  /** Sets or clears C1. */
  void roundedUp(boolean up) {
    cpu.fpuStatus = up ? cpu.fpuStatus | FpuWord.C1 : cpu.fpuStatus & ~FpuWord.C1;
  }

  /** Sets the flags that arithmetic raised, and C1. @return as {@link #raise} */
  boolean accept(X87Float unit) {
    boolean accepted = raise(unit);
    roundedUp(accepted && (unit.flags & X87Float.PRECISION) != 0 && unit.roundedUp());
    return accepted;
  }

  /**
   * Sets the flags that arithmetic raised.
   *
   * @return whether its result is to be written: no operand raised an unmasked exception
   */
  boolean raise(X87Float unit) {
    int raised = unit.flags;
    boolean refused = (raised & ~cpu.fpuControl & PRE_COMPUTATION) != 0;
    if (refused) {
      raised &= PRE_COMPUTATION;
    }
    cpu.fpuStatus |= raised;
    return !refused;
  }

  /** Stack overflow or underflow. @return whether it is masked, so that the result is the indefinite */
  boolean stackFault(boolean overflow) {
    cpu.fpuStatus |= X87Float.INVALID | FpuWord.SF;
    roundedUp(overflow);
    return (cpu.fpuControl & X87Float.INVALID) != 0;
  }
}
