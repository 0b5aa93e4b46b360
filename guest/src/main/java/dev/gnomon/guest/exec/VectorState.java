package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Mxcsr;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, EMMS, MASKMOVQ and MASKMOVDQU, which run alone. The image of FXSAVE (SDM vol. 2A,
 * "FXSAVE"), by 8-byte words:
 * <pre>
 *  byte  0   FOP | tags | FSW | FCW          63:48 47:40 39:32 31:16 15:0
 *        8   FIP, with REX.W 64 bits         otherwise 32 bits, FCS is 0
 *       16   FDP, the same
 *       24   MXCSR_MASK | MXCSR
 *       32   ST(0) to ST(7), 16 bytes each
 *      160   XMM0 to XMM15, outside 64-bit mode to XMM7
 *      416   not written
 * </pre>
 * The selectors FCS and FDS are deprecated, and CPUID says so.
 */
final class VectorState {
  private static final int IMAGE_BYTES = 512;
  private static final int IMAGE_WORDS = IMAGE_BYTES / 8;
  private static final int REGISTERS = 32 / 8;
  private static final int XMM = 160 / 8;
  private static final int ALIGNMENT = 15;
  private static final int TAGS_SHIFT = 32;
  private static final int OPCODE_SHIFT = 48;
  private static final int OPCODE_BITS = 0x7FF;
  private static final int LEGACY_XMM_REGISTERS = 8;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final FpuState fpu;
  private final long[] image = new long[IMAGE_WORDS];

