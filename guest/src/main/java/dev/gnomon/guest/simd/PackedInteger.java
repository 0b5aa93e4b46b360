package dev.gnomon.guest.simd;

/**
 * Operations that treat the two halves of a 128-bit operand alike, named by the last byte of their opcodes (0F map).
 * Lanes are computed side by side in one word, in the manner of Warren, "Hacker's Delight", chapter 2: sums and
 * differences without the lanes' top bits cannot reach the next lane.
 */
public final class PackedInteger {
  private static final long BYTE_TOPS = 0x8080_8080_8080_8080L;
  private static final long WORD_TOPS = 0x8000_8000_8000_8000L;
  private static final long DWORD_TOPS = 0x8000_0000_8000_0000L;
  private static final long LOW32 = 0xFFFF_FFFFL;

  private PackedInteger() {}

  /**
   * One half of the result.
   *
   * @param opcode second opcode byte
   * @param a destination operand's half
   * @param b source operand's half
   */
  public static long half(int opcode, long a, long b) {
    return switch (opcode) {
      // ANDPS, PAND and so on.
      case 0x54, 0xDB -> a & b;
      case 0x55, 0xDF -> ~a & b;
      case 0x56, 0xEB -> a | b;
      case 0x57, 0xEF -> a ^ b;
      // PCMPGTB, PCMPGTW, PCMPGTD.
      case 0x64 -> ~greaterOrEqual(b ^ BYTE_TOPS, a ^ BYTE_TOPS, BYTE_TOPS);
      case 0x65 -> ~greaterOrEqual(b ^ WORD_TOPS, a ^ WORD_TOPS, WORD_TOPS);
      case 0x66 -> ~greaterOrEqual(b ^ DWORD_TOPS, a ^ DWORD_TOPS, DWORD_TOPS);
      // PCMPEQB, PCMPEQW, PCMPEQD.
      case 0x74 -> equal(a ^ b, BYTE_TOPS);
      case 0x75 -> equal(a ^ b, WORD_TOPS);
      case 0x76 -> equal(a ^ b, DWORD_TOPS);
      // PADDQ, PMULLW.
      case 0xD4 -> a + b;
      case 0xD5 -> multiply(a, b, 0, true);
      // PSUBUSB, PSUBUSW, PMINUB, PADDUSB, PADDUSW, PMAXUB.
      case 0xD8 -> subtract(a, b, BYTE_TOPS) & greaterOrEqual(a, b, BYTE_TOPS);
      case 0xD9 -> subtract(a, b, WORD_TOPS) & greaterOrEqual(a, b, WORD_TOPS);
      case 0xDA -> choose(greaterOrEqual(a, b, BYTE_TOPS), b, a);
      case 0xDC -> addUnsigned(a, b, BYTE_TOPS);
      case 0xDD -> addUnsigned(a, b, WORD_TOPS);
      case 0xDE -> choose(greaterOrEqual(a, b, BYTE_TOPS), a, b);
      // PAVGB, PAVGW.
      case 0xE0 -> average(a, b, BYTE_TOPS);
      case 0xE3 -> average(a, b, WORD_TOPS);
      // PMULHUW, PMULHW.
      case 0xE4 -> multiply(a, b, 16, false);
      case 0xE5 -> multiply(a, b, 16, true);
      // PSUBSB, PSUBSW, PMINSW, PADDSB, PADDSW, PMAXSW.
      case 0xE8 -> subtractSigned(a, b, BYTE_TOPS);
      case 0xE9 -> subtractSigned(a, b, WORD_TOPS);
      case 0xEA -> choose(greaterOrEqual(a ^ WORD_TOPS, b ^ WORD_TOPS, WORD_TOPS), b, a);
      case 0xEC -> addSigned(a, b, BYTE_TOPS);
      case 0xED -> addSigned(a, b, WORD_TOPS);
      case 0xEE -> choose(greaterOrEqual(a ^ WORD_TOPS, b ^ WORD_TOPS, WORD_TOPS), a, b);
      // PMULUDQ, PMADDWD, PSADBW.
      case 0xF4 -> (a & LOW32) * (b & LOW32);
      case 0xF5 -> multiplyAdd(a, b);
      case 0xF6 -> absoluteDifferences(a, b);
      // PSUBB, PSUBW, PSUBD, PSUBQ, PADDB, PADDW, PADDD.
      case 0xF8 -> subtract(a, b, BYTE_TOPS);
      case 0xF9 -> subtract(a, b, WORD_TOPS);
      case 0xFA -> subtract(a, b, DWORD_TOPS);
      case 0xFB -> a - b;
      case 0xFC -> add(a, b, BYTE_TOPS);
      case 0xFD -> add(a, b, WORD_TOPS);
      case 0xFE -> add(a, b, DWORD_TOPS);
      default -> throw new AssertionError("no packed operation " + Integer.toHexString(opcode));
    };
  }

  /** Lanes whose top bit is set in {@code bits} become all ones, the others 0. */
  private static long spread(long bits, long tops) {
    long top = bits & tops;
    long low = top >>> Long.numberOfTrailingZeros(tops);
    // Each lane: its top bit less its bottom bit is all below the top.
    return top - low | top;
  }

  private static long choose(long mask, long yes, long no) {
    return yes & mask | no & ~mask;
  }

