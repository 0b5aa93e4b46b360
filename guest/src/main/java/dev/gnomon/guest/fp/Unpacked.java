package dev.gnomon.guest.fp;

/** An operand taken apart. Reused, so that arithmetic allocates nothing. */
final class Unpacked {
  static final int ZERO = 0;
  static final int FINITE = 1;
  static final int INFINITE = 2;
  static final int QUIET_NAN = 3;
  static final int SIGNALING_NAN = 4;
  /** An encoding of the extended format that the processor no longer supports. */
  static final int UNSUPPORTED = 5;

  /** Quiet bit of a NaN's significand. */
  static final long QUIET = 1L << 62;
  private static final int SINGLE_SHIFT = 40;
  private static final int SINGLE_SPECIAL = 0xFF;
  private static final int SINGLE_BIAS = 127;
  private static final int DOUBLE_SHIFT = 11;
  private static final int DOUBLE_SPECIAL = 0x7FF;
  private static final int DOUBLE_BIAS = 1023;
  private static final int EXTENDED_SPECIAL = 0x7FFF;
  private static final int EXTENDED_BIAS = 16383;
  private static final int EXTENDED_SIGN = 0x8000;
  private static final long INTEGER_BIT = 1L << 63;

  int kind;
  boolean negative;
  /** Of a finite number: its value is significand × 2^(exponent − 63). */
  int exponent;
  /** Bit 63 is set, but for zeros. The fraction of a NaN is left-aligned behind that bit. */
  long significand;
  /** The number has no leading one as it lies in its format. */
  boolean denormal;

  void ofSingle(int bits, boolean denormalsAreZero) {
    take(bits < 0, bits >>> 23 & SINGLE_SPECIAL, (bits & 0x7F_FFFFL) << SINGLE_SHIFT, SINGLE_SPECIAL, SINGLE_BIAS,
        denormalsAreZero);
  }

  void ofDouble(long bits, boolean denormalsAreZero) {
    take(bits < 0, (int) (bits >>> 52) & DOUBLE_SPECIAL, (bits & 0xF_FFFF_FFFF_FFFFL) << DOUBLE_SHIFT, DOUBLE_SPECIAL,
        DOUBLE_BIAS,
        denormalsAreZero);
  }

  /** @param signExponent bits 79..64 */
  void ofExtended(int signExponent, long bits) {
    negative = (signExponent & EXTENDED_SIGN) != 0;
    int biased = signExponent & EXTENDED_SPECIAL;
    significand = bits;
    denormal = false;
    boolean integer = bits < 0;
    if (biased == EXTENDED_SPECIAL) {
      kind = !integer ? UNSUPPORTED : bits << 1 == 0 ? INFINITE : (bits & QUIET) != 0 ? QUIET_NAN : SIGNALING_NAN;
    } else if (bits == 0 && biased == 0) {
      kind = ZERO;
    } else if (!integer && biased != 0) {
      kind = UNSUPPORTED;
    } else {
      kind = FINITE;
      // A denormal has the exponent of the smallest normal; so has a pseudo-denormal, which has the leading one.
      denormal = biased == 0;
      normalize(Math.max(biased, 1) - EXTENDED_BIAS);
    }
  }

  /** @param fraction left-aligned behind bit 63 */
  private void take(boolean sign, int biased, long fraction, int special, int bias, boolean denormalsAreZero) {
    negative = sign;
    denormal = false;
    significand = fraction | INTEGER_BIT;
    if (biased == special) {
      kind = fraction == 0 ? INFINITE : (fraction & QUIET) != 0 ? QUIET_NAN : SIGNALING_NAN;
    } else if (biased != 0) {
      kind = FINITE;
      exponent = biased - bias;
    } else if (fraction == 0 || denormalsAreZero) {
      kind = ZERO;
      significand = 0;
    } else {
      kind = FINITE;
      denormal = true;
      significand = fraction;
      normalize(1 - bias);
    }
  }

  private void normalize(int scale) {
    int shift = Long.numberOfLeadingZeros(significand);
    significand <<= shift;
    exponent = scale - shift;
  }

  void ofInteger(long value) {
    negative = value < 0;
    denormal = false;
    significand = negative ? -value : value;
    kind = value == 0 ? ZERO : FINITE;
    if (value != 0) {
      normalize(63);
    }
  }

  void copyFrom(Unpacked other) {
    kind = other.kind;
    negative = other.negative;
    exponent = other.exponent;
    significand = other.significand;
    denormal = other.denormal;
  }

  boolean isNan() {
    return kind == QUIET_NAN || kind == SIGNALING_NAN;
  }
}
