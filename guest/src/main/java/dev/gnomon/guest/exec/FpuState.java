package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;

/** The x87 registers in {@link Cpu}, as the x87 unit and as MMX sees them (SDM vol. 3A, "Effect of MMX Instructions on the x87 FPU State"). */
final class FpuState {
  private static final int ALL_VALID = 0xFF;
  /** Sign and exponent of a register that MMX has written. */
  private static final int MMX_EXPONENT = 0xFFFF;

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
   * Whether the next waiting instruction raises #MF. With CR0.NE = 0 the processor would signal FERR# to the interrupt controller instead; that line
   * does not exist here, and the exception stays pending.
   */
  boolean exceptionPending() {
    return (cpu.cr0 & ControlRegister.CR0_NE) != 0 && FpuWord.unmasked(cpu.fpuStatus, cpu.fpuControl);
  }
}