  VectorState(Cpu cpu, LinearMemory linear, Operands operands) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.fpu = new FpuState(cpu);
  }

  /** 0F AE /0 to /3 with a memory operand. */
  int group15(Instruction insn) {
    int group = insn.group();
    if (group >= 2) {
      return control(insn, group == 3);
    }
    if ((cpu.cr0 & (ControlRegister.CR0_EM | ControlRegister.CR0_TS)) != 0) {
      return cpu.fault(Vector.NM);
    }
    int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), IMAGE_BYTES, group == 0);
    if (status == Status.OK && (cpu.linear & ALIGNMENT) != 0) {
      status = cpu.fault(Vector.GP);
    }
    if (status == Status.OK) {
      status = group == 0 ? save(insn) : restore(insn);
    }
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** LDMXCSR and STMXCSR. */
  private int control(Instruction insn, boolean store) {
    if ((cpu.cr0 & ControlRegister.CR0_EM) != 0 || (cpu.cr4 & ControlRegister.CR4_OSFXSR) == 0) {
      return cpu.fault(Vector.UD);
    }
    if ((cpu.cr0 & ControlRegister.CR0_TS) != 0) {
      return cpu.fault(Vector.NM);
    }
    int status = store ? operands.storeRm(insn, 4, cpu.mxcsr) : operands.loadRm(insn, 4);
    if (status == Status.OK && !store) {
      if ((cpu.value & ~Mxcsr.DEFINED) != 0) {
        return cpu.fault(Vector.GP);
      }
      cpu.mxcsr = (int) cpu.value;
    }
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  private int save(Instruction insn) {
    boolean wide = (insn.rex & 8) != 0;
    long pointers = wide ? -1L : 0xFFFF_FFFFL;
    image[0] = cpu.fpuControl | (long) FpuWord.visible(cpu.fpuStatus, cpu.fpuControl) << 16
        | (long) cpu.fpuValid << TAGS_SHIFT
        | (long) cpu.fpuOpcode << OPCODE_SHIFT;
    image[1] = cpu.fpuInstruction & pointers;
    image[2] = cpu.fpuData & pointers;
    image[3] = cpu.mxcsr | (long) Mxcsr.DEFINED << 32;
    for (int i = 0; i < Cpu.FPU_REGISTERS; i++) {
      int register = physical(i);
      image[REGISTERS + 2 * i] = cpu.fpuSignificand[register];
      image[REGISTERS + 2 * i + 1] = cpu.fpuExponent[register];
    }
    int words = XMM + 2 * xmmRegisters(insn);
    System.arraycopy(cpu.xmm, 0, image, XMM, words - XMM);
    @Gva long gva = cpu.linear;
    int status = linear.probe(gva, IMAGE_BYTES, cpu.mmu.dataAccess | Access.WRITE);
    for (int i = 0; i < words && status == Status.OK; i++) {
      status = linear.store(gva + 8L * i, 8, image[i]);
    }
    return status;
  }

  private int restore(Instruction insn) {
    @Gva long gva = cpu.linear;
    int status = linear.probe(gva, IMAGE_BYTES, cpu.mmu.dataAccess);
    int words = XMM + 2 * xmmRegisters(insn);
    for (int i = 0; i < words && status == Status.OK; i++) {
      status = linear.load(gva + 8L * i, 8);
      image[i] = cpu.value;
    }
    if (status < 0) {
      return status;
    }
    int mxcsr = (int) image[3];
    if ((mxcsr & ~Mxcsr.DEFINED) != 0) {
      return cpu.fault(Vector.GP);
    }
    boolean wide = (insn.rex & 8) != 0;
    long pointers = wide ? -1L : 0xFFFF_FFFFL;
    cpu.mxcsr = mxcsr;
    cpu.fpuControl = (int) image[0] & FpuWord.CONTROL_WRITABLE | FpuWord.CONTROL_FIXED;
    cpu.fpuStatus = (int) (image[0] >>> 16) & 0xFFFF & ~(FpuWord.ES | FpuWord.B);
    cpu.fpuValid = (int) (image[0] >>> TAGS_SHIFT) & 0xFF;
    cpu.fpuOpcode = (int) (image[0] >>> OPCODE_SHIFT) & OPCODE_BITS;
    cpu.fpuInstruction = image[1] & pointers;
    cpu.fpuData = image[2] & pointers;
    for (int i = 0; i < Cpu.FPU_REGISTERS; i++) {
      int register = physical(i);
      cpu.fpuSignificand[register] = image[REGISTERS + 2 * i];
      cpu.fpuExponent[register] = (int) image[REGISTERS + 2 * i + 1] & 0xFFFF;
    }
    System.arraycopy(image, XMM, cpu.xmm, 0, words - XMM);
    return Status.OK;
  }

  private int physical(int stackRegister) {
    return (cpu.fpuStatus >>> FpuWord.TOP_SHIFT) + stackRegister & Cpu.FPU_REGISTERS - 1;
  }

  private static int xmmRegisters(Instruction insn) {
    return insn.mode64 ? Cpu.XMM_REGISTERS : LEGACY_XMM_REGISTERS;
  }

  /** 0F 77. */
  int emms(Instruction insn) {
    int status = available(false);
    if (status < 0) {
      return status;
    }
    fpu.leaveMmx();
    return ComplexInstructions.complete(cpu, insn);
  }

  private int available(boolean xmm) {
    if ((cpu.cr0 & ControlRegister.CR0_EM) != 0 || xmm && (cpu.cr4 & ControlRegister.CR4_OSFXSR) == 0) {
      return cpu.fault(Vector.UD);
    }
    if ((cpu.cr0 & ControlRegister.CR0_TS) != 0) {
      return cpu.fault(Vector.NM);
    }
    return !xmm && fpu.exceptionPending() ? cpu.fault(Vector.MF) : Status.OK;
  }

  /**
   * 0F F7: stores the bytes of a register that a mask selects, at rDI. All bytes of the operand must be writable,
   * whatever the mask; the manual leaves that open.
   */
  int maskedStore(Instruction insn) {
    boolean xmm = insn.operandPrefix;
    int status = available(xmm);
    if (status < 0) {
      return status;
    }
    int size = xmm ? 16 : 8;
    status = operands.linearize(insn.segment, Operands.zeroExtend(cpu.regs[Cpu.RDI], insn.addressSize), size, true);
    @Gva long gva = cpu.linear;
    if (status == Status.OK) {
      status = linear.probe(gva, size, cpu.mmu.dataAccess | Access.WRITE);
    }
    if (status == Status.OK) {
      status = Operands.aligned(cpu, gva, size);
    }
    for (int i = 0; i < size && status == Status.OK; i++) {
      int at = 8 * (i & 7);
      long mask = word(xmm, insn.rm, i);
      if ((mask >>> at & 0x80) != 0) {
        status = linear.store(gva + i, 1, word(xmm, insn.reg, i) >>> at & 0xFF);
      }
    }
    if (status < 0) {
      return status;
    }
    if (!xmm) {
      fpu.enterMmx();
    }
    return ComplexInstructions.complete(cpu, insn);
  }

  /** The 8-byte word of a register that holds a byte. */
  private long word(boolean xmm, int register, int index) {
    return xmm ? cpu.xmm[2 * register + (index >> 3)] : fpu.mmx(register & 7);
  }
}
