package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * FNINIT, FLDCW and the images of FNSTENV and FNSAVE (SDM vol. 1, "x87 State Save Area"): seven words of 16 or 32 bits,
 * and behind them, for FNSAVE, the eight registers of 10 bytes in stack order.
 * <pre>
 *  word     protected mode               real and virtual-8086 mode
 *   0 1 2   FCW, FSW, FTW                the same
 *   3       FIP                          FIP 15:0
 *   4       FOP 26:16 | FCS 15:0         FIP 31:16 in 27:12 | FOP 10:0
 *   5       FDP                          FDP 15:0
 *   6       FDS                          FDP 31:16 in 27:12
 * </pre>
 * With 16 bits, word 4 has no opcode in protected mode, and four bits of the pointers in real mode. Unused upper halves
 * are all ones. FCS and FDS are 0.
 */
final class FpuEnvironment {
  private static final int WORDS = 7;
  private static final int REGISTER_BYTES = 10;
  private static final int OPCODE = 0x7FF;
  private static final int UNUSED = 0xFFFF_0000;
  private static final int EMPTY = 3;
  private static final int SPECIAL = 2;
  private static final int ZERO = 1;
  private static final int EXPONENT = 0x7FFF;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final FpuState state;
  private final long[] words = new long[WORDS];
  private final long[] significands = new long[Cpu.FPU_REGISTERS];
  private final int[] exponents = new int[Cpu.FPU_REGISTERS];

