package dev.gnomon.guest.decode;

/**
 * Micro-operations: what the interpreter runs and what a code generator would compile. Two longs each, in the arena of
 * {@link CodeCache}:
 * <pre>
 *  first    63..32      31..28      27..22   21..17   16..12   11..7   6..0
 *           immediate   condition   x        b        a        d       operation
 *  second   63          62..48      47..32   31..0
 *           LINKED      ordinal     offset   link or displacement, second immediate, or sub-operation
 * </pre>
 * {@code d}, {@code a}, {@code b} are register slots of {@code Cpu.regs}. {@code ordinal} is the instruction's number
 * in its block, {@code offset} its distance in bytes from the block's start. The second operand is {@code q = regs[b] +
 * immediate}: a register form has immediate 0, an immediate form b = ZERO. Operations with a width take x = 64 minus
 * the width in bits; the lowering gives results of less than 32 bits to temporaries, whose upper bits may be anything.
 * An address is {@code regs[a] + (regs[b] << x[1:0]) + immediate}; x[2] tells that it is stack-relative (#SS instead of
 * #GP); with loads and stores x[5:3] is the size minus 1, and the condition the rights needed, so that bits 31..25
 * stand as in an entry of {@link dev.gnomon.guest.mmu.SoftTlb}.
 *
 * <p>An operation named NF leaves the status flags alone (the term is Intel APX's). Only operations listed as faulting
 * yield a status.
 */
public final class MicroOp {
  // Block header, in longs from the block's index.
  /** Instructions in the block. */
  public static final int H_COUNT = 0;
  /** Offset in host memory of the first byte. */
  public static final int H_OFFSET = 1;
  /** Mode the block was decoded for, with {@link CodeCache}'s variant bits. */
  public static final int H_MODE = 2;
  /** Next block of the same frame, 0 at the end. */
  public static final int H_CHAIN = 3;
  /** Bytes from the first to behind the last that was decoded. */
  public static final int H_LENGTH = 4;
  /** Index behind the last micro-op. */
  public static final int H_END = 5;
  public static final int HEADER = 6;
  public static final int SIZE = 2;

  /** In the second word of an exit: bits 31..0 are the index of the block that it leads to, in the same page. */
  public static final long LINKED = 1L << 63;

  // d = a operation q. Bit 0 of the number tells that flags are set, for the width in x; bit 1 that d is cut to 32
  // bits.
  public static final int ADD_NF64 = 0;
  public static final int ADD64 = 1;
  public static final int ADD_NF32 = 2;
  public static final int ADD32 = 3;
  public static final int SUB_NF64 = 4;
  public static final int SUB64 = 5;
  public static final int SUB_NF32 = 6;
  public static final int SUB32 = 7;
  public static final int AND_NF64 = 8;
  public static final int AND64 = 9;
  public static final int AND_NF32 = 10;
  public static final int AND32 = 11;
  public static final int OR_NF64 = 12;
  public static final int OR64 = 13;
  public static final int OR_NF32 = 14;
  public static final int OR32 = 15;
  public static final int XOR_NF64 = 16;
  public static final int XOR64 = 17;
  public static final int XOR_NF32 = 18;
  public static final int XOR32 = 19;
  /** Shift by q, 1 to width − 1, as all shifts here. Rotates are warm. */
  public static final int SHL_NF64 = 20;
  public static final int SHL64 = 21;
  public static final int SHL_NF32 = 22;
  public static final int SHL32 = 23;
  /** Signed multiply, truncated. */
  public static final int IMUL_NF64 = 24;
  public static final int IMUL64 = 25;
  public static final int IMUL_NF32 = 26;
  public static final int IMUL32 = 27;
  // Right shifts take their width from x, in all forms.
  public static final int SHR_NF64 = 28;
  public static final int SHR64 = 29;
  public static final int SHR_NF32 = 30;
  public static final int SHR32 = 31;
  public static final int SAR_NF64 = 32;
  public static final int SAR64 = 33;
  public static final int SAR_NF32 = 34;
  public static final int SAR32 = 35;

  // Exits: the block is left if the condition holds, otherwise goes on behind them.
  // Arithmetic with flags, and the condition; those of SF alone, OF alone and PF do not occur.
  public static final int SUBX64 = 36;
  public static final int ANDX64 = 37;
  public static final int SUBX32 = 38;
  public static final int ANDX32 = 39;
  /** The same for 8 and 16 bits. */
  public static final int SUBX = 40;
  public static final int ANDX = 41;
  /** Always: the end of a block. */
  public static final int GOTO = 42;
  /** By a = 0, with bit 0 of the condition inverting. */
  public static final int JNZX = 43;
  // These read flags.
  public static final int JCX = 44;
  public static final int DECX = 45;

