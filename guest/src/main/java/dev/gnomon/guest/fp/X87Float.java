package dev.gnomon.guest.fp;

import dev.gnomon.guest.cpu.FpuWord;

/**
 * Arithmetic of the x87 unit on double extended numbers (SDM vol. 1, "Programming with the x87 FPU"). Operands are put
 * into {@code a} and {@code b} by the methods named for their formats; a result is read by {@link #signExponent} and
 * {@link #significand} or as another format's bits.
 */
public final class X87Float extends SoftFloat {
  /** Sign and exponent, and significand, of the QNaN "real indefinite". */
  public static final int INDEFINITE_EXPONENT = 0xFFFF;
  public static final long INDEFINITE = 3L << 62;
  /** Added to or taken from an exponent that is out of range, if the exception is not masked. */
  private static final int WRAP = 24576;
  private static final int BIAS = 16383;
  private static final int SPECIAL = 0x7FFF;
  private static final int SIGN = 0x8000;
  // Precision control shortens significands, not exponents.
  private static final FloatFormat SHORT = new FloatFormat(24, -16382, 16383);
  private static final FloatFormat MIDDLE = new FloatFormat(53, -16382, 16383);
  private static final int[] PRECISION_BITS = {24, 64, 53, 64};
  private static final int DIGITS = 18;
  private static final long BCD_LIMIT = 1_000_000_000_000_000_000L;
  /** Exponent from which on a number scales past every other. */
  private static final int LARGE_SCALE = 16;
  private static final int HUGE_SCALE = 0x10000;
  private static final int PARTIAL = 64;

  private int precision;
  /** In place of a quotient: the reduction is not complete, or the result is a NaN. */
  public static final int PARTIAL_QUOTIENT = -1;
  public static final int NO_QUOTIENT = -2;
  /** Low three bits of the quotient of a remainder. */
  public int quotient;

  /** Takes rounding, precision and masks from the control word, and begins with no flags. */
  public void control(int word) {
    rounding = word >>> FpuWord.RC_SHIFT & 3;
    precision = PRECISION_BITS[word >>> FpuWord.PC_SHIFT & 3];
    masks = word & EXCEPTIONS;
    flags = 0;
    roundedUp = false;
  }

  /** Whether the last rounding went away from zero. */
  public boolean roundedUp() {
    return roundedUp;
  }

  public void first(int signExponent, long significand) {
    a.ofExtended(signExponent, significand);
  }

  public void second(int signExponent, long significand) {
    b.ofExtended(signExponent, significand);
  }

  public void secondSingle(int bits) {
    b.ofSingle(bits, false);
  }

  public void secondDouble(long bits) {
    b.ofDouble(bits, false);
  }

  public void secondInteger(long value) {
    b.ofInteger(value);
  }

  /** Makes the second operand the first and the other way round. */
  public void swap() {
    result.copyFrom(a);
    a.copyFrom(b);
    b.copyFrom(result);
  }

  public int signExponent() {
    int exponent = switch (result.kind) {
      case Unpacked.ZERO -> 0;
      case Unpacked.FINITE -> result.significand < 0 ? result.exponent + BIAS & SPECIAL : 0;
      default -> SPECIAL;
    };
    return (result.negative ? SIGN : 0) | exponent;
  }

  public long significand() {
    return result.significand;
  }

  /** Whether the result is a finite number. */
  public boolean isNumber() {
    return result.kind == Unpacked.FINITE || result.kind == Unpacked.ZERO;
  }

  /** The first operand truncated to a signed integer. */
  public long toTruncatedInteger(int bits) {
    return toInteger(bits, TOWARD_ZERO);
  }

  /** Of the operations on a and b: the larger significand's NaN, a quiet one before a signaling one. */
  @Override
  Unpacked chosenNan() {
    if (!a.isNan() || !b.isNan()) {
      return a.isNan() ? a : b;
    }
    if (a.kind != b.kind) {
      return a.kind == Unpacked.QUIET_NAN ? a : b;
    }
    int order = Long.compareUnsigned(a.significand, b.significand);
    return order > 0 || order == 0 && !a.negative ? a : b;
  }

  // Arithmetic, rounded as the control word tells; exponents are those of the extended format in any case.

  /** a + b or a − b. */
  public void add(boolean subtract) {
    add(subtract, format());
    wrap();
  }

  public void multiply() {
    multiply(format());
    wrap();
  }

  public void divide() {
    divide(format());
    wrap();
  }

