package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.RAX;
import static dev.gnomon.guest.cpu.Cpu.RCX;
import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.T0;
import static dev.gnomon.guest.cpu.Cpu.T1;
import static dev.gnomon.guest.cpu.Cpu.T2;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

/** Arithmetic, shifts and bit operations. */
abstract sealed class ArithmeticLowering extends OperandLowering permits MoveLowering {
  private static final int[] ALU =
      {MicroOp.ADD64, MicroOp.OR64, -WarmOp.ADC - 1, -WarmOp.SBB - 1, MicroOp.AND64, MicroOp.SUB64, MicroOp.XOR64,
          MicroOp.SUB64};
  static final int CMP = 7;

  ArithmeticLowering(BlockBuilder out) {
    super(out);
  }

  final int arithmetic(int operation, int form, int size) {
    switch (form) {
      case 0, 1:
        return arithmeticRm(operation, size, register(insn.reg, size, T1), 0);
      case 2, 3:
        int source = loadRm(size);
        return arithmeticRegister(operation, size, insn.reg, source, 0);
      default:
        return arithmeticRegister(operation, size, RAX, ZERO, (int) insn.immediate);
    }
  }

  final int arithmeticRegister(int operation, int size, int register, int b, int immediate) {
    int a = register(register, size, T1);
    if (operation == CMP) {
      alu(operation, SINK, a, b, size, immediate);
    } else if (size >= 4) {
      alu(operation, register, a, b, size, immediate);
    } else {
      alu(operation, T0, a, b, size, immediate);
      writeRegister(register, T0, size);
    }
    return NEXT;
  }

  final int arithmeticRm(int operation, int size, int b, int immediate) {
    if (!insn.isMemory()) {
      // The source may be in T1 already.
      int a = insn.rm;
      if (highByte(insn.rm, size)) {
        warm(WarmOp.HIGH, T0, insn.rm - 4, ZERO, 0, 0);
        a = T0;
      }
      boolean direct = size >= 4;
      alu(operation, operation == CMP ? SINK : direct ? insn.rm : T0, a, b, size, immediate);
      if (operation != CMP && !direct) {
        writeRegister(insn.rm, T0, size);
      }
      return NEXT;
    }
    address(size, operation != CMP);
    if (operation == CMP) {
      loadTo(T0, size);
      alu(operation, SINK, T0, b, size, immediate);
      return NEXT;
    }
    loadForWrite(size);
    alu(operation, T0, T0, b, size, immediate);
    storeBack(T0, size);
    return NEXT;
  }

  final void alu(int operation, int d, int a, int b, int size, int immediate) {
    int op = ALU[operation];
    if (op < 0) {
      warm(-op - 1, d, a, b, 64 - 8 * size, immediate);
    } else {
      flagged(op, d, a, b, 64 - 8 * size, immediate);
    }
  }

  final int unary(int op, int register, int size) {
    if (size >= 4) {
      emit(op, register, register, ZERO, 64 - 8 * size, 0);
    } else {
      emit(op, T0, register(register, size, T0), ZERO, 64 - 8 * size, 0);
      writeRegister(register, T0, size);
    }
    return NEXT;
  }

  final int unaryRm(int op, int size) {
    if (!insn.isMemory()) {
      return unary(op, insn.rm, size);
    }
    address(size, true);
    loadForWrite(size);
    emit(op, T0, T0, ZERO, 64 - 8 * size, 0);
    storeBack(T0, size);
    return NEXT;
  }

  final int group3(int size) {
    int x = 64 - 8 * size;
    switch (insn.group()) {
      case 0, 1:
        flagged(MicroOp.AND64, SINK, loadRm(size), ZERO, x, (int) insn.immediate);
        return NEXT;
      case 2, 3:
        boolean negate = insn.group() == 3;
        boolean memory = insn.isMemory();
        int a = T0;
        if (memory) {
          address(size, true);
          loadForWrite(size);
        } else {
          a = register(insn.rm, size, T0);
        }
        int d = memory || size < 4 ? T0 : insn.rm;
        if (negate) {
          flagged(MicroOp.SUB64, d, ZERO, a, x, 0);
        } else {
          warm(WarmOp.NOT, d, a, ZERO, x, 0);
        }
        if (memory) {
          storeBack(T0, size);
        } else if (size < 4) {
          writeRegister(insn.rm, T0, size);
        }
        return NEXT;
      default:
        warm(WarmOp.MUL + insn.group() - 4, SINK, loadRm(size), ZERO, x, 0);
        return NEXT;
    }
  }

