package dev.gnomon.guest.decode;

/**
 * Micro-operations: what the interpreter runs and what a code generator would compile. Four ints each, in the arena of {@link CodeCache}:
 * <pre>
 *  word 0   31..23   22..18   17..13   12..8   7..0
 *           x        b        a        d       operation
 *  word 1   immediate or displacement
 *  word 2   second immediate, condition code, or sub-operation
 *  word 3   31..16 ordinal of the instruction in its block | 15..0 its offset from the block's start
 * </pre>
 * {@code d}, {@code a}, {@code b} are register slots of {@code Cpu.regs}. Arithmetic works on left-aligned operands, so that one form serves all
 * widths: {@code x} is 64 minus the width in bits. The second operand is {@code regs[b] + immediate}: a register form has immediate 0, an immediate form
 * b = ZERO. An address is {@code regs[a] + (regs[b] << x[1:0]) + displacement}; x[2] tells that it is stack-relative (#SS instead of #GP).
 * Only operations listed as faulting yield a status.
 */
public final class MicroOp {
  // Block header, in ints from the block's index.
  /** Instructions in the block. */
  public static final int H_COUNT = 0;
  /** Displacement of the taken target from the block's start. */
  public static final int H_TAKEN = 1;
  /** Length in bytes: displacement of the fall-through target. */
  public static final int H_NEXT = 2;
  /** Index of the block at the taken target, 0 if not linked. */
  public static final int H_TAKEN_LINK = 3;
  public static final int H_NEXT_LINK = 4;
  /** Offset in host memory of the first byte. */
  public static final int H_OFFSET = 5;
  /** Mode the block was decoded for, with {@link CodeCache}'s variant bits. */
  public static final int H_MODE = 6;
  /** Next block of the same frame, 0 at the end. */
  public static final int H_CHAIN = 7;
  public static final int HEADER = 8;
  public static final int SIZE = 4;

  // Moves.
  public static final int MOV64 = 0;
  public static final int MOV32 = 1;
  /** d = sign-extended word 1. */
  public static final int MOVI = 2;
  /** d = word 2 : word 1. */
  public static final int MOVI64 = 3;
  /** Low 64 − x bits of d = those of a. */
  public static final int MOVN = 4;
  /** d = address. */
  public static final int LEA64 = 5;
  public static final int LEA32 = 6;
  // Loads, zero-extended; faulting.
  public static final int LD8 = 7;
  public static final int LD16 = 8;
  public static final int LD32 = 9;
  public static final int LD64 = 10;
  // Stores of d; faulting.
  public static final int ST8 = 11;
  public static final int ST16 = 12;
  public static final int ST32 = 13;
  public static final int ST64 = 14;
  /** Push regs[a] + word 1 on a flat 64-bit or 32-bit stack; faulting. */
  public static final int PUSH64 = 15;
  public static final int PUSH32 = 16;
  public static final int POP64 = 17;
  public static final int POP32 = 18;
  // Arithmetic that sets all status flags; d gets the result right-aligned and zero-extended.
  public static final int ADD = 19;
  public static final int SUB = 20;
  public static final int AND = 21;
  public static final int OR = 22;
  public static final int XOR = 23;
  /** Keep CF. */
  public static final int INC = 24;
  public static final int DEC = 25;
  /** Shifts by word 1, 1 to width − 1. */
  public static final int SHL = 26;
  public static final int SHR = 27;
  public static final int SAR = 28;
  public static final int ROL = 29;
  /** Signed multiply, truncated. */
  public static final int IMUL = 30;
  /** d = a & word 1 (zero-extended mask): MOVZX and byte extraction, no flags. */
  public static final int ZX = 31;
  /** d = (a << x) >> x, no flags. */
  public static final int SX64 = 32;
  public static final int SX32 = 33;
  /** d = a or d, zero-extended from 64 − x bits, by condition word 2. */
  public static final int CMOV = 34;
  /** d = condition word 2 ? 1 : 0. */
  public static final int SET = 35;
  // Block ends.
  public static final int JMP = 36;
  /** Conditional jump by condition word 2. */
  public static final int JCC = 37;
  /** Arithmetic and conditional jump by condition word 2. */
  public static final int SUBJ = 38;
  public static final int ANDJ = 39;
  public static final int DECJ = 40;
  /** Jump if regs[a] is not zero. */
  public static final int JNZ = 41;
  /** Pop and jump, then add word 1 to the stack pointer; faulting. */
  public static final int RET64 = 43;
  public static final int RET32 = 44;
  /** Jump to regs[a], already zero-extended; faulting. */
  public static final int JMPR = 45;
  /** End of the block without a jump. */
  public static final int FALL = 46;
  /** d = a + base of segment word 1 (FS, GS in 64-bit mode). */
  public static final int ADDSEG = 47;
  /** Operation word 2 of {@link WarmOp}, apart from the hot loop; faulting. */
  public static final int WARM = 48;
  /** Shift without flags. */
  public static final int SHLN = 49;
  /** Instruction number word 1 of {@link CodeCache#instruction}, run from its decoded form, alone in its block; faulting. */
  public static final int COMPLEX = 50;

  private MicroOp() {}

  public static int word0(int op, int d, int a, int b, int x) {
    return op | d << 8 | a << 13 | b << 18 | x << 23;
  }

  /** Whether the operation can yield a status, so that flags must be right before it. */
  public static boolean faulting(int op) {
    return op >= LD8 && op <= POP32 || op >= RET64 && op <= JMPR || op == WARM || op == COMPLEX;
  }

  /** Whether the operation sets all status flags and reads none. */
  public static boolean setsFlags(int op) {
    return op >= ADD && op <= XOR || op == SHL || op == SHR || op == SAR || op == IMUL || op == SUBJ || op == ANDJ;
  }

  /** Whether the operation reads a status flag. */
  public static boolean readsFlags(int op) {
    return op == INC || op == DEC || op == ROL || op == CMOV || op == SET || op == JCC || op == DECJ || op == WARM;
  }

  public static boolean endsBlock(int op) {
    return op >= JMP && op <= FALL || op == COMPLEX;
  }
}