  /** Keep CF. */
  public static final int DEC = 46;
  public static final int INC = 47;
  /** d = condition ? 1 : 0. */
  public static final int SET = 48;
  /** d = a or d, zero-extended from 64 − x bits, by condition. */
  public static final int CMOV = 49;

  /** {@link VectorOp}, apart from the hot loop; faulting. */
  public static final int VECTOR = 51;
  // Loads, zero-extended; faulting. The lowest two bits are log2 of the size, as with stores.
  public static final int LD8 = 52;
  public static final int LD16 = 53;
  public static final int LD32 = 54;
  public static final int LD64 = 55;
  /** Loads of a read-modify-write, which check write rights first. */
  public static final int LDW8 = 56;
  public static final int LDW16 = 57;
  public static final int LDW32 = 58;
  public static final int LDW64 = 59;
  // Stores of d; faulting.
  public static final int ST8 = 60;
  public static final int ST16 = 61;
  public static final int ST32 = 62;
  public static final int ST64 = 63;
  /** Push a + immediate on a flat 32-bit or 64-bit stack; faulting. */
  public static final int PUSH32 = 64;
  public static final int PUSH64 = 65;
  public static final int POP32 = 66;
  public static final int POP64 = 67;
  // Ways out of the block to where a register or the stack tells.
  /** Pop and jump, the immediate added to the stack pointer in all; faulting. */
  public static final int RET32 = 68;
  public static final int RET64 = 69;
  /** Jump to regs[a], already zero-extended; faulting. */
  public static final int JMPR = 70;
  /** Sub-operation of {@link WarmOp}, apart from the hot loop; faulting. */
  public static final int WARM = 71;
  /**
   * Instruction number immediate of {@link CodeCache#instruction}, from its decoded form, alone in its block; faulting.
   */
  public static final int COMPLEX = 72;

  /** d = second word's bits 31..0 : immediate. */
  public static final int MOVI64 = 73;
  /** d = address. */
  public static final int LEA64 = 74;
  public static final int LEA32 = 75;
  /** Low 64 − x bits of d = those of a. */
  public static final int MOVN = 76;
  /** d = low 64 − x bits of a sign-extended, then the low 64 − immediate bits of that zero-extended. */
  public static final int SX = 77;
  /** d = a + base of segment number immediate (FS, GS in 64-bit mode). */
  public static final int ADDSEG = 78;

  private static final int OPERATION = 0x7F;
  private static final int SLOT = 31;
  private static final int X = 63;

  private MicroOp() {}

  /** The first word. */
  public static long word(int op, int d, int a, int b, int x, int condition, int immediate) {
    return (long) immediate << 32 | (op | d << 7 | a << 12 | b << 17 | x << 22 | condition << 28) & 0xFFFF_FFFFL;
  }

  public static int operation(long w) {
    return (int) w & OPERATION;
  }

  public static int d(long w) {
    return (int) w >>> 7 & SLOT;
  }

  public static int a(long w) {
    return (int) w >>> 12 & SLOT;
  }

  public static int b(long w) {
    return (int) w >>> 17 & SLOT;
  }

  public static int x(long w) {
    return (int) w >>> 22 & X;
  }

  public static int condition(long w) {
    return (int) w >>> 28;
  }

  public static int immediate(long w) {
    return (int) (w >> 32);
  }

  /** Ordinal of the instruction, from the second word. */
  public static int ordinal(long meta) {
    return (int) (meta >>> 48) & 0x7FFF;
  }

  /** Offset of the instruction, from the second word. */
  public static int offset(long meta) {
    return (int) (meta >>> 32) & 0xFFFF;
  }

  public static boolean isExit(int op) {
    return op >= SUBX64 && op <= DECX;
  }

  /** Whether the operation can yield a status, so that flags must be right before it. */
  public static boolean isFaulting(int op) {
    return op >= VECTOR && op <= COMPLEX;
  }

  /** Whether the operation sets all status flags and reads none. */
  public static boolean setsFlags(int op) {
    return op <= SAR32 && (op & 1) != 0 || op >= SUBX64 && op <= ANDX;
  }

  /** Whether the operation reads a status flag, or leaves the block for code that may. */
  public static boolean readsFlags(int op) {
    return op >= GOTO && op <= CMOV || isFaulting(op);
  }
}