  FpuEnvironment(Cpu cpu, LinearMemory linear, Operands operands, FpuState state) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.state = state;
  }

  /** FNINIT. */
  void initialize() {
    cpu.fpuControl = FpuWord.INITIAL_CONTROL;
    cpu.fpuStatus = 0;
    cpu.fpuValid = 0;
    cpu.fpuInstruction = 0;
    cpu.fpuData = 0;
    cpu.fpuOpcode = 0;
  }

  int loadControl(Instruction insn) {
    int status = operands.loadRm(insn, 2);
    if (status == Status.OK) {
      control((int) cpu.value);
    }
    return status;
  }

  private void control(int word) {
    cpu.fpuControl = word & FpuWord.CONTROL_WRITABLE | FpuWord.CONTROL_FIXED;
  }

  private static int wordSize(Instruction insn) {
    return insn.operandSize == 2 ? 2 : 4;
  }

  private boolean real() {
    return (cpu.codeMode & Cpu.MODE_REAL) != 0;
  }

  /** FNSTENV, which then masks all exceptions, or FNSAVE, which then initializes. */
  int store(Instruction insn, boolean registers) {
    int size = wordSize(insn);
    int bytes = WORDS * size + (registers ? Cpu.FPU_REGISTERS * REGISTER_BYTES : 0);
    int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), bytes, true);
    @Gva long gva = cpu.linear;
    if (status == Status.OK) {
      status = Operands.aligned(cpu, gva, size);
    }
    if (status == Status.OK) {
      status = linear.probe(gva, bytes, cpu.mmu.dataAccess | Access.WRITE);
    }
    if (status < 0) {
      return status;
    }
    collect(size);
    for (int i = 0; i < WORDS && status == Status.OK; i++) {
      status = linear.store(gva + i * size, size, words[i]);
    }
    for (int i = 0; registers && i < Cpu.FPU_REGISTERS && status == Status.OK; i++) {
      @Gva long at = gva + WORDS * size + REGISTER_BYTES * i;
      status = linear.store(at, 8, state.significand(i));
      if (status == Status.OK) {
        status = linear.store(at + 8, 2, state.exponent(i));
      }
    }
    if (status == Status.OK && registers) {
      initialize();
    } else if (status == Status.OK) {
      cpu.fpuControl |= FpuWord.FLAGS;
    }
    return status;
  }

  private void collect(int size) {
    int unused = size == 4 ? UNUSED : 0;
    words[0] = cpu.fpuControl | unused;
    words[1] = FpuWord.visible(cpu.fpuStatus, cpu.fpuControl) | unused;
    words[2] = tags() | unused;
    words[3] = cpu.fpuInstruction;
    words[5] = cpu.fpuData;
    if (!real()) {
      words[4] = size == 4 ? (long) cpu.fpuOpcode << 16 : 0;
      words[6] = unused;
    } else if (size == 4) {
      words[3] = cpu.fpuInstruction & 0xFFFF | unused;
      words[4] = (cpu.fpuInstruction >>> 16 & 0xFFFF) << 12 | cpu.fpuOpcode;
      words[5] = cpu.fpuData & 0xFFFF | unused;
      words[6] = (cpu.fpuData >>> 16 & 0xFFFF) << 12;
    } else {
      words[4] = (cpu.fpuInstruction >>> 16 & 0xF) << 12 | cpu.fpuOpcode;
      words[6] = (cpu.fpuData >>> 16 & 0xF) << 12;
    }
  }

  /** The tag word: two bits for each physical register. */
  private int tags() {
    int tags = 0;
    for (int register = 0; register < Cpu.FPU_REGISTERS; register++) {
      int exponent = cpu.fpuExponent[register] & EXPONENT;
      long significand = cpu.fpuSignificand[register];
      int tag = (cpu.fpuValid >>> register & 1) == 0 ? EMPTY
          : exponent == 0 && significand == 0 ? ZERO
          : exponent == 0 || exponent == EXPONENT || significand >= 0 ? SPECIAL : 0;
      tags |= tag << 2 * register;
    }
    return tags;
  }

  /** FLDENV or FRSTOR. */
  int load(Instruction insn, boolean registers) {
    int size = wordSize(insn);
    int bytes = WORDS * size + (registers ? Cpu.FPU_REGISTERS * REGISTER_BYTES : 0);
    int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), bytes, false);
    @Gva long gva = cpu.linear;
    if (status == Status.OK) {
      status = Operands.aligned(cpu, gva, size);
    }
    if (status == Status.OK) {
      status = linear.probe(gva, bytes, cpu.mmu.dataAccess);
    }
    for (int i = 0; i < WORDS && status == Status.OK; i++) {
      status = linear.load(gva + i * size, size);
      words[i] = cpu.value;
    }
    for (int i = 0; registers && i < Cpu.FPU_REGISTERS && status == Status.OK; i++) {
      @Gva long at = gva + WORDS * size + REGISTER_BYTES * i;
      status = linear.load(at, 8);
      significands[i] = cpu.value;
      if (status == Status.OK) {
        status = linear.load(at + 8, 2);
        exponents[i] = (int) cpu.value;
      }
    }
    if (status < 0) {
      return status;
    }
    distribute(size);
    for (int i = 0; registers && i < Cpu.FPU_REGISTERS; i++) {
      int register = state.physical(i);
      cpu.fpuSignificand[register] = significands[i];
      cpu.fpuExponent[register] = exponents[i];
    }
    return Status.OK;
  }

  private void distribute(int size) {
    control((int) words[0]);
    cpu.fpuStatus = (int) words[1] & 0xFFFF & ~(FpuWord.ES | FpuWord.B);
    cpu.fpuValid = 0;
    for (int register = 0; register < Cpu.FPU_REGISTERS; register++) {
      cpu.fpuValid |= (words[2] >>> 2 * register & 3) == EMPTY ? 0 : 1 << register;
    }
    cpu.fpuInstruction = words[3];
    cpu.fpuData = words[5];
    if (!real()) {
      cpu.fpuOpcode = size == 4 ? (int) (words[4] >>> 16) & OPCODE : 0;
    } else {
      long upper = size == 4 ? 0xFFFF : 0xF;
      cpu.fpuInstruction = words[3] & 0xFFFF | (words[4] >>> 12 & upper) << 16;
      cpu.fpuData = words[5] & 0xFFFF | (words[6] >>> 12 & upper) << 16;
      cpu.fpuOpcode = (int) words[4] & OPCODE;
    }
  }
}
