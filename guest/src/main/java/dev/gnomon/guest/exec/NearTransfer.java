package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Flags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/**
 * Near jumps, calls and loops in code segments with a limit below 4 GiB, and direct ones in 64-bit code near the edges
 * of the canonical halves (SDM vol. 2A, "JMP", "CALL", "Jcc", "LOOP"): a target beyond the limit, or one that is not
 * canonical, is #GP(0) of the jump itself, with nothing pushed and nothing counted. Elsewhere micro-ops do them.
 */
final class NearTransfer {
  private static final int JCXZ = 3;

  private final Cpu cpu;
  private final Operands operands;

  NearTransfer(Cpu cpu, Operands operands) {
    this.cpu = cpu;
    this.operands = operands;
  }

  /** Bytes of the instruction pointer; in 64-bit code whatever the prefixes, as on Intel processors. */
  private static int size(Instruction insn) {
    return insn.mode64 ? 8 : insn.operandSize;
  }

  private long relative(Instruction insn) {
    return Operands.zeroExtend(ComplexInstructions.nextRip(cpu, insn) + insn.immediate, size(insn));
  }

  private boolean forbidden(long target) {
    return cpu.code64() ? !cpu.canonical(target) : target > cpu.limit[Segments.CS];
  }

  private int enter(long target) {
    if (forbidden(target)) {
      return cpu.fault(Vector.GP);
    }
    cpu.rip = target;
    return Status.OK;
  }

  /** E9 and EB. */
  int jump(Instruction insn) {
    return enter(relative(insn));
  }

  /** 70 to 7F and 0F 80 to 0F 8F. */
  int jumpIf(Instruction insn) {
    boolean taken = Flags.condition(insn.opcode & 15, cpu.flagResult, cpu.flagCarries);
    return taken ? enter(relative(insn)) : ComplexInstructions.complete(cpu, insn);
  }

  /** FF /4. */
  int jumpIndirect(Instruction insn) {
    int status = operands.loadRm(insn, insn.operandSize);
    return status < 0 ? status : enter(cpu.value);
  }

  /** E8. */
  int call(Instruction insn) {
    long target = relative(insn);
    if (forbidden(target)) {
      return cpu.fault(Vector.GP);
    }
    int size = size(insn);
    long pointer = cpu.regs[Cpu.RSP] - size & cpu.stackMask();
    int status = operands.store(Segments.SS, pointer, size, ComplexInstructions.nextRip(cpu, insn));
    if (status == Status.OK) {
      operands.setStackPointer(pointer);
      cpu.rip = target;
    }
    return status;
  }

  /** E0 to E3: LOOPNE, LOOPE, LOOP, JCXZ. */
  int loop(Instruction insn) {
    int kind = insn.opcode & 3;
    long count = Operands.zeroExtend(cpu.regs[Cpu.RCX] - (kind == JCXZ ? 0 : 1), insn.addressSize);
    boolean zero = Flags.zf(cpu.flagResult);
    boolean taken = kind == JCXZ ? count == 0 : count != 0 && (kind == 2 || zero == (kind == 1));
    int status = taken ? enter(relative(insn)) : ComplexInstructions.complete(cpu, insn);
    if (status == Status.OK && kind != JCXZ) {
      operands.setRegister(Cpu.RCX, insn.addressSize, count);
    }
    return status;
  }
}