  public void squareRoot() {
    squareRoot(format());
  }

  private FloatFormat format() {
    return switch (precision) {
      case 24 -> SHORT;
      case 53 -> MIDDLE;
      default -> FloatFormat.EXTENDED;
    };
  }

  /** The response to an unmasked overflow or underflow whose result goes to a register. */
  void wrap() {
    int unmasked = flags & ~masks;
    if ((unmasked & OVERFLOW) != 0) {
      result.exponent -= WRAP;
    } else if ((unmasked & UNDERFLOW) != 0) {
      result.exponent += WRAP;
    }
  }

  /** FCOM, or FUCOM if not {@code signaling}. @return LESS, EQUAL, GREATER or UNORDERED */
  public int order(boolean signaling) {
    return compare(signaling);
  }

  /** The second operand, a single or double, as an extended number. */
  public void load() {
    a.copyFrom(b);
    convert(FloatFormat.EXTENDED);
  }

  /** Rounds the first operand; a denormal one is stored without an exception. */
  private void store(FloatFormat format) {
    convert(format);
    flags &= ~DENORMAL;
  }

  /** The first operand as a single's bits. */
  public int toSingle() {
    store(FloatFormat.SINGLE);
    int exponent = switch (result.kind) {
      case Unpacked.ZERO -> 0;
      case Unpacked.FINITE -> result.significand < 0 ? result.exponent + 127 : 0;
      default -> 0xFF;
    };
    return (result.negative ? 1 << 31 : 0) | exponent << 23 | (int) (result.significand << 1 >>> 41);
  }

  /** The first operand as a double's bits. */
  public long toDouble() {
    store(FloatFormat.DOUBLE);
    long exponent = switch (result.kind) {
      case Unpacked.ZERO -> 0;
      case Unpacked.FINITE -> result.significand < 0 ? result.exponent + 1023 : 0;
      default -> 0x7FF;
    };
    return (result.negative ? 1L << 63 : 0) | exponent << 52 | result.significand << 1 >>> 12;
  }

  /** The first operand as a signed integer. */
  public long toInteger(int bits) {
    return toInteger(bits, rounding);
  }

  /** The first operand's magnitude as 18 decimal digits, or −1 with INVALID. The sign is {@link #firstNegative}. */
  public long toDigits() {
    long value = toInteger(64, rounding);
    if ((flags & INVALID) != 0) {
      return -1;
    }
    long magnitude = Math.abs(value);
    // The magnitude of the most negative number is negative.
    if (Long.compareUnsigned(magnitude, BCD_LIMIT) >= 0) {
      flags = flags & ~PRECISION | INVALID;
      return -1;
    }
    long digits = 0;
    for (int i = 0; i < DIGITS - 2; i++) {
      digits |= magnitude % 10 << 4 * i;
      magnitude /= 10;
    }
    topDigits = (int) (magnitude % 10 | magnitude / 10 << 4);
    return digits;
  }

  /** Digits 16 and 17 of {@link #toDigits}. */
  public int topDigits;

  public boolean firstNegative() {
    return a.negative;
  }

  /** FRNDINT. */
  public void roundToInteger() {
    b.kind = Unpacked.ZERO;
    b.denormal = false;
    if (nan()) {
      return;
    }
    denormalOperands();
    if (a.kind != Unpacked.FINITE || a.exponent >= 63) {
      result.copyFrom(a);
      return;
    }
    boolean negative = a.negative;
    long value = toInteger(64, rounding);
    b.ofInteger(value);
    result.copyFrom(b);
    result.negative = negative;
  }

  /** FSCALE: a × 2^b, b truncated. */
  public void scale() {
    if (nan()) {
      return;
    }
    if (b.kind == Unpacked.INFINITE) {
      if (a.kind == (b.negative ? Unpacked.INFINITE : Unpacked.ZERO)) {
        invalid();
        return;
      }
      denormalOperands();
      if (b.negative) {
        zero(a.negative);
      } else {
        infinity(a.negative);
      }
      return;
    }
    denormalOperands();
    if (a.kind != Unpacked.FINITE) {
      result.copyFrom(a);
      return;
    }
    int by = 0;
    if (b.kind == Unpacked.FINITE && b.exponent >= 0) {
      by = b.exponent >= LARGE_SCALE ? HUGE_SCALE : (int) (b.significand >>> 63 - b.exponent);
      by = b.negative ? -by : by;
    }
    exact(a.negative, a.exponent + by, a.significand);
    round(FloatFormat.EXTENDED);
    wrap();
    // Too far out even for a wrapped exponent.
    int exponent = result.exponent;
    if ((flags & ~masks & OVERFLOW) != 0 && exponent > FloatFormat.EXTENDED.maxExponent()) {
      farOut(true);
    } else if ((flags & ~masks & UNDERFLOW) != 0 && exponent < FloatFormat.EXTENDED.minExponent()) {
      farOut(false);
    }
  }

