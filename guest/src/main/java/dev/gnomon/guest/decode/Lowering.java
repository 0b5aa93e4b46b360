package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.RAX;
import static dev.gnomon.guest.cpu.Cpu.RBP;
import static dev.gnomon.guest.cpu.Cpu.RCX;
import static dev.gnomon.guest.cpu.Cpu.RIP_BASE;
import static dev.gnomon.guest.cpu.Cpu.RSP;
import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.T0;
import static dev.gnomon.guest.cpu.Cpu.T1;
import static dev.gnomon.guest.cpu.Cpu.T2;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.mmu.SoftTlb;

/**
 * Lowers one instruction to micro-ops. Order within an instruction follows the restart rule: loads and everything that can fault come first, a store that can
 * still fault comes before the registers that it goes with, and read-modify-write begins with a load that has checked the write.
 */
final class Lowering {
  static final int NEXT = 0;
  /** The block ends with this instruction. */
  static final int END = 1;
  /** The instruction runs from its decoded form, alone in its block. */
  static final int ALONE = 2;

  private static final int[] ALU =
      {MicroOp.ADD64, MicroOp.OR64, -WarmOp.ADC - 1, -WarmOp.SBB - 1, MicroOp.AND64, MicroOp.SUB64, MicroOp.XOR64, MicroOp.SUB64};
  private static final int CMP = 7;
  /** Condition code of ZF = 1. */
  private static final int EQUAL = 4;

  private final BlockBuilder out;
  private Instruction insn;
  private int mode;
  /** Offset of the next instruction from the block's start. */
  private int next;
  // The memory operand's address, as the fields of a load or store.
  private int addressA;
  private int addressB;
  private int addressX;
  private int addressImmediate;

  Lowering(BlockBuilder out) {
    this.out = out;
  }

  int undefined(boolean tooLong) {
    warm(tooLong ? WarmOp.GP : WarmOp.UD, SINK, ZERO, ZERO, 0, 0);
    return END;
  }

  /** @param offset of the instruction from the block's start */
  int lower(Instruction insn, int mode, int offset) {
    this.insn = insn;
    this.mode = mode;
    this.next = offset + insn.length;
    if (insn.lock && !lockable()) {
      return undefined(false);
    }
    return insn.opcode < Instruction.MAP_0F ? oneByte() : insn.opcode < Instruction.MAP_0F38 ? twoByte() : ALONE;
  }

