package dev.gnomon.guest.decode;

import static dev.gnomon.guest.decode.MicroOp.HEADER;
import static dev.gnomon.guest.decode.MicroOp.SIZE;

import dev.gnomon.guest.cpu.Cpu;

/**
 * Makes one superblock: straight-line code of one page up to a jump, a complex instruction, the page's end or the size limit, as micro-ops in the arena.
 * An instruction that crosses into the next page, or that must run alone, is a block of its own.
 */
final class BlockBuilder {
  /** Most ints that a block may take: header, micro-ops of the longest lowering for each instruction. */
  static final int MAX_INTS = HEADER + SIZE * 16 * 64;

  private final CodeCache cache;
  private final InstructionDecoder decoder = new InstructionDecoder();
  private final Instruction insn = new Instruction();
  private final Lowering lowering;
  private final int[] code;
  private int at;
  private int start;
  private int meta;

  BlockBuilder(CodeCache cache) {
    this.cache = cache;
    this.code = cache.code;
    this.lowering = new Lowering(this);
  }

  /**
   * Builds a block at arena index {@code at}.
   *
   * @param bytes code bytes from {@code from} on; valid up to {@code end}
   * @param limit most instructions
   * @return index behind the block, or −1 if the first instruction needs bytes behind {@code end}
   */
  int build(int at, byte[] bytes, int from, int end, int mode, int limit) {
    this.start = at;
    this.at = at + HEADER;
    int offset = from;
    int count = 0;
    boolean ended = false;
    int most = (mode & Cpu.MODE_FLAT_CODE) != 0 ? limit : 1;
    code[start + MicroOp.H_TAKEN] = 0;
    while (!ended && count < most && offset < end) {
      int result = decoder.decode(bytes, offset, end, mode, insn);
      if (result == InstructionDecoder.MORE) {
        if (count == 0) {
          return -1;
        }
        break;
      }
      meta = count << 16 | offset - from;
      int before = this.at;
      int outcome = result == InstructionDecoder.OK ? lowering.lower(insn, mode, offset - from)
          : lowering.undefined(result == InstructionDecoder.TOO_LONG);
      if (outcome == Lowering.ALONE) {
        this.at = before;
        if (count > 0) {
          break;
        }
        emit(MicroOp.COMPLEX, 0, 0, 0, 0, cache.keep(insn), 0);
        ended = true;
      } else {
        ended = outcome == Lowering.END;
      }
      offset += insn.length;
      count++;
    }
    if (!ended) {
      emit(MicroOp.FALL, 0, 0, 0, 0, 0, 0);
    }
    code[start + MicroOp.H_COUNT] = count;
    code[start + MicroOp.H_NEXT] = offset - from;
    code[start + MicroOp.H_TAKEN_LINK] = 0;
    code[start + MicroOp.H_NEXT_LINK] = 0;
    removeDeadFlags();
    return this.at;
  }

  void emit(int op, int d, int a, int b, int x, int word1, int word2) {
    code[at] = MicroOp.word0(op, d, a, b, x);
    code[at + 1] = word1;
    code[at + 2] = word2;
    code[at + 3] = meta;
    at += SIZE;
  }

  void setTaken(int displacement) {
    code[start + MicroOp.H_TAKEN] = displacement;
  }

  /** Operation of the micro-op emitted last in this block, or −1. */
  int lastOp() {
    return at > start + HEADER ? code[at - SIZE] & 0xFF : -1;
  }

  /** Turns the last micro-op into its form that also jumps. */
  void fuse(int op, int condition) {
    code[at - SIZE] = code[at - SIZE] & ~0xFF | op;
    code[at - SIZE + 2] = condition;
  }

  /** Replaces arithmetic whose flags are overwritten before anyone can see them; anything that can fault sees them. */
  private void removeDeadFlags() {
    boolean live = true;
    for (int i = at - SIZE; i >= start + HEADER; i -= SIZE) {
      int word = code[i];
      int op = word & 0xFF;
      if (!live && withoutFlags(i, word, op)) {
        continue;
      }
      if (MicroOp.faulting(op) || MicroOp.readsFlags(op)) {
        live = true;
      } else if (MicroOp.setsFlags(op)) {
        live = false;
      } else if (MicroOp.endsBlock(op)) {
        live = true;
      }
    }
  }

  /** Turns full-width addition and its kin into an address computation; false if there is no such form. */
  private boolean withoutFlags(int i, int word, int op) {
    int x = word >>> 23;
    if (x != 0 && x != 32) {
      return false;
    }
    switch (op) {
      case MicroOp.ADD:
        break;
      case MicroOp.INC:
        code[i + 1] = 1;
        break;
      case MicroOp.DEC:
        code[i + 1] = -1;
        break;
      case MicroOp.SUB:
        if ((word >>> 18 & 31) != Cpu.ZERO || code[i + 1] == Integer.MIN_VALUE) {
          return false;
        }
        code[i + 1] = -code[i + 1];
        break;
      default:
        return false;
    }
    // The scale of an address stands where arithmetic has its width.
    code[i] = word & 0x7F_FF00 | (x == 0 ? MicroOp.LEA64 : MicroOp.LEA32);
    return true;
  }
}
