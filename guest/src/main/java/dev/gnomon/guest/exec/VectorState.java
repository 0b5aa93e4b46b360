package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Mxcsr;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, EMMS, MASKMOVQ and MASKMOVDQU, which run alone.
 */
final class VectorState {
  private static final int ALIGNMENT = 15;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final FpuState fpu;
  private final LegacyRegion image;

  VectorState(Cpu cpu, LinearMemory linear, Operands operands) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.fpu = new FpuState(cpu);
    this.image = new LegacyRegion(cpu);
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
    int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), LegacyRegion.BYTES, group == 0);
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
    image.collectX87((insn.rex & 8) != 0);
    image.collectMxcsr();
    image.collectXmm(insn.mode64);
    int words = LegacyRegion.end(insn.mode64);
    @Gva long gva = cpu.linear;
    int status = linear.probe(gva, LegacyRegion.BYTES, cpu.mmu.dataAccess | Access.WRITE);
    for (int i = 0; i < words && status == Status.OK; i++) {
      status = linear.store(gva + 8L * i, 8, image.words[i]);
    }
    return status;
  }

  private int restore(Instruction insn) {
    @Gva long gva = cpu.linear;
    int status = linear.probe(gva, LegacyRegion.BYTES, cpu.mmu.dataAccess);
    int words = LegacyRegion.end(insn.mode64);
    for (int i = 0; i < words && status == Status.OK; i++) {
      status = linear.load(gva + 8L * i, 8);
      image.words[i] = cpu.value;
    }
    if (status < 0) {
      return status;
    }
    if (image.badMxcsr()) {
      return cpu.fault(Vector.GP);
    }
    image.distributeX87((insn.rex & 8) != 0);
    image.distributeMxcsr();
    image.distributeXmm(insn.mode64);
    return Status.OK;
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
