package dev.gnomon.guest.cpu;

/**
 * The six status flags, kept lazily in two words so that no kind of operation must be remembered:
 * <pre>
 *  result  last result, sign-extended to 64 bits:  ZF = (result == 0), SF = sign bit ^ carries[0], PF = even parity of result[7:0] ^ carries[15:8]
 *  carries 63: CF   62: CF ^ OF   15:8: parity correction   3: AF   0: sign correction
 * </pre>
 * An addition's carry-out vector, left-aligned, is {@code (x & y) | ((x | y) & ~sum)}; a subtraction's borrow vector
 * {@code (~x & y) | ((~x | y) & diff)}; bits 63 and 62 of either are what {@code carries} needs. The corrections allow
 * SF, ZF and PF that no single result has (POPF, SAHF).
 */
public final class Flags {
  public static final long CF = 1L << 63;
  public static final long PO = 1L << 62;
  public static final long CF_PO = CF | PO;
  public static final long AF = 1L << 3;
  public static final long SIGN_CORRECTION = 1L;
  private static final int PARITY_SHIFT = 8;

  private Flags() {}

  public static boolean cf(long carries) {
    return carries < 0;
  }

  public static boolean of(long carries) {
    return (carries ^ carries << 1) < 0;
  }

  public static boolean af(long carries) {
    return (carries & AF) != 0;
  }

  public static boolean zf(long result) {
    return result == 0;
  }

  public static boolean sf(long result, long carries) {
    return (result ^ carries << 63) < 0;
  }

  public static boolean pf(long result, long carries) {
    int b = (int) (result ^ carries >>> PARITY_SHIFT) & 0xFF;
    return (0x9669 >>> ((b ^ b >>> 4) & 0xF) & 1) != 0;
  }

  /** The status flags in their RFLAGS places. */
  public static int pack(long result, long carries) {
    return (cf(carries) ? Rflags.CF : 0) | (pf(result, carries) ? Rflags.PF : 0) | (af(carries) ? Rflags.AF : 0)
        | (zf(result) ? Rflags.ZF : 0) | (sf(result, carries) ? Rflags.SF : 0) | (of(carries) ? Rflags.OF : 0);
  }

  /** A result word that has the given ZF; with {@link #carriesFor} it gives back any combination. */
  public static long resultFor(int rflags) {
    return (rflags & Rflags.ZF) != 0 ? 0 : 1;
  }

  /** The carries word that belongs to {@link #resultFor}. */
  public static long carriesFor(int rflags) {
    boolean zf = (rflags & Rflags.ZF) != 0;
    boolean pf = (rflags & Rflags.PF) != 0;
    long carries = (rflags & Rflags.CF) != 0 ? CF : 0;
    if (((rflags & Rflags.OF) != 0) != ((rflags & Rflags.CF) != 0)) {
      carries |= PO;
    }
    if ((rflags & Rflags.AF) != 0) {
      carries |= AF;
    }
    if ((rflags & Rflags.SF) != 0) {
      carries |= SIGN_CORRECTION;
    }
    // resultFor gives 0 (even parity) or 1 (odd parity).
    if (pf != zf) {
      carries |= 1L << PARITY_SHIFT;
    }
    return carries;
  }

  /** Carries word of a left-aligned addition; {@code x} is 64 minus the width. */
  public static long ofSum(long p, long q, long sum, int x) {
    long carry = p & q | (p | q) & ~sum;
    return carry & CF_PO | carry >>> x & AF;
  }

  /** Carries word of a left-aligned subtraction p − q. */
  public static long ofDifference(long p, long q, long difference, int x) {
    long borrow = ~p & q | (~p | q) & difference;
    return borrow & CF_PO | borrow >>> x & AF;
  }

  /** Carries word after INC gave the left-aligned {@code sum}: CF is kept, OF if it is the smallest negative number. */
  public static long ofIncrement(long carries, long sum, int x) {
    long overflow = sum == Long.MIN_VALUE ? CF : 0;
    return carries & CF | (carries ^ overflow) >>> 1 & PO | ((sum >>> x & 15) == 0 ? AF : 0);
  }

  /**
   * Carries word after DEC gave the left-aligned {@code difference}: CF is kept, OF if it is the largest positive
   * number.
   */
  public static long ofDecrement(long carries, long difference, int x) {
    long overflow = difference == (Long.MAX_VALUE >>> x << x) ? CF : 0;
    return carries & CF | (carries ^ overflow) >>> 1 & PO | ((difference >>> x & 15) == 15 ? AF : 0);
  }

  /** Carries word of a right shift: CF is bit 0 of {@code last}, OF the sign bit of {@code before}. */
  public static long ofRightShift(long last, long before) {
    long cf = last << 63;
    return cf | (cf ^ before) >>> 1 & PO;
  }

  /** Carries word of a signed multiplication: CF and OF tell that {@code truncated} is not the product. */
  public static long ofProduct(long p, long q, long truncated) {
    return truncated == p * q && Math.multiplyHigh(p, q) == p * q >> 63 ? 0 : CF;
  }

  /** Carries word with CF and OF as given and AF clear. */
  public static long carries(boolean cf, boolean of) {
    return (cf ? CF : 0) | (cf != of ? PO : 0);
  }

  /**
   * Evaluates a condition code (SDM vol. 1, appendix "EFLAGS Condition Codes"): 0 O, 1 NO, 2 B, 3 NB, 4 Z, 5 NZ, 6 BE,
   * 7 NBE, 8 S, 9 NS, 10 P, 11 NP, 12 L, 13 NL, 14 LE, 15 NLE.
   */
  public static boolean condition(int cc, long result, long carries) {
    boolean value = switch (cc >> 1) {
      case 0 -> of(carries);
      case 1 -> carries < 0;
      case 2 -> result == 0;
      case 3 -> carries < 0 || result == 0;
      case 4 -> sf(result, carries);
      case 5 -> pf(result, carries);
      case 6 -> sf(result, carries) != of(carries);
      default -> result == 0 || sf(result, carries) != of(carries);
    };
    return value != ((cc & 1) != 0);
  }

  /**
   * Evaluates a condition code after a subtraction p − q of operands that are sign-extended to 64 bits from whatever
   * width: 2 B to 7 NBE and 12 L to 15 NLE.
   */
  public static boolean comparison(int cc, long p, long q) {
    boolean value = switch (cc >> 1) {
      case 1 -> Long.compareUnsigned(p, q) < 0;
      case 2 -> p == q;
      case 3 -> Long.compareUnsigned(p, q) <= 0;
      case 6 -> p < q;
      default -> p <= q;
    };
    return value != ((cc & 1) != 0);
  }
}
