package dev.gnomon.guest.decode;

/**
 * Sub-operations of {@link MicroOp#WARM}, in its word 2: frequent enough to be micro-ops, too rare for the hot loop.
 * Register fields, immediate and x are those of the micro-op. Arithmetic has the same convention as the hot operations.
 */
public final class WarmOp {
  public static final int ADC = 0;
  public static final int SBB = 1;
  /** d = ~a, no flags. */
  public static final int NOT = 3;
  /**
   * Shift or rotate d = a by regs[b] + word 1 (count masked here); order of group 2: ROL ROR RCL RCR SHL SHR SAL SAR.
   */
  public static final int SHIFT = 4;
  /** d = a shifted with bits from b, count in T1 or word 1. */
  public static final int SHLD = 12;
  public static final int SHRD = 13;
  /** One-operand multiply and divide of the accumulator by regs[a]. */
  public static final int MUL = 14;
  public static final int IMUL1 = 15;
  public static final int DIV = 16;
  public static final int IDIV = 17;
  /** Bit tests of a by b + word 1; BTS, BTR and BTC put the result into d. */
  public static final int BT = 18;
  public static final int BTS = 19;
  public static final int BTR = 20;
  public static final int BTC = 21;
  public static final int BSF = 22;
  public static final int BSR = 23;
  public static final int BSWAP = 24;
  /** Compare the accumulator with a; equal: ZF, d = b; otherwise d = a. */
  public static final int CMPXCHG = 25;
  /** After CMPXCHG and its store: accumulator = a unless ZF. */
  public static final int CMPXCHG_ACC = 26;
  public static final int CWD = 27;
  public static final int LAHF = 28;
  public static final int SAHF = 29;
  /** Word 1: 0 CLC, 1 STC, 2 CMC, 3 CLD, 4 STD. */
  public static final int FLAG = 30;
  /** d[15:8] = a[7:0], the rest of d kept: AH, BH, CH, DH. */
  public static final int MOVH = 31;
  /** d = a >>> 8 & FFH. */
  public static final int HIGH = 32;
  /** Address of a bit string: d = a + (signed b >> log2 of width) × bytes. */
  public static final int BITADDR = 33;
  /**
   * Load of 2^x[4:3] bytes for a read-modify-write at the address a + b << x[1:0] + word 1: checks write rights first.
   */
  public static final int LDW = 34;
  /** The same, and remembers flags and value for STX. */
  public static final int LDX = 35;
  /** Store of d by compare-and-swap with what LDX loaded; otherwise the instruction starts over. */
  public static final int STX = 36;
  /** Full memory fence (MFENCE, and LOCK forms that need no store). */
  public static final int FENCE = 37;
  /** d = linear address of offset a in segment x[2:0] (with x[3] a write), word 1 bytes, with all segment checks. */
  public static final int LINEAR = 38;
  /** #UD. */
  public static final int UD = 39;
  /** #GP(0) for an instruction of more than 15 bytes. */
  public static final int GP = 40;
  /** Push a + word 1 with 2^x[1:0] bytes on any stack. */
  public static final int PUSH = 41;
  public static final int POP = 42;
  /** d = load of 2^x[1:0] bytes at SS:a, a as wide as the stack pointer; moves nothing. */
  public static final int PEEK = 43;
  /** Stack pointer, as wide as the mode's, = a + word 1. */
  public static final int ADDSP = 44;
  /** d = address with 16-bit wrap. */
  public static final int LEA16 = 45;
  /** LOOPNE, LOOPE, LOOP, JCXZ condition (word 1 0 to 3) into d, counting CX of 2^x bytes. */
  public static final int LOOP = 46;
  /** Spin-loop hint of word 1 bytes, which may leave the guest. */
  public static final int PAUSE = 47;
  /** Near indirect target a checked: canonical in 64-bit mode, within CS otherwise. */
  public static final int CHECKRIP = 49;

  /** d = a != 0 ? T1 : T2. */
  public static final int SELECT = 50;

  /** INVLPG of the page at a + b << x[1:0] + word 1; the condition field is the instruction's length. */
  public static final int INVLPG = 51;

  /** d = bits set in a. */
  public static final int POPCNT = 52;
  /** d = CRC-32C of the lowest 64 − x bits of b, going on from a; no flags. */
  public static final int CRC32 = 53;

  private WarmOp() {}
}
