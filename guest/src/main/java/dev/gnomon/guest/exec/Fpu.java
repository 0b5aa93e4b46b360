package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;

/**
 * The x87 control instructions, all that exists of an x87 unit: FNINIT, FNCLEX, FNSTCW, FLDCW, FNSTSW and FWAIT; other
 * escape opcodes are #UD.
 */
final class Fpu {
  private static final int INITIAL_CONTROL = 0x37F;
  private static final int EMPTY_TAGS = 0xFFFF;
  /** Bit of the control word that always reads 1. */
  private static final int CONTROL_FIXED = 0x40;
  private static final int CONTROL_WRITABLE = 0x1F3F;
  /** Status word without exception flags, stack fault, summary and busy: what FNCLEX leaves. */
  private static final int STATUS_KEPT = 0x7F00;

  private final Cpu cpu;
  private final Operands operands;

  Fpu(Cpu cpu, Operands operands) {
    this.cpu = cpu;
    this.operands = operands;
  }

  /** 9B. */
  int fwait(Instruction insn) {
    long both = ControlRegister.CR0_MP | ControlRegister.CR0_TS;
    return (cpu.cr0 & both) == both ? cpu.fault(Vector.NM) : ComplexInstructions.complete(cpu, insn);
  }

  /** D8 to DF. */
  int escape(Instruction insn) {
    if ((cpu.cr0 & (ControlRegister.CR0_EM | ControlRegister.CR0_TS)) != 0) {
      return cpu.fault(Vector.NM);
    }
    return insn.isMemory() ? memory(insn) : register(insn);
  }

  private int memory(Instruction insn) {
    int status;
    switch (insn.opcode << 4 | insn.group()) {
      case 0xD95 -> {
        status = operands.loadRm(insn, 2);
        if (status >= 0) {
          cpu.fpuControl = (int) cpu.value & CONTROL_WRITABLE | CONTROL_FIXED;
        }
      }
      case 0xD97 -> status = operands.storeRm(insn, 2, cpu.fpuControl);
      case 0xDD7 -> status = operands.storeRm(insn, 2, cpu.fpuStatus);
      default -> status = cpu.fault(Vector.UD);
    }
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  private int register(Instruction insn) {
    switch (insn.opcode << 8 | 0xC0 | insn.group() << 3 | insn.rm & 7) {
      case 0xDBE3 -> {
        cpu.fpuControl = FpuWord.INITIAL_CONTROL;
        cpu.fpuStatus = 0;
        cpu.fpuValid = 0;
      }
      case 0xDBE2 -> cpu.fpuStatus &= STATUS_KEPT;
      // FENI, FDISI and FSETPM of older coprocessors do nothing.
      case 0xDBE0, 0xDBE1, 0xDBE4 -> { }
      case 0xDFE0 -> operands.setRegister(Cpu.RAX, 2, cpu.fpuStatus);
      default -> {
        return cpu.fault(Vector.UD);
      }
    }
    return ComplexInstructions.complete(cpu, insn);
  }
}