  private int oneByte() {
    int op = insn.opcode;
    int size = (op & 1) == 0 ? 1 : insn.operandSize;
    if (op < 0x40 && (op & 7) < 6) {
      return arithmetic(op >> 3, op & 7, size);
    }
    switch (op) {
      case 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F:
        return unary(op < 0x48 ? MicroOp.INC : MicroOp.DEC, insn.rm & 7, insn.operandSize);
      case 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57:
        push(insn.rm, 0, stackSize());
        return NEXT;
      case 0x58, 0x59, 0x5A, 0x5B, 0x5C, 0x5D, 0x5E, 0x5F:
        pop(insn.rm, stackSize());
        return NEXT;
      case 0x63:
        if (!insn.mode64) {
          return ALONE;
        }
        int source = loadRm(Math.min(4, insn.operandSize));
        extend(source, Math.min(4, insn.operandSize), true);
        return NEXT;
      case 0x68, 0x6A:
        push(ZERO, (int) insn.immediate, stackSize());
        return NEXT;
      case 0x69, 0x6B:
        return multiply(loadRm(insn.operandSize), ZERO, (int) insn.immediate);
      case 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x7B, 0x7C, 0x7D, 0x7E, 0x7F:
        return jumpIf(op & 15);
      case 0x80, 0x81, 0x82, 0x83:
        return arithmeticRm(insn.group(), op == 0x82 ? 1 : size, ZERO, (int) insn.immediate);
      case 0x84, 0x85:
        int tested = loadRm(size);
        flagged(MicroOp.AND64, SINK, tested, register(insn.reg, size, T1), 64 - 8 * size, 0);
        return NEXT;
      case 0x86, 0x87:
        return exchange(size);
      case 0x88, 0x89:
        storeRm(register(insn.reg, size, T1), size);
        return NEXT;
      case 0x8A, 0x8B:
        return load(size);
      case 0x8D:
        return loadEffectiveAddress();
      case 0x8F:
        return popRm();
      case 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97:
        if (op == 0x90 && insn.rep == 0xF3) {
          // PAUSE, even with REX.B.
          warm(WarmOp.PAUSE, SINK, ZERO, ZERO, 0, insn.length);
        } else if (insn.rm != 0) {
          move(T0, RAX);
          writeFull(RAX, insn.rm, insn.operandSize);
          writeFull(insn.rm, T0, insn.operandSize);
        }
        return NEXT;
      case 0x98:
        if (insn.operandSize == 2) {
          emit(MicroOp.SX, T0, RAX, 0, 56, 0);
          emit(MicroOp.MOVN, RAX, T0, 0, 48, 0);
        } else {
          emit(MicroOp.SX, RAX, RAX, 0, 64 - 4 * insn.operandSize, insn.operandSize == 8 ? 0 : 32);
        }
        return NEXT;
      case 0x99:
        warm(WarmOp.CWD, SINK, RAX, ZERO, 64 - 8 * insn.operandSize, 0);
        return NEXT;
      case 0x9E, 0x9F:
        warm(op == 0x9E ? WarmOp.SAHF : WarmOp.LAHF, SINK, ZERO, ZERO, 0, 0);
        return NEXT;
      case 0xA0, 0xA1:
        address(size, false);
        loadTo(T0, size);
        writeRegister(RAX, T0, size);
        return NEXT;
      case 0xA2, 0xA3:
        address(size, true);
        store(RAX, size);
        return NEXT;
      case 0xA8, 0xA9:
        flagged(MicroOp.AND64, SINK, RAX, ZERO, 64 - 8 * size, (int) insn.immediate);
        return NEXT;
      case 0xB0, 0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7:
        constant(T0, (int) insn.immediate);
        writeRegister(insn.rm, T0, 1);
        return NEXT;
      case 0xB8, 0xB9, 0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xBF:
        return moveImmediate();
      case 0xC0, 0xC1:
        return shift(size, ZERO, (int) insn.immediate);
      case 0xC2, 0xC3:
        return nearReturn(op == 0xC2 ? (int) insn.immediate & 0xFFFF : 0);
      case 0xC6, 0xC7:
        if (insn.group() != 0) {
          return undefined(false);
        }
        if (!insn.isMemory() && size == 8) {
          constant(insn.rm, (int) insn.immediate);
        } else if (!insn.isMemory() && size == 4) {
          emit(MicroOp.ADD_NF32, insn.rm, ZERO, ZERO, 0, (int) insn.immediate);
        } else {
          constant(T0, (int) insn.immediate);
          storeRm(T0, size);
        }
        return NEXT;
      case 0xC9:
        return leave();
      case 0xD0, 0xD1:
        return shift(size, ZERO, 1);
      case 0xD2, 0xD3:
        return shift(size, RCX, 0);
      case 0xE0, 0xE1, 0xE2, 0xE3:
        warm(WarmOp.LOOP, T0, ZERO, ZERO, Integer.numberOfTrailingZeros(insn.addressSize), op - 0xE0);
        return jumpIfT0();
      case 0xE8:
        push(RIP_BASE, next, branchSize());
        return jump();
      case 0xE9, 0xEB:
        return jump();
      case 0xF5:
        warm(WarmOp.FLAG, SINK, ZERO, ZERO, 0, 2);
        return NEXT;
      case 0xF6, 0xF7:
        return group3(size);
      case 0xF8, 0xF9:
        warm(WarmOp.FLAG, SINK, ZERO, ZERO, 0, op - 0xF8);
        return NEXT;
      case 0xFC, 0xFD:
        warm(WarmOp.FLAG, SINK, ZERO, ZERO, 0, op - 0xFC + 3);
        return NEXT;
      case 0xFE:
        return insn.group() < 2 ? unaryRm(insn.group() == 0 ? MicroOp.INC : MicroOp.DEC, 1) : undefined(false);
      case 0xFF:
        return group5();
      default:
        return ALONE;
    }
  }

