package dev.gnomon.guest.decode;

import static dev.gnomon.guest.decode.MicroOp.HEADER;
import static dev.gnomon.guest.decode.MicroOp.SIZE;

import dev.gnomon.guest.cpu.Cpu;

/**
 * Makes one superblock, as micro-ops in the arena: code of one page along the likely path. Conditional jumps leave it sideways; a jump back to its own
 * start is followed, so that a small loop is unrolled; so are jumps forward. It ends at an indirect jump, a complex instruction, the page's end or the size
 * limit. An instruction that crosses into the next page, or that must run alone, is a block of its own.
 */
final class BlockBuilder {
  /** Most ints that a block may take: header, micro-ops of the longest lowering for each instruction. */
  static final int MAX_INTS = HEADER + SIZE * 16 * 64;

  /** Sideways exits after which a block ends: what lies behind is ever less likely to run. */
  private static final int MOST_EXITS = 8;

  private final CodeCache cache;
  private final InstructionDecoder decoder = new InstructionDecoder();
  private final Instruction insn = new Instruction();
  private final Lowering lowering;
  private final int[] code;
  private int at;
  private int start;
  private int meta;
  private int most;
  private int window;
  private int count;
  /** Instruction count at which the current round of an unrolled loop began. */
  private int round;
  private int exits;
  /** Displacement at which decoding goes on. */
  private int resume;

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
    this.most = (mode & Cpu.MODE_FLAT_CODE) != 0 ? limit : 1;
    this.window = end - from;
    this.count = 0;
    this.round = 0;
    this.exits = 0;
    this.resume = 0;
    int covered = 0;
    boolean ended = false;
    while (!ended && count < most && resume < window) {
      int offset = resume;
      int result = decoder.decode(bytes, from + offset, end, mode, insn);
      if (result == InstructionDecoder.MORE) {
        if (count == 0) {
          return -1;
        }
        break;
      }
      meta = count << 16 | offset;
      int before = this.at;
      resume = offset + insn.length;
      int outcome = result == InstructionDecoder.OK ? lowering.lower(insn, mode, offset)
          : lowering.undefined(result == InstructionDecoder.TOO_LONG);
      if (outcome == Lowering.ALONE) {
        if (count > 0) {
          this.at = before;
          resume = offset;
          break;
        }
        this.at = before;
        emit(MicroOp.COMPLEX, 0, 0, 0, 0, cache.keep(insn), 0);
        ended = true;
      } else {
        ended = outcome == Lowering.END;
      }
      covered = Math.max(covered, offset + insn.length);
      count++;
    }
    if (!ended) {
      emit(MicroOp.GOTO, 0, 0, 0, 0, 0, 0);
    }
    code[start + MicroOp.H_COUNT] = count;
    code[start + MicroOp.H_NEXT] = resume;
    code[start + MicroOp.H_LENGTH] = covered;
    code[start + MicroOp.H_LINK] = 0;
    removeDeadFlags();
    return this.at;
  }

  /**
   * A direct jump that is always taken: decoding goes on behind it if it stays in sight, otherwise the block ends.
   *
   * @param target displacement from the block's start
   */
  int jump(int target) {
    boolean again = target == 0 && roomForRound();
    if (again) {
      round = count + 1;
    } else if (target < resume || target >= window) {
      resume = target;
      emit(MicroOp.GOTO, 0, 0, 0, 0, 0, 0);
      return Lowering.END;
    }
    resume = target;
    return Lowering.NEXT;
  }

  /**
   * A conditional jump. The block goes on behind it, or at its own start if that is where the jump leads.
   *
   * @param op {@link MicroOp#JCX}, fused with the arithmetic before it if that is possible, or {@link MicroOp#JNZX}
   * @param condition word 2 for a taken jump; its lowest bit inverts it
   */
  int branch(int op, int a, int condition, int target) {
    int next = resume;
    boolean loop = target == 0;
    int leaveIf = loop ? condition ^ 1 : condition;
    int last = at > start + HEADER ? code[at - SIZE] & 0xFF : -1;
    int fused = op != MicroOp.JCX ? -1
        : last == MicroOp.SUB ? MicroOp.SUBX : last == MicroOp.AND ? MicroOp.ANDX : last == MicroOp.DEC ? MicroOp.DECX : -1;
    if (fused >= 0) {
      code[at - SIZE] = code[at - SIZE] & ~0xFF | fused;
      code[at - SIZE + 2] = leaveIf;
    } else {
      emit(op, Cpu.SINK, a, Cpu.ZERO, 0, 0, leaveIf);
    }
    emit(MicroOp.DATA, 0, 0, 0, 0, loop ? next : target, 0);
    if (loop) {
      resume = 0;
      if (!roomForRound()) {
        emit(MicroOp.GOTO, 0, 0, 0, 0, 0, 0);
        return Lowering.END;
      }
      round = count + 1;
    } else if (++exits == MOST_EXITS) {
      emit(MicroOp.GOTO, 0, 0, 0, 0, 0, 0);
      return Lowering.END;
    }
    return Lowering.NEXT;
  }

  /** Whether another round of the loop at the block's start still fits. */
  private boolean roomForRound() {
    return 2 * (count + 1) - round <= most;
  }

  void emit(int op, int d, int a, int b, int x, int word1, int word2) {
    code[at] = MicroOp.word0(op, d, a, b, x);
    code[at + 1] = word1;
    code[at + 2] = word2;
    code[at + 3] = meta;
    at += SIZE;
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