  /** Infinity or zero in any rounding mode, for what no wrapped exponent can express. */
  private void farOut(boolean large) {
    flags |= PRECISION;
    roundedUp = large;
    if (large) {
      infinity(a.negative);
    } else {
      zero(a.negative);
    }
  }

  /** FXTRACT: the exponent of the first operand, as a number. */
  public void extractExponent() {
    b.kind = Unpacked.ZERO;
    b.denormal = false;
    if (nan()) {
      return;
    }
    denormalOperands();
    switch (a.kind) {
      case Unpacked.INFINITE -> infinity(false);
      case Unpacked.ZERO -> {
        flags |= ZERO_DIVIDE;
        infinity(true);
      }
      default -> {
        b.ofInteger(a.exponent);
        result.copyFrom(b);
      }
    }
  }

  /** FXTRACT: its significand, between 1 and 2. */
  public void extractSignificand() {
    b.kind = Unpacked.ZERO;
    if (!nan()) {
      result.copyFrom(a);
      result.exponent = 0;
    }
  }

  /**
   * FPREM and FPREM1: a less a multiple of b. Reduces the exponent by up to 63; {@link #quotient} tells whether that
   * was enough.
   *
   * @param nearest the multiple is the nearest one, as in IEEE 754, not the one toward zero
   */
  public void remainder(boolean nearest) {
    quotient = NO_QUOTIENT;
    if (nan()) {
      return;
    }
    if (a.kind == Unpacked.INFINITE || b.kind == Unpacked.ZERO) {
      invalid();
      return;
    }
    denormalOperands();
    quotient = 0;
    int difference = a.exponent - b.exponent;
    if (a.kind == Unpacked.ZERO) {
      zero(a.negative);
      return;
    }
    if (b.kind == Unpacked.INFINITE || difference < (nearest ? -1 : 0)) {
      exact(a.negative, a.exponent, a.significand);
      round(FloatFormat.EXTENDED);
      wrap();
      return;
    }
    boolean complete = difference < PARTIAL;
    int steps = complete ? difference : difference & 31 | 32;
    long rest = a.significand;
    long bits = 0;
    boolean carry = false;
    for (int i = 0; i <= steps; i++) {
      if (i > 0) {
        carry = rest < 0;
        rest <<= 1;
        bits <<= 1;
      }
      if (carry || Long.compareUnsigned(rest, b.significand) >= 0) {
        rest -= b.significand;
        bits |= 1;
      }
    }
    boolean negative = a.negative;
    int exponent = complete ? b.exponent : a.exponent - steps;
    if (nearest && complete) {
      if (steps < 0) {
        // a is less than b: half of b decides.
        exponent = a.exponent;
        if (Long.compareUnsigned(a.significand, b.significand) > 0) {
          rest = (b.significand << 1) - a.significand;
          negative = !negative;
          bits = 1;
        }
      } else {
        long twice = rest << 1;
        boolean over = rest < 0 || Long.compareUnsigned(twice, b.significand) > 0 || twice == b.significand
            && (bits & 1) != 0;
        if (over && rest != 0) {
          rest = b.significand - rest;
          negative = !negative;
          bits++;
        }
      }
    }
    quotient = complete ? (int) bits & 7 : PARTIAL_QUOTIENT;
    if (rest == 0) {
      zero(a.negative);
      return;
    }
    int shift = Long.numberOfLeadingZeros(rest);
    exact(negative, exponent - shift, rest << shift);
    round(FloatFormat.EXTENDED);
    wrap();
  }

  public void exactConstant(int value) {
    b.ofInteger(value);
    result.copyFrom(b);
  }

  /** A constant of more than 64 bits, rounded; no exception. */
  public void constant(int exponent, long significand, boolean aboveHalf) {
    exact(false, exponent, significand);
    low = aboveHalf ? 3L << 62 : 1L << 62;
    int before = flags;
    round(FloatFormat.EXTENDED);
    flags = before;
  }
}
