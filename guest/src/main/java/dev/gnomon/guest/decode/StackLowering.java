package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.RBP;
import static dev.gnomon.guest.cpu.Cpu.RSP;
import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.T0;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

import dev.gnomon.guest.cpu.Cpu;

/** Pushes and pops. */
abstract sealed class StackLowering extends MoveLowering permits BranchLowering {
  StackLowering(BlockBuilder out) {
    super(out);
  }

  final int stackSize() {
    return insn.mode64 && insn.operandSize != 2 ? 8 : insn.operandSize;
  }

  final boolean flatStack(int size) {
    return insn.mode64 ? size == 8
        : size == 4 && (mode & (Cpu.MODE_FLAT_DATA | Cpu.MODE_STACK32)) == (Cpu.MODE_FLAT_DATA | Cpu.MODE_STACK32);
  }

  final void push(int register, int immediate, int size) {
    if (flatStack(size)) {
      emit(size == 8 ? MicroOp.PUSH64 : MicroOp.PUSH32, SINK, register, ZERO, 0, immediate);
    } else {
      warm(WarmOp.PUSH, SINK, register, ZERO, sizeCode(size), immediate);
    }
  }

  final void pop(int register, int size) {
    if (flatStack(size)) {
      emit(size == 8 ? MicroOp.POP64 : MicroOp.POP32, register, ZERO, ZERO, 0, 0);
    } else {
      warm(WarmOp.PEEK, T0, RSP, ZERO, sizeCode(size), 0);
      warm(WarmOp.ADDSP, SINK, RSP, ZERO, 0, size);
      writeRegister(register, T0, size);
    }
  }

  final int popRm() {
    if (insn.group() != 0) {
      return undefined(false);
    }
    int size = stackSize();
    if (!insn.isMemory()) {
      pop(insn.rm, size);
      return NEXT;
    }
    warm(WarmOp.PEEK, T0, RSP, ZERO, sizeCode(size), 0);
    // An address based on the stack pointer uses its value after the pop.
    if (insn.base == RSP) {
      insn.displacement += size;
    }
    address(size, true);
    store(T0, size);
    warm(WarmOp.ADDSP, SINK, RSP, ZERO, 0, size);
    return NEXT;
  }

  final int leave() {
    int size = stackSize();
    warm(WarmOp.PEEK, T0, RBP, ZERO, sizeCode(size), 0);
    warm(WarmOp.ADDSP, SINK, RBP, ZERO, 0, size);
    writeRegister(RBP, T0, size);
    return NEXT;
  }
}
