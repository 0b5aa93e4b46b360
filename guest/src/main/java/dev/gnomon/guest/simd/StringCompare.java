package dev.gnomon.guest.simd;

/**
 * PCMPESTRI and its kin: compares each element of one string with each of another (SDM vol. 1, "Packed Comparison
 * SSE4.2 Instructions", and vol. 2B, chapter 4, "Imm8 Control Byte Operation"):
 * <pre>
 *  imm8  7   6                      5..4       3..2                          1        0
 *        0   most significant or    polarity   any, ranges, each, ordered    signed   words
 *            as a whole mask
 * </pre>
 */
public final class StringCompare {
  private static final int WORDS = 1;
  private static final int SIGNED = 2;
  private static final int RANGES = 1;
  private static final int EACH = 2;
  private static final int ORDERED = 3;
  private static final int NEGATIVE = 1;
  private static final int MASKED = 2;
  private static final int HIGH_OR_WIDE = 1 << 6;

  private StringCompare() {}

  /** Elements of an operand: 8 words or 16 bytes. */
  public static int elements(int control) {
    return (control & WORDS) != 0 ? 8 : 16;
  }

  /** Elements before the first that is 0. */
  public static int length(int control, long low, long high) {
    int n = elements(control);
    int length = 0;
    while (length < n && element(control, low, high, length) != 0) {
      length++;
    }
    return length;
  }

  /** Elements that a register tells: its magnitude, at most all. @param value sign-extended */
  public static int length(int control, long value) {
    int n = elements(control);
    long magnitude = Math.abs(value);
    return Long.compareUnsigned(magnitude, n) < 0 ? (int) magnitude : n;
  }

  private static int element(int control, long low, long high, int index) {
    boolean words = (control & WORDS) != 0;
    boolean signed = (control & SIGNED) != 0;
    if (words) {
      long half = index < 4 ? low : high;
      short word = (short) (half >>> 16 * (index & 3));
      return signed ? word : word & 0xFFFF;
    }
    long half = index < 8 ? low : high;
    byte value = (byte) (half >>> 8 * (index & 7));
    return signed ? value : value & 0xFF;
  }

  /**
   * A bit for each element of b, the first the lowest: IntRes2 in the manual.
   *
   * @param control the immediate
   * @param aLength valid elements of a, the first operand. @param bLength those of b
   */
  public static int compare(int control, long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength) {
    int n = elements(control);
    int result = 0;
    for (int j = 0; j < n; j++) {
      boolean holds = switch (control >> 2 & 3) {
        case RANGES -> j < bLength && inRange(control, aLow, aHigh, aLength, element(control, bLow, bHigh, j));
        case EACH -> j < aLength && j < bLength
            ? element(control, aLow, aHigh, j) == element(control, bLow, bHigh, j) : j >= aLength && j >= bLength;
        case ORDERED -> begins(control, aLow, aHigh, aLength, bLow, bHigh, bLength, j);
        default -> j < bLength && isAny(control, aLow, aHigh, aLength, element(control, bLow, bHigh, j));
      };
      result |= holds ? 1 << j : 0;
    }
    int polarity = control >> 4 & 3;
    int all = (1 << n) - 1;
    return (polarity & NEGATIVE) == 0 ? result : result ^ ((polarity & MASKED) != 0 ? (1 << bLength) - 1 : all);
  }

  private static boolean isAny(int control, long low, long high, int length, int wanted) {
    for (int i = 0; i < length; i++) {
      if (element(control, low, high, i) == wanted) {
        return true;
      }
    }
    return false;
  }

  private static boolean inRange(int control, long low, long high, int length, int value) {
    for (int i = 0; i + 1 < length; i += 2) {
      if (element(control, low, high, i) <= value && value <= element(control, low, high, i + 1)) {
        return true;
      }
    }
    return false;
  }

  /** Whether a, as far as it is valid, begins in b at {@code from}, as far as b goes. */
  private static boolean begins(int control, long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength,
      int from) {
    int n = elements(control);
    for (int i = 0; i < aLength && from + i < n; i++) {
      if (from + i >= bLength || element(control, aLow, aHigh, i) != element(control, bLow, bHigh, from + i)) {
        return false;
      }
    }
    return true;
  }

  /** The index that PCMPESTRI and PCMPISTRI give: of the first or last bit set, or the number of elements. */
  public static int index(int control, int bits) {
    if (bits == 0) {
      return elements(control);
    }
    return (control & HIGH_OR_WIDE) != 0 ? 31 - Integer.numberOfLeadingZeros(bits)
        : Integer.numberOfTrailingZeros(bits);
  }

  /** One half of the mask that PCMPESTRM and PCMPISTRM give: bits, or whole elements. */
  public static long mask(int control, int bits, boolean upper) {
    if ((control & HIGH_OR_WIDE) == 0) {
      return upper ? 0 : bits;
    }
    int width = 128 / elements(control);
    long result = 0;
    for (int at = 0, i = upper ? elements(control) / 2 : 0; at < 64; at += width, i++) {
      result |= (bits >>> i & 1) != 0 ? -1L >>> 64 - width << at : 0;
    }
    return result;
  }
}