  final int multiply(int a, int b, int immediate) {
    int x = 64 - 8 * insn.operandSize;
    if (insn.operandSize >= 4) {
      flagged(MicroOp.IMUL64, insn.reg, a, b, x, immediate);
    } else {
      flagged(MicroOp.IMUL64, T0, a, b, x, immediate);
      emit(MicroOp.MOVN, insn.reg, T0, 0, x, 0);
    }
    return NEXT;
  }

  final int shift(int size, int countRegister, int immediate) {
    int x = 64 - 8 * size;
    int count = immediate & (size == 8 ? 63 : 31);
    boolean memory = insn.isMemory();
    int a = T0;
    if (memory) {
      address(size, true);
      loadForWrite(size);
    } else {
      a = register(insn.rm, size, T0);
    }
    int d = memory || size < 4 ? T0 : insn.rm;
    int hot = switch (insn.group()) {
      case 4, 6 -> MicroOp.SHL64;
      case 5 -> MicroOp.SHR64;
      case 7 -> MicroOp.SAR64;
      default -> -1;
    };
    if (countRegister == ZERO && hot >= 0 && count > 0 && count < 8 * size) {
      flagged(hot, d, a, ZERO, x, count);
    } else {
      warm(WarmOp.SHIFT + insn.group(), d, a, countRegister, x, count);
    }
    if (memory) {
      storeBack(T0, size);
    } else if (size < 4) {
      writeRegister(insn.rm, T0, size);
    }
    return NEXT;
  }

  final int doubleShift(int operation, boolean byCl) {
    int size = insn.operandSize;
    int x = 64 - 8 * size;
    if (byCl) {
      move(T1, RCX);
    } else {
      constant(T1, (int) insn.immediate);
    }
    if (insn.isMemory()) {
      address(size, true);
      loadForWrite(size);
      warm(operation, T0, T0, insn.reg, x, 0);
      storeBack(T0, size);
    } else if (size >= 4) {
      warm(operation, insn.rm, insn.rm, insn.reg, x, 0);
    } else {
      warm(operation, T0, insn.rm, insn.reg, x, 0);
      emit(MicroOp.MOVN, insn.rm, T0, 0, x, 0);
    }
    return NEXT;
  }

  final int bitTest(int operation, boolean byRegister) {
    int size = insn.operandSize;
    int x = 64 - 8 * size;
    int bit = byRegister ? insn.reg : ZERO;
    int immediate = byRegister ? 0 : (int) insn.immediate;
    if (!insn.isMemory()) {
      if (operation == 0) {
        warm(WarmOp.BT, SINK, insn.rm, bit, x, immediate);
      } else if (size >= 4) {
        warm(WarmOp.BT + operation, insn.rm, insn.rm, bit, x, immediate);
      } else {
        warm(WarmOp.BT + operation, T0, insn.rm, bit, x, immediate);
        emit(MicroOp.MOVN, insn.rm, T0, 0, x, 0);
      }
      return NEXT;
    }
    if (byRegister) {
      offsetToT2();
      warm(WarmOp.BITADDR, T2, T2, bit, x, 0);
      if (insn.addressSize < 8) {
        zeroExtend(T2, T2, insn.addressSize == 4 ? -1 : 0xFFFF);
      }
      segmentT2(size, operation != 0);
    } else {
      address(size, operation != 0);
    }
    if (operation == 0) {
      loadTo(T0, size);
      warm(WarmOp.BT, SINK, T0, bit, x, immediate);
      return NEXT;
    }
    loadForWrite(size);
    warm(WarmOp.BT + operation, T0, T0, bit, x, immediate);
    storeBack(T0, size);
    return NEXT;
  }

  /**
   * A warm operation with one source whose result goes to a 16-, 32- or 64-bit register; it may leave the register as
   * it was.
   */
  final int writeResult(int operation, int register, int source) {
    int x = 64 - 8 * insn.operandSize;
    if (insn.operandSize >= 4) {
      warm(operation, register, source, ZERO, x, 0);
    } else {
      move(T1, register);
      warm(operation, T1, source, ZERO, x, 0);
      emit(MicroOp.MOVN, register, T1, 0, x, 0);
    }
    return NEXT;
  }
}