  private int twoByte() {
    int op = insn.opcode & 0xFF;
    int size = (op & 1) == 0 ? 1 : insn.operandSize;
    switch (op >> 4) {
      case 4:
        return conditionalMove(op & 15);
      case 8:
        return jumpIf(op & 15);
      case 9:
        conditional(MicroOp.SET, T0, ZERO, 0, op & 15);
        storeRm(T0, 1);
        return NEXT;
      default:
        break;
    }
    switch (op) {
      case 0x0D, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F:
        return op == 0x0D && !insn.isMemory() ? undefined(false) : NEXT;
      case 0xA3, 0xAB, 0xB3, 0xBB:
        return bitTest(op >> 3 & 3, true);
      case 0xBA:
        return insn.group() < 4 ? undefined(false) : bitTest(insn.group() & 3, false);
      case 0xA4, 0xA5, 0xAC, 0xAD:
        return doubleShift(op < 0xA8 ? WarmOp.SHLD : WarmOp.SHRD, (op & 1) != 0);
      case 0xAE:
        if (insn.mod == 3 && insn.group() >= 5 && insn.rep == 0 && !insn.operandPrefix) {
          if (insn.group() == 6) {
            warm(WarmOp.FENCE, SINK, ZERO, ZERO, 0, 0);
          }
          return NEXT;
        }
        return ALONE;
      case 0xAF:
        return multiply(loadRm(insn.operandSize), insn.reg, 0);
      case 0xB0, 0xB1:
        return compareExchange(size);
      case 0xB6, 0xB7, 0xBE, 0xBF:
        int from = (op & 1) == 0 ? 1 : 2;
        extend(loadRm(from), from, op >= 0xB8);
        return NEXT;
      case 0xBC, 0xBD:
        int scanned = loadRm(insn.operandSize);
        return writeResult(WarmOp.BSF + (op & 1), insn.reg, scanned);
      case 0xC0, 0xC1:
        return exchangeAdd(size);
      case 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF:
        warm(WarmOp.BSWAP, insn.operandSize == 2 ? T0 : insn.rm, insn.rm, ZERO, 64 - 8 * insn.operandSize, 0);
        if (insn.operandSize == 2) {
          emit(MicroOp.MOVN, insn.rm, T0, 0, 48, 0);
        }
        return NEXT;
      default:
        return ALONE;
    }
  }

  // Arithmetic.

