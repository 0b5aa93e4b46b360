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
  /** Displacement from the block's start of where {@link #GOTO} leads. */
  public static final int H_NEXT = 1;
  /** Bytes from the first to behind the last that was decoded. */
  public static final int H_LENGTH = 2;
  /** Index of the block that GOTO leads to, 0 if not linked. */
  public static final int H_LINK = 3;
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
  /** d = sign-extended word 1. */
  public static final int MOVI = 1;
  /** d = word 2 : word 1. */
  public static final int MOVI64 = 2;
  /** Low 64 − x bits of d = those of a. */
  public static final int MOVN = 3;
  /** d = address. */
  public static final int LEA64 = 4;
  public static final int LEA32 = 5;
  // Loads, zero-extended; faulting.
  public static final int LD8 = 6;
  public static final int LD16 = 7;
  public static final int LD32 = 8;
  public static final int LD64 = 9;
  // Stores of d; faulting.
  public static final int ST8 = 10;
  public static final int ST16 = 11;
  public static final int ST32 = 12;
  public static final int ST64 = 13;
  /** Push regs[a] + word 1 on a flat 64-bit or 32-bit stack; faulting. */
  public static final int PUSH64 = 14;
  public static final int PUSH32 = 15;
  public static final int POP64 = 16;
  public static final int POP32 = 17;
  // Arithmetic that sets all status flags; d gets the result right-aligned and zero-extended.
  public static final int ADD = 18;
  public static final int SUB = 19;
  public static final int AND = 20;
  public static final int OR = 21;
  public static final int XOR = 22;
  /** Keep CF. */
  public static final int INC = 23;
  public static final int DEC = 24;
  /** Shifts by word 1, 1 to width − 1. Rotates are warm. */
  public static final int SHL = 25;
  public static final int SHR = 26;
  public static final int SAR = 27;
  /** Signed multiply, truncated. */
  public static final int IMUL = 28;
  /** d = a & word 1, the mask zero-extended: 32-bit moves and MOVZX. */
  public static final int ZX = 29;
  /** d = low 64 − x bits of a sign-extended, then the low 64 − word 1 bits of that zero-extended. */
  public static final int SX = 30;
  /** d = a or d, zero-extended from 64 − x bits, by condition word 2. */
  public static final int CMOV = 31;
  /** d = condition word 2 ? 1 : 0. */
  public static final int SET = 32;
  // Exits from the middle of a block, for conditional jumps: leave if condition word 2 holds. A record follows, as if it were a micro-op:
  // DATA | displacement of the target from the block's start | link to its block, 0 if none | ordinal and offset of the jump.
  public static final int JCX = 33;
  /** Leave if a is not zero (word 2 = 0) or zero (word 2 = 1). */
  public static final int JNZX = 34;
  /** Arithmetic, then the exit. */
  public static final int SUBX = 35;
  public static final int ANDX = 36;
  public static final int DECX = 37;
  // Block ends.
  /** Go on at the displacement in the header. */
  public static final int GOTO = 38;
  /** Pop and jump, then add word 1 to the stack pointer; faulting. */
  public static final int RET64 = 39;
  public static final int RET32 = 40;
  /** Jump to regs[a], already zero-extended; faulting. */
  public static final int JMPR = 41;
  /** d = a + base of segment word 1 (FS, GS in 64-bit mode). */
  public static final int ADDSEG = 42;
  /** Operation word 2 of {@link WarmOp}, apart from the hot loop; faulting. */
  public static final int WARM = 43;
  /** Instruction number word 1 of {@link CodeCache#instruction}, run from its decoded form, alone in its block; faulting. */
  public static final int COMPLEX = 44;

  /** Not an operation: the record behind an exit. */
  public static final int DATA = 45;

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
    return op >= ADD && op <= XOR || op >= SHL && op <= IMUL;
  }

  /** Whether the operation reads a status flag, or leaves the block for code that may. */
  public static boolean readsFlags(int op) {
    return op == INC || op == DEC || op == CMOV || op == SET || op == WARM || op >= JCX && op <= COMPLEX && op != ADDSEG;
  }
}
