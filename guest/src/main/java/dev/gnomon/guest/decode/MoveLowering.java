package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.RIP_BASE;
import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.T0;
import static dev.gnomon.guest.cpu.Cpu.T1;
import static dev.gnomon.guest.cpu.Cpu.T2;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

/** Moves, extensions and exchanges. */
abstract sealed class MoveLowering extends ArithmeticLowering permits StackLowering {
  /** Condition code of ZF = 1. */
  private static final int EQUAL = 4;

  MoveLowering(BlockBuilder out) {
    super(out);
  }

  final int load(int size) {
    if (insn.isMemory()) {
      address(size, false);
      if (size >= 4) {
        loadTo(insn.reg, size);
        return NEXT;
      }
      loadTo(T0, size);
      writeRegister(insn.reg, T0, size);
    } else {
      writeRegister(insn.reg, register(insn.rm, size, T0), size);
    }
    return NEXT;
  }

  final int moveImmediate() {
    switch (insn.operandSize) {
      case 2 -> {
        constant(T0, (int) insn.immediate);
        emit(MicroOp.MOVN, insn.rm, T0, 0, 48, 0);
      }
      case 4 -> emit(MicroOp.ADD_NF32, insn.rm, ZERO, ZERO, 0, (int) insn.immediate);
      default -> constant64(insn.rm, insn.immediate);
    }
    return NEXT;
  }

  final int loadEffectiveAddress() {
    if (!insn.isMemory()) {
      return undefined(false);
    }
    long displacement = insn.displacement + (insn.ripRelative ? next : 0);
    if (insn.addressSize >= insn.operandSize && insn.operandSize >= 4 && displacement == (int) displacement) {
      add(insn.operandSize == 8 ? MicroOp.LEA64 : MicroOp.LEA32, insn.reg,
          insn.ripRelative ? RIP_BASE : insn.base < 0 ? ZERO : insn.base, insn.index < 0 ? ZERO : insn.index,
          insn.scale, (int) displacement);
      return NEXT;
    }
    offsetToT2();
    writeRegister(insn.reg, T2, insn.operandSize);
    return NEXT;
  }

  final void extend(int source, int from, boolean signed) {
    int to = insn.operandSize;
    int d = to == 2 ? T0 : insn.reg;
    if (!signed) {
      zeroExtend(d, source, (int) ((1L << 8 * from) - 1));
    } else {
      emit(MicroOp.SX, d, source, 0, 64 - 8 * from, to == 4 ? 32 : 0);
    }
    if (to == 2) {
      emit(MicroOp.MOVN, insn.reg, T0, 0, 48, 0);
    }
  }

  final int conditionalMove(int condition) {
    int size = insn.operandSize;
    int source = loadRm(size);
    int x = 64 - 8 * size;
    if (size >= 4) {
      conditional(MicroOp.CMOV, insn.reg, source, x, condition);
    } else {
      move(T1, insn.reg);
      conditional(MicroOp.CMOV, T1, source, 0, condition);
      emit(MicroOp.MOVN, insn.reg, T1, 0, x, 0);
    }
    return NEXT;
  }

  final int exchange(int size) {
    int source = register(insn.reg, size, T1);
    if (insn.isMemory()) {
      address(size, true);
      warm(WarmOp.LDX, T0, addressA, addressB, addressX | sizeCode(size) << 3, addressImmediate);
      warmStore(source, size);
    } else {
      // Keep both values before either is written; the source may be the high byte of the destination's register.
      move(T0, register(insn.rm, size, T0));
      move(T1, source);
      writeRegister(insn.rm, T1, size);
    }
    writeRegister(insn.reg, T0, size);
    return NEXT;
  }

  final int exchangeAdd(int size) {
    int x = 64 - 8 * size;
    int source = register(insn.reg, size, T1);
    if (insn.isMemory()) {
      address(size, true);
      loadForWrite(size);
      flagged(MicroOp.ADD64, T1, T0, source, x, 0);
      storeBack(T1, size);
      writeRegister(insn.reg, T0, size);
    } else {
      move(T0, register(insn.rm, size, T0));
      flagged(MicroOp.ADD64, T1, T0, source, x, 0);
      writeRegister(insn.reg, T0, size);
      writeRegister(insn.rm, T1, size);
    }
    return NEXT;
  }

  final int compareExchange(int size) {
    int x = 64 - 8 * size;
    int source = register(insn.reg, size, T1);
    if (insn.isMemory()) {
      address(size, true);
      loadForWrite(size);
      warm(WarmOp.CMPXCHG, T1, T0, source, x, 0);
      storeBack(T1, size);
    } else {
      move(T0, register(insn.rm, size, T0));
      warm(WarmOp.CMPXCHG, T1, T0, source, x, 0);
      if (size == 4) {
        // A register that is not equal is not written: it keeps its upper half.
        conditional(MicroOp.CMOV, insn.rm, T1, 0, EQUAL);
      } else {
        writeRegister(insn.rm, T1, size);
      }
    }
    warm(WarmOp.CMPXCHG_ACC, SINK, T0, ZERO, x, 0);
    return NEXT;
  }
}