  private int arithmetic(int operation, int form, int size) {
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

  private int arithmeticRegister(int operation, int size, int register, int b, int immediate) {
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

  private int arithmeticRm(int operation, int size, int b, int immediate) {
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

  private void alu(int operation, int d, int a, int b, int size, int immediate) {
    int op = ALU[operation];
    if (op < 0) {
      warm(-op - 1, d, a, b, 64 - 8 * size, immediate);
    } else {
      flagged(op, d, a, b, 64 - 8 * size, immediate);
    }
  }

  private int unary(int op, int register, int size) {
    if (size >= 4) {
      emit(op, register, register, ZERO, 64 - 8 * size, 0);
    } else {
      emit(op, T0, register(register, size, T0), ZERO, 64 - 8 * size, 0);
      writeRegister(register, T0, size);
    }
    return NEXT;
  }

  private int unaryRm(int op, int size) {
    if (!insn.isMemory()) {
      return unary(op, insn.rm, size);
    }
    address(size, true);
    loadForWrite(size);
    emit(op, T0, T0, ZERO, 64 - 8 * size, 0);
    storeBack(T0, size);
    return NEXT;
  }

  private int group3(int size) {
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

  private int multiply(int a, int b, int immediate) {
    int x = 64 - 8 * insn.operandSize;
    if (insn.operandSize >= 4) {
      flagged(MicroOp.IMUL64, insn.reg, a, b, x, immediate);
    } else {
      flagged(MicroOp.IMUL64, T0, a, b, x, immediate);
      emit(MicroOp.MOVN, insn.reg, T0, 0, x, 0);
    }
    return NEXT;
  }

  private int shift(int size, int countRegister, int immediate) {
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

  private int doubleShift(int operation, boolean byCl) {
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

  private int bitTest(int operation, boolean byRegister) {
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

  /** A warm operation with one source whose result goes to a 16-, 32- or 64-bit register; it may leave the register as it was. */
  private int writeResult(int operation, int register, int source) {
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

  // Moves.

  private int load(int size) {
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

  private int moveImmediate() {
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

  private int loadEffectiveAddress() {
    if (!insn.isMemory()) {
      return undefined(false);
    }
    long displacement = insn.displacement + (insn.ripRelative ? next : 0);
    if (insn.addressSize >= insn.operandSize && insn.operandSize >= 4 && displacement == (int) displacement) {
      add(insn.operandSize == 8 ? MicroOp.LEA64 : MicroOp.LEA32, insn.reg, insn.ripRelative ? RIP_BASE : insn.base < 0 ? ZERO : insn.base,
          insn.index < 0 ? ZERO : insn.index, insn.scale, (int) displacement);
      return NEXT;
    }
    offsetToT2();
    writeRegister(insn.reg, T2, insn.operandSize);
    return NEXT;
  }

  private void extend(int source, int from, boolean signed) {
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

  private int conditionalMove(int condition) {
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

  private int exchange(int size) {
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

  private int exchangeAdd(int size) {
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

  private int compareExchange(int size) {
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

  // Stack.

  private int stackSize() {
    return insn.mode64 && insn.operandSize != 2 ? 8 : insn.operandSize;
  }

  private boolean flatStack(int size) {
    return insn.mode64 ? size == 8 : size == 4 && (mode & (Cpu.MODE_FLAT_DATA | Cpu.MODE_STACK32)) == (Cpu.MODE_FLAT_DATA | Cpu.MODE_STACK32);
  }

  private void push(int register, int immediate, int size) {
    if (flatStack(size)) {
      emit(size == 8 ? MicroOp.PUSH64 : MicroOp.PUSH32, SINK, register, ZERO, 0, immediate);
    } else {
      warm(WarmOp.PUSH, SINK, register, ZERO, sizeCode(size), immediate);
    }
  }

  private void pop(int register, int size) {
    if (flatStack(size)) {
      emit(size == 8 ? MicroOp.POP64 : MicroOp.POP32, register, ZERO, ZERO, 0, 0);
    } else {
      warm(WarmOp.PEEK, T0, RSP, ZERO, sizeCode(size), 0);
      warm(WarmOp.ADDSP, SINK, RSP, ZERO, 0, size);
      writeRegister(register, T0, size);
    }
  }

  private int popRm() {
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

  private int leave() {
    int size = stackSize();
    warm(WarmOp.PEEK, T0, RBP, ZERO, sizeCode(size), 0);
    warm(WarmOp.ADDSP, SINK, RBP, ZERO, 0, size);
    writeRegister(RBP, T0, size);
    return NEXT;
  }

  // Control transfer.

  private int branchSize() {
    return insn.mode64 ? 8 : insn.operandSize;
  }

  /** Whether near targets wrap at the instruction pointer's own width, so that a displacement tells them. */
  private boolean plainBranch() {
    return insn.mode64 || insn.operandSize == ((mode & Cpu.MODE_32) != 0 ? 4 : 2);
  }

  private int jump() {
    if (plainBranch()) {
      return out.jump(next + (int) insn.immediate);
    }
    emit(MicroOp.ADD_NF64, T0, RIP_BASE, ZERO, 0, next + (int) insn.immediate);
    jumpTo(T0);
    return END;
  }

  private void jumpTo(int register) {
    int size = branchSize();
    if (size < 8) {
      zeroExtend(T0, register, size == 4 ? -1 : 0xFFFF);
      register = T0;
    }
    emit(MicroOp.JMPR, SINK, register, ZERO, 0, 0);
  }

  private int jumpIf(int condition) {
    if (plainBranch()) {
      return out.branch(MicroOp.JCX, ZERO, condition, next + (int) insn.immediate);
    }
    conditional(MicroOp.SET, T0, ZERO, 0, condition);
    return jumpIfT0();
  }

  /** Jumps if T0 is not zero. */
  private int jumpIfT0() {
    if (plainBranch()) {
      return out.branch(MicroOp.JNZX, T0, 0, next + (int) insn.immediate);
    }
    emit(MicroOp.ADD_NF64, T1, RIP_BASE, ZERO, 0, next + (int) insn.immediate);
    emit(MicroOp.ADD_NF64, T2, RIP_BASE, ZERO, 0, next);
    warm(WarmOp.SELECT, T0, T0, ZERO, 0, 0);
    jumpTo(T0);
    return END;
  }

  private int nearReturn(int extra) {
    int size = branchSize();
    if (flatStack(size)) {
      emit(size == 8 ? MicroOp.RET64 : MicroOp.RET32, SINK, ZERO, ZERO, 0, size + extra);
      return END;
    }
    warm(WarmOp.PEEK, T0, RSP, ZERO, sizeCode(size), 0);
    warm(WarmOp.CHECKRIP, SINK, T0, ZERO, 0, 0);
    warm(WarmOp.ADDSP, SINK, RSP, ZERO, 0, size + extra);
    emit(MicroOp.JMPR, SINK, T0, ZERO, 0, 0);
    return END;
  }

  private int group5() {
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

  // Operands.

  private boolean highByte(int register, int size) {
    return size == 1 && insn.rex == 0 && register >= 4 && register < 8;
  }

  /** Slot that holds a register operand in its low bits; a high byte is first brought into {@code temporary}. */
  private int register(int register, int size, int temporary) {
    if (highByte(register, size)) {
      warm(WarmOp.HIGH, temporary, register - 4, ZERO, 0, 0);
      return temporary;
    }
    return register;
  }

  private void writeRegister(int register, int from, int size) {
    if (highByte(register, size)) {
      warm(WarmOp.MOVH, register - 4, from, ZERO, 0, 0);
    } else {
      writeFull(register, from, size);
    }
  }

  private void writeFull(int register, int from, int size) {
    switch (size) {
      case 8 -> move(register, from);
      case 4 -> zeroExtend(register, from, -1);
      default -> emit(MicroOp.MOVN, register, from, 0, 64 - 8 * size, 0);
    }
  }

  /** Slot with the ModRM operand: a register, or T0 after a load. */
  private int loadRm(int size) {
    if (!insn.isMemory()) {
      return register(insn.rm, size, T0);
    }
    address(size, false);
    loadTo(T0, size);
    return T0;
  }

  private void storeRm(int from, int size) {
    if (insn.isMemory()) {
      address(size, true);
      store(from, size);
    } else {
      writeRegister(insn.rm, from, size);
    }
  }

  private void loadTo(int register, int size) {
    access(MicroOp.LD8, SoftTlb.DENY_LOAD, register, size);
  }

  private void store(int from, int size) {
    access(MicroOp.ST8, SoftTlb.DENY_STORE, from, size);
  }

  /** Load of a read-modify-write into T0; atomic together with {@link #storeBack} under LOCK. */
  private void loadForWrite(int size) {
    if (insn.lock) {
      warm(WarmOp.LDX, T0, addressA, addressB, addressX | sizeCode(size) << 3, addressImmediate);
    } else {
      access(MicroOp.LDW8, SoftTlb.DENY_LOAD | SoftTlb.DENY_STORE, T0, size);
    }
  }

  /** @param firstOp the operation for bytes. @param denied rights that the access needs, as soft-TLB bits */
  private void access(int firstOp, int denied, int register, int size) {
    out.emit(firstOp + sizeCode(size), register, addressA, addressB, addressX | size - 1 << 3, denied >> 3, addressImmediate, 0);
  }

  private void storeBack(int from, int size) {
    if (insn.lock) {
      warmStore(from, size);
    } else {
      store(from, size);
    }
  }

  private void warmStore(int from, int size) {
    warm(WarmOp.STX, from, addressA, addressB, addressX | sizeCode(size) << 3, addressImmediate);
  }

  /** Works out the memory operand's linear address, in fields of a load or store if one can hold it, else in T2. */
  private void address(int size, boolean write) {
    boolean direct;
    if (insn.mode64) {
      direct = insn.addressSize == 8 && insn.segment != Segments.FS && insn.segment != Segments.GS;
    } else {
      direct = insn.addressSize == 4 && (mode & Cpu.MODE_FLAT_DATA) != 0
          && (insn.segment == Segments.DS || insn.segment == Segments.ES || insn.segment == Segments.SS);
    }
    long displacement = insn.displacement + (insn.ripRelative ? next : 0);
    if (!direct || !insn.mode64 && insn.ripRelative || insn.mode64 && displacement != (int) displacement) {
      offsetToT2();
      segmentT2(size, write);
      return;
    }
    addressA = insn.ripRelative ? RIP_BASE : insn.base < 0 ? ZERO : insn.base;
    addressB = insn.index < 0 ? ZERO : insn.index;
    addressX = insn.scale | (insn.segment == Segments.SS ? 4 : 0);
    addressImmediate = (int) displacement;
  }

  /** Offset of the memory operand within its segment, truncated to the address size, into T2. */
  private void offsetToT2() {
    long displacement = insn.displacement + (insn.ripRelative ? next : 0);
    int a = insn.ripRelative ? RIP_BASE : insn.base < 0 ? ZERO : insn.base;
    int b = insn.index < 0 ? ZERO : insn.index;
    if (insn.addressSize == 2) {
      warm(WarmOp.LEA16, T2, a, b, 0, (int) displacement);
    } else if (insn.addressSize == 4) {
      add(MicroOp.LEA32, T2, a, b, insn.scale, (int) displacement);
    } else if (displacement == (int) displacement) {
      add(MicroOp.LEA64, T2, a, b, insn.scale, (int) displacement);
    } else {
      constant64(T2, displacement);
      add(MicroOp.LEA64, T2, T2, b, insn.scale, 0);
      emit(MicroOp.ADD_NF64, T2, T2, a, 0, 0);
    }
  }

  private void segmentT2(int size, boolean write) {
    if (!insn.mode64) {
      warm(WarmOp.LINEAR, T2, T2, ZERO, insn.segment | (write ? 8 : 0), size);
    } else if (insn.segment == Segments.FS || insn.segment == Segments.GS) {
      emit(MicroOp.ADDSEG, T2, T2, 0, 0, insn.segment);
    }
    addressA = T2;
    addressB = ZERO;
    addressX = insn.segment == Segments.SS ? 4 : 0;
    addressImmediate = 0;
  }

  /** Memory destinations that LOCK may stand before; anything else is #UD. */
  private boolean lockable() {
    if (!insn.isMemory()) {
      return false;
    }
    int op = insn.opcode;
    if (op < 0x40) {
      return (op & 7) < 2 && op >> 3 != CMP;
    }
    return switch (op) {
      case 0x80, 0x81, 0x82, 0x83 -> insn.group() != CMP;
      case 0x86, 0x87, 0x1AB, 0x1B3, 0x1BB, 0x1B0, 0x1B1, 0x1C0, 0x1C1 -> true;
      case 0xF6, 0xF7 -> insn.group() == 2 || insn.group() == 3;
      case 0xFE, 0xFF -> insn.group() < 2;
      case 0x1BA -> insn.group() > 4;
      case 0x1C7 -> insn.group() == 1;
      default -> false;
    };
  }

  private static int sizeCode(int size) {
    return Integer.numberOfTrailingZeros(size);
  }

  private void move(int d, int a) {
    emit(MicroOp.ADD_NF64, d, a, ZERO, 0, 0);
  }

  private void constant(int d, int value) {
    emit(MicroOp.ADD_NF64, d, ZERO, ZERO, 0, value);
  }

  private void constant64(int d, long value) {
    out.emit(MicroOp.MOVI64, d, ZERO, ZERO, 0, 0, (int) value, (int) (value >>> 32));
  }

  /** d = a & mask, the mask zero-extended. */
  private void zeroExtend(int d, int a, int mask) {
    if (mask < 0) {
      emit(MicroOp.ADD_NF32, d, a, ZERO, 0, 0);
    } else {
      emit(MicroOp.AND_NF64, d, a, ZERO, 0, mask);
    }
  }

  private void conditional(int op, int d, int a, int x, int condition) {
    out.emit(op, d, a, ZERO, x, condition, 0, 0);
  }

  /** d = a + b scaled + displacement. @param op LEA64 or LEA32 */
  private void add(int op, int d, int a, int b, int scale, int displacement) {
    int plain = op == MicroOp.LEA64 ? MicroOp.ADD_NF64 : MicroOp.ADD_NF32;
    emit(scale == 0 ? plain : op, d, a, b, scale, displacement);
  }

  /** @param op the form for 64 bits that sets flags */
  private void flagged(int op, int d, int a, int b, int x, int immediate) {
    emit(x == 32 ? op + 2 : op, d, a, b, x, immediate);
  }

  private void emit(int op, int d, int a, int b, int x, int immediate) {
    out.emit(op, d, a, b, x, 0, immediate, 0);
  }

  private void warm(int operation, int d, int a, int b, int x, int immediate) {
    out.emit(MicroOp.WARM, d, a, b, x, 0, immediate, operation);
  }
}
