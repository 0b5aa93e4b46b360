package dev.gnomon.guest.decode;

import static dev.gnomon.guest.decode.MicroOp.HEADER;
import static dev.gnomon.guest.decode.MicroOp.SIZE;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Cpuid;

/**
 * Makes one superblock, as micro-ops in the arena: code of one page along the likely path. Conditional jumps leave it
 * sideways; a jump back to its own start is followed, so that a small loop is unrolled; so are jumps forward. It ends
 * at an indirect jump, a complex instruction, the page's end or the size limit. An instruction that crosses into the
 * next page, or that must run alone, is a block of its own.
 */
final class BlockBuilder {
  /** Most longs that a block may take: header, micro-ops of the longest lowering for each instruction. */
  static final int MAX_LONGS = HEADER + SIZE * 16 * 64;

  /** Sideways exits after which a block ends: what lies behind is ever less likely to run. */
  private static final int MOST_EXITS = 8;

  // Kinds of conditions: their codes without the bit that inverts them.
  private static final int OVERFLOW = 0;
  private static final int SIGN = 4;
  private static final int PARITY = 5;
  private static final int LESS = 6;

  /** Which instructions exist. */
  final Cpuid cpuid;
  private final CodeCache cache;
  private final InstructionDecoder decoder = new InstructionDecoder();
  private final Instruction insn = new Instruction();
  private final Lowering lowering;
  private final long[] code;
  private int at;
  private int start;
  /** Bits 63..32 of the second word of micro-ops. */
  private long meta;
  private int most;
  private int window;
  private int count;
  /** Instruction count at which the current round of an unrolled loop began. */
  private int round;
  private int exits;
  /** Displacement at which decoding goes on. */
  private int resume;

  BlockBuilder(CodeCache cache, Cpuid cpuid) {
    this.cpuid = cpuid;
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
      meta = (long) (count << 16 | offset) << 32;
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
        emit(MicroOp.COMPLEX, Cpu.SINK, Cpu.ZERO, Cpu.ZERO, 0, 0, cache.keep(insn), 0);
        ended = true;
      } else {
        ended = outcome == Lowering.END;
      }
      covered = Math.max(covered, offset + insn.length);
      count++;
    }
    if (!ended) {
      // Its instruction is the last one that was kept.
      meta = (long) (count - 1 << 16) << 32;
      leave(resume);
    }
    code[start + MicroOp.H_COUNT] = count;
    code[start + MicroOp.H_LENGTH] = covered;
    code[start + MicroOp.H_END] = this.at;
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
      leave(target);
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
    boolean loop = target == 0;
    int leaveIf = loop ? condition ^ 1 : condition;
    int displacement = loop ? resume : target;
    long last = at > start + HEADER ? code[at - SIZE] : -1;
    int fused = op == MicroOp.JCX ? fused(last, leaveIf) : -1;
    if (fused >= 0) {
      // Behind AND there is no overflow, so that S is L; DEC can overflow.
      int tested = leaveIf >> 1 == SIGN && fused != MicroOp.DECX ? leaveIf & 1 | LESS << 1 : leaveIf;
      code[at - SIZE] = MicroOp.word(fused, MicroOp.d(last), MicroOp.a(last), MicroOp.b(last), MicroOp.x(last), tested,
          MicroOp.immediate(last));
      code[at - SIZE + 1] = meta | displacement & 0xFFFF_FFFFL;
    } else {
      emit(op, Cpu.SINK, a, Cpu.ZERO, 0, leaveIf, 0, displacement);
    }
    if (loop) {
      resume = 0;
      if (!roomForRound()) {
        leave(0);
        return Lowering.END;
      }
      round = count + 1;
    } else if (++exits == MOST_EXITS) {
      leave(resume);
      return Lowering.END;
    }
    return Lowering.NEXT;
  }

  /** The operation that does arithmetic and the exit behind it, or −1. */
  private static int fused(long arithmetic, int condition) {
    int kind = condition >> 1;
    int form = MicroOp.x(arithmetic) == 0 ? 0 : MicroOp.x(arithmetic) == 32 ? 2 : 4;
    return switch (MicroOp.operation(arithmetic)) {
      case MicroOp.SUB64, MicroOp.SUB32 -> kind != OVERFLOW && kind != SIGN && kind != PARITY
          ? MicroOp.SUBX64 + form : -1;
      case MicroOp.AND64, MicroOp.AND32 -> kind != OVERFLOW && kind != PARITY ? MicroOp.ANDX64 + form : -1;
      case MicroOp.DEC -> MicroOp.DECX;
      default -> -1;
    };
  }

  /** Whether another round of the loop at the block's start still fits. */
  private boolean roomForRound() {
    return 2 * (count + 1) - round <= most;
  }

  /** Ends the block behind its last instruction. */
  int end() {
    leave(resume);
    return Lowering.END;
  }

  /** Ends the block. */
  private void leave(int displacement) {
    emit(MicroOp.GOTO, Cpu.SINK, Cpu.ZERO, Cpu.ZERO, 0, 0, 0, displacement);
  }

  /** Emits a micro-op. @param low bits 31..0 of its second word */
  void emit(int op, int d, int a, int b, int x, int condition, int immediate, int low) {
    code[at] = MicroOp.word(op, d, a, b, x, condition, immediate);
    code[at + 1] = meta | low & 0xFFFF_FFFFL;
    at += SIZE;
  }

  /**
   * Takes the forms without flags where the flags are overwritten before anyone can see them; what can fault sees them.
   */
  private void removeDeadFlags() {
    boolean live = true;
    for (int i = at - SIZE; i >= start + HEADER; i -= SIZE) {
      if (!live) {
        code[i] = withoutFlags(code[i]);
      }
      int op = MicroOp.operation(code[i]);
      if (MicroOp.readsFlags(op)) {
        live = true;
      } else if (MicroOp.setsFlags(op)) {
        live = false;
      }
    }
  }

  private static long withoutFlags(long w) {
    int op = MicroOp.operation(w);
    int d = MicroOp.d(w);
    int a = MicroOp.a(w);
    if (op <= MicroOp.SAR32) {
      boolean zero = op >> 2 == MicroOp.XOR64 >> 2 && a == MicroOp.b(w) && MicroOp.immediate(w) == 0;
      return zero ? MicroOp.word(MicroOp.ADD_NF64, d, Cpu.ZERO, Cpu.ZERO, 0, 0, 0) : w & ~1L;
    }
    if (op == MicroOp.INC || op == MicroOp.DEC) {
      return MicroOp.word(MicroOp.x(w) == 32 ? MicroOp.ADD_NF32 : MicroOp.ADD_NF64, d, a, Cpu.ZERO, 0, 0,
          op == MicroOp.INC ? 1 : -1);
    }
    return w;
  }
}