  private static long equal(long difference, long tops) {
    long below = ~tops;
    return spread(~((difference & below) + below | difference), tops);
  }

  /** Unsigned a ≥ b. */
  private static long greaterOrEqual(long a, long b, long tops) {
    long difference = (a | tops) - (b & ~tops);
    return spread(a & ~b | ~(a ^ b) & difference, tops);
  }

  private static long add(long a, long b, long tops) {
    return (a & ~tops) + (b & ~tops) ^ (a ^ b) & tops;
  }

  private static long subtract(long a, long b, long tops) {
    return (a | tops) - (b & ~tops) ^ (a ^ ~b) & tops;
  }

  private static long addUnsigned(long a, long b, long tops) {
    long sum = add(a, b, tops);
    return sum | ~greaterOrEqual(sum, a, tops);
  }

  private static long addSigned(long a, long b, long tops) {
    long sum = add(a, b, tops);
    return choose(spread(~(a ^ b) & (a ^ sum), tops), saturated(a, tops), sum);
  }

  private static long subtractSigned(long a, long b, long tops) {
    long difference = subtract(a, b, tops);
    return choose(spread((a ^ b) & (a ^ difference), tops), saturated(a, tops), difference);
  }

  /** The largest signed number for lanes that are positive in a, the smallest for the others. */
  private static long saturated(long a, long tops) {
    return spread(a, tops) ^ ~tops;
  }

  /** (a + b + 1) / 2, unsigned. */
  private static long average(long a, long b, long tops) {
    return subtract(a | b, (a ^ b) >>> 1 & ~tops, tops);
  }

  private static long multiply(long a, long b, int shift, boolean signed) {
    long result = 0;
    for (int at = 0; at < 64; at += 16) {
      int x = signed ? (short) (a >> at) : (int) (a >> at) & 0xFFFF;
      int y = signed ? (short) (b >> at) : (int) (b >> at) & 0xFFFF;
      result |= (x * y >>> shift & 0xFFFFL) << at;
    }
    return result;
  }

  private static long multiplyAdd(long a, long b) {
    long result = 0;
    for (int at = 0; at < 64; at += 32) {
      int sum = (short) (a >> at) * (short) (b >> at) + (short) (a >> at + 16) * (short) (b >> at + 16);
      result |= (sum & LOW32) << at;
    }
    return result;
  }

  private static long absoluteDifferences(long a, long b) {
    int sum = 0;
    for (int at = 0; at < 64; at += 8) {
      sum += Math.abs((int) (a >> at & 0xFF) - (int) (b >> at & 0xFF));
    }
    return sum;
  }

  /**
   * Logical and arithmetic shifts of all lanes of a half by one count.
   *
   * @param kind 1 PSRL, 2 PSRA, 3 PSLL: bits 5:4 of the opcodes D1 to F3
   * @param width of a lane: 16, 32 or 64 bits
   * @param count unsigned; more than the width gives zeros or signs
   */
  public static long shift(int kind, int width, long a, long count) {
    boolean over = Long.compareUnsigned(count, width) >= 0;
    if (over && kind != 2) {
      return 0;
    }
    int by = over ? width - 1 : (int) count;
    if (width == 64) {
      return kind == 1 ? a >>> by : a << by;
    }
    long result = 0;
    int up = 64 - width;
    for (int at = 0; at < 64; at += width) {
      long lane = a << up - at;
      long shifted = kind == 1 ? lane >>> up >>> by : kind == 2 ? lane >> up >> by : lane >>> up << by;
      result |= (shifted << up >>> up) << at;
    }
    return result;
  }

  /**
   * Interleaves four bytes of a with four of b, or two words, or one doubleword of each.
   *
   * @param a left-aligned in its lower 32 bits: the elements to take, as are those of b
   * @param width of an element: 8, 16 or 32 bits
   */
  public static long interleave(long a, long b, int width) {
    long mask = (1L << width) - 1;
    long result = 0;
    for (int at = 0; at < 32; at += width) {
      result |= (a >>> at & mask | (b >>> at & mask) << width) << 2 * at;
    }
    return result;
  }

  /**
   * Packs the lanes of one operand half into 32 bits with saturation.
   *
   * @param width of the source lanes: 16 or 32 bits
   * @param signed saturate to signed numbers; the source is signed in any case
   */
  public static long pack(long a, int width, boolean signed) {
    int to = width / 2;
    int most = signed ? (1 << to - 1) - 1 : (1 << to) - 1;
    int least = signed ? -1 << to - 1 : 0;
    long result = 0;
    for (int at = 0; at < 64; at += width) {
      int lane = (int) (a << 64 - width - at >> 64 - width);
      int value = Math.max(least, Math.min(most, lane));
      result |= (value & (1L << to) - 1) << at / 2;
    }
    return result;
  }

  /** Four words of a, each chosen by two bits of the order. */
  public static long shuffleWords(long a, int order) {
    long result = 0;
    for (int i = 0; i < 4; i++) {
      result |= (a >>> 16 * (order >> 2 * i & 3) & 0xFFFF) << 16 * i;
    }
    return result;
  }

  /** The top bits of the eight bytes. */
  public static int signs(long a) {
    // Byte i's top bit moves to bit 7i of the product's upper byte, where no two meet.
    return (int) ((a & BYTE_TOPS) * 0x0002_0408_1020_4081L >>> 56);
  }
}
