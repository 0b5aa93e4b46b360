package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.RIP_BASE;
import static dev.gnomon.guest.cpu.Cpu.RSP;
import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.T0;
import static dev.gnomon.guest.cpu.Cpu.T1;
import static dev.gnomon.guest.cpu.Cpu.T2;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

import dev.gnomon.guest.cpu.Cpu;

/** Near jumps, calls and returns, and group 5, most of which they are. */
abstract sealed class BranchLowering extends StackLowering permits VectorLowering {
  BranchLowering(BlockBuilder out) {
    super(out);
  }

  final int branchSize() {
    return insn.mode64 ? 8 : insn.operandSize;
  }

  /** Whether near targets wrap at the instruction pointer's own width, so that a displacement tells them. */
  final boolean plainBranch() {
    return insn.mode64 || insn.operandSize == ((mode & Cpu.MODE_32) != 0 ? 4 : 2);
  }

  /**
   * A near jump, call or loop whose target may lie beyond the code segment's limit, or may not be canonical, which must
   * be known before anything is committed. Where a register or memory tells the target, 64-bit code checks it at the
   * jump in any case.
   */
  final boolean limitedBranch() {
    boolean unlimited = insn.mode64 ? (mode & CodeCache.EDGE) == 0
        : (mode & Cpu.MODE_FLAT_CODE) != 0 || (mode & Cpu.MODE_REAL) != 0 && insn.operandSize == 2;
    if (unlimited) {
      return false;
    }
    int op = insn.opcode;
    return op >= 0x70 && op <= 0x7F || op >= 0xE0 && op <= 0xE3 || op == 0xE8 || op == 0xE9 || op == 0xEB
        || op == 0xFF && insn.group() == 4 && !insn.mode64
        || op >= (Instruction.MAP_0F | 0x80) && op <= (Instruction.MAP_0F | 0x8F);
  }

  final int jump() {
    if (plainBranch()) {
      return out.jump(next + (int) insn.immediate);
    }
    emit(MicroOp.ADD_NF64, T0, RIP_BASE, ZERO, 0, next + (int) insn.immediate);
    jumpTo(T0);
    return END;
  }

  final void jumpTo(int register) {
    int size = branchSize();
    if (size < 8) {
      zeroExtend(T0, register, size == 4 ? -1 : 0xFFFF);
      register = T0;
    }
    emit(MicroOp.JMPR, SINK, register, ZERO, 0, 0);
  }

  final int jumpIf(int condition) {
    if (plainBranch()) {
      return out.branch(MicroOp.JCX, ZERO, condition, next + (int) insn.immediate);
    }
    conditional(MicroOp.SET, T0, ZERO, 0, condition);
    return jumpIfT0();
  }

  /** Jumps if T0 is not zero. */
  final int jumpIfT0() {
    if (plainBranch()) {
      return out.branch(MicroOp.JNZX, T0, 0, next + (int) insn.immediate);
    }
    emit(MicroOp.ADD_NF64, T1, RIP_BASE, ZERO, 0, next + (int) insn.immediate);
    emit(MicroOp.ADD_NF64, T2, RIP_BASE, ZERO, 0, next);
    warm(WarmOp.SELECT, T0, T0, ZERO, 0, 0);
    jumpTo(T0);
    return END;
  }

  final int nearReturn(int extra) {
    int size = branchSize();
    if (flatStack(size) && (insn.mode64 || (mode & Cpu.MODE_FLAT_CODE) != 0)) {
      emit(size == 8 ? MicroOp.RET64 : MicroOp.RET32, SINK, ZERO, ZERO, 0, size + extra);
      return END;
    }
    warm(WarmOp.PEEK, T0, RSP, ZERO, sizeCode(size), 0);
    warm(WarmOp.CHECKRIP, SINK, T0, ZERO, 0, 0);
    warm(WarmOp.ADDSP, SINK, RSP, ZERO, 0, size + extra);
    emit(MicroOp.JMPR, SINK, T0, ZERO, 0, 0);
    return END;
  }

  final int group5() {
    switch (insn.group()) {
      case 0, 1:
        return unaryRm(insn.group() == 0 ? MicroOp.INC : MicroOp.DEC, insn.operandSize);
      case 2, 4:
        int size = branchSize();
        int target = loadRm(size);
        if (size < 8) {
          zeroExtend(T0, target, size == 4 ? -1 : 0xFFFF);
          target = T0;
        }
        if (insn.group() == 2) {
          // The target must be known good, and kept if it is in RSP, before the push moves the stack pointer.
          move(T0, target);
          warm(WarmOp.CHECKRIP, SINK, T0, ZERO, 0, 0);
          push(RIP_BASE, next, size);
          target = T0;
        }
        emit(MicroOp.JMPR, SINK, target, ZERO, 0, 0);
        return END;
      case 6:
        int pushed = loadRm(stackSize());
        push(pushed, 0, stackSize());
        return NEXT;
      case 7:
        return undefined(false);
      default:
        return ALONE;
    }
  }
}
