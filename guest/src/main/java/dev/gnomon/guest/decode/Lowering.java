package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.RAX;
import static dev.gnomon.guest.cpu.Cpu.RCX;
import static dev.gnomon.guest.cpu.Cpu.RIP_BASE;
import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.T0;
import static dev.gnomon.guest.cpu.Cpu.T1;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

import dev.gnomon.guest.cpu.Feature;

/**
 * Lowers one instruction to micro-ops: the dispatch by opcode. Order within an instruction follows the restart rule:
 * loads and everything that can fault come first, a store that can still fault comes before the registers that it goes
 * with, and read-modify-write begins with a load that has checked the write.
 */
final class Lowering extends VectorLowering {
  Lowering(BlockBuilder out) {
    super(out);
  }

  /** @param offset of the instruction from the block's start */
  int lower(Instruction insn, int mode, int offset) {
    this.insn = insn;
    this.mode = mode;
    this.next = offset + insn.length;
    if (insn.lock && !lockable()) {
      return undefined(false);
    }
    if (limitedBranch()) {
      return ALONE;
    }
    return insn.opcode < Instruction.MAP_0F ? oneByte() : insn.opcode < Instruction.MAP_0F38 ? twoByte() : threeByte();
  }

  private int threeByte() {
    int op = insn.opcode;
    if (op == (Instruction.MAP_0F38 | 0x82)) {
      return ALONE;
    }
    if ((op & ~1) == (Instruction.MAP_0F38 | 0xF0)) {
      return insn.rep == 0xF2 && out.cpuid.offers(Feature.SSE4_2) ? checksum((op & 1) == 0 ? 1 : insn.operandSize)
          : undefined(false);
    }
    return vector();
  }

  /** CRC32 of an operand of so many bytes; the sum's own register has 32 bits, and as many zeros above with REX.W. */
  private int checksum(int size) {
    warm(WarmOp.CRC32, insn.reg, insn.reg, loadRm(size), 64 - 8 * size, 0);
    return NEXT;
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
          // PAUSE, even with REX.B. Where it is another processor's turn then, the run must end with it.
          if (out.cpuid.severalProcessors()) {
            return ALONE;
          }
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
        if (insn.mode64 && !out.cpuid.offers(Feature.LAHF_LM)) {
          return undefined(false);
        }
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
      case 5, 6, 7, 0xD, 0xE:
        return vector();
      case 9:
        conditional(MicroOp.SET, T0, ZERO, 0, op & 15);
        storeRm(T0, 1);
        return NEXT;
      default:
        break;
    }
    switch (op) {
      case 0x01:
        return insn.isMemory() && insn.group() == 7 ? invalidatePage() : ALONE;
      case 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F:
        return vector();
      case 0xC2, 0xC4, 0xC5, 0xC6, 0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB,
          0xFC, 0xFD, 0xFE:
        return vector();
      case 0xC3:
        return storeNonTemporal();
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
      case 0xB8:
        return insn.rep != 0xF3 || !out.cpuid.offers(Feature.POPCNT) ? undefined(false)
            : writeResult(WarmOp.POPCNT, insn.reg, loadRm(insn.operandSize));
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
}
