package dev.gnomon.guest.fp;

import static dev.gnomon.guest.fp.Unpacked.FINITE;
import static dev.gnomon.guest.fp.Unpacked.INFINITE;
import static dev.gnomon.guest.fp.Unpacked.QUIET_NAN;
import static dev.gnomon.guest.fp.Unpacked.SIGNALING_NAN;
import static dev.gnomon.guest.fp.Unpacked.UNSUPPORTED;
import static dev.gnomon.guest.fp.Unpacked.ZERO;

/**
 * Arithmetic on {@link Unpacked} numbers: each operation takes {@link #a} and {@link #b}, works out an exact result of
 * 128 bits, the last one sticky, and rounds it once, into {@link #result}. Flags gather in {@link #flags}. Rounding
 * that detects tininess does so after rounding, as x86 processors do (SDM vol. 1, "Numeric Underflow Exception").
 */
public abstract sealed class SoftFloat permits SseFloat, X87Float {
  // Exceptions, where MXCSR and the x87 status word have their flags.
  public static final int INVALID = 1;
  public static final int DENORMAL = 1 << 1;
  public static final int ZERO_DIVIDE = 1 << 2;
  public static final int OVERFLOW = 1 << 3;
  public static final int UNDERFLOW = 1 << 4;
  public static final int PRECISION = 1 << 5;
  public static final int EXCEPTIONS = 63;

  // Rounding modes, as MXCSR.RC and the x87 control word encode them.
  public static final int NEAREST = 0;
  public static final int DOWN = 1;
  public static final int UP = 2;
  public static final int TOWARD_ZERO = 3;

  // Outcomes of a comparison.
  public static final int LESS = 0;
  public static final int EQUAL = 1;
  public static final int GREATER = 2;
  public static final int UNORDERED = 3;

  private static final long TOP = 1L << 63;

  final Unpacked a = new Unpacked();
  final Unpacked b = new Unpacked();
  /** The rounded result; a denormal one has its significand not normalized, and the format's smallest exponent. */
  final Unpacked result = new Unpacked();
  public int rounding;
  /** Exceptions that are masked. An unmasked underflow is raised by tiny results that are exact, too. */
  public int masks = EXCEPTIONS;
  public boolean denormalsAreZero;
  public boolean flushToZero;
  /** Exceptions since {@link #flags} was cleared. */
  public int flags;
  /** Rounding made the last result larger in magnitude. */
  boolean roundedUp;
  // The exact result behind bit 63 of result.significand.
  long low;
  private boolean inexact;

  /** a + b, or a − b. */
  final void add(boolean subtract, FloatFormat format) {
    if (nan()) {
      return;
    }
    boolean negative = b.negative != subtract;
    if (a.kind == INFINITE || b.kind == INFINITE) {
      if (a.kind == b.kind && a.negative != negative) {
        invalid();
      } else {
        infinity(a.kind == INFINITE ? a.negative : negative);
        denormalOperands();
      }
      return;
    }
    denormalOperands();
    if (a.kind == ZERO && b.kind == ZERO) {
      zero(a.negative == negative ? negative : rounding == DOWN);
    } else if (b.kind == ZERO) {
      exact(a.negative, a.exponent, a.significand);
      round(format);
    } else if (a.kind == ZERO) {
      exact(negative, b.exponent, b.significand);
      round(format);
    } else {
      boolean larger = a.exponent > b.exponent
          || a.exponent == b.exponent && Long.compareUnsigned(a.significand, b.significand) >= 0;
      Unpacked x = larger ? a : b;
      Unpacked y = larger ? b : a;
      exact(larger ? a.negative : negative, x.exponent, y.significand);
      shiftRight(x.exponent - y.exponent);
      if (a.negative == negative) {
        result.significand += x.significand;
        if (Long.compareUnsigned(result.significand, x.significand) < 0) {
          shiftRight(1);
          result.significand |= TOP;
          result.exponent++;
        }
      } else {
        long borrow = low != 0 ? 1 : 0;
        low = -low;
        result.significand = x.significand - result.significand - borrow;
        if (result.significand == 0 && low == 0) {
          zero(rounding == DOWN);
          return;
        }
        normalize();
      }
      round(format);
    }
  }

  final void multiply(FloatFormat format) {
    if (nan()) {
      return;
    }
    boolean negative = a.negative != b.negative;
    if (a.kind == INFINITE && b.kind == ZERO || a.kind == ZERO && b.kind == INFINITE) {
      invalid();
      return;
    }
    denormalOperands();
    if (a.kind == INFINITE || b.kind == INFINITE) {
      infinity(negative);
    } else if (a.kind == ZERO || b.kind == ZERO) {
      zero(negative);
    } else {
      long high = unsignedMultiplyHigh(a.significand, b.significand);
      exact(negative, a.exponent + b.exponent + 1, high);
      low = a.significand * b.significand;
      normalize();
      round(format);
    }
  }

  /** a ÷ b. */
  final void divide(FloatFormat format) {
    if (nan()) {
      return;
    }
    boolean negative = a.negative != b.negative;
    if (a.kind == b.kind && a.kind != FINITE) {
      invalid();
      return;
    }
    if (b.kind == ZERO && a.kind == FINITE) {
      flags |= ZERO_DIVIDE;
      infinity(negative);
      return;
    }
    denormalOperands();
    if (a.kind == INFINITE || b.kind == ZERO) {
      infinity(negative);
    } else if (a.kind == ZERO || b.kind == INFINITE) {
      zero(negative);
    } else {
      exact(negative, a.exponent - b.exponent, 0);
      quotient(a.significand, b.significand);
      round(format);
    }
  }

  /** √a. */
  final void squareRoot(FloatFormat format) {
    b.kind = ZERO;
    b.denormal = false;
    if (nan()) {
      return;
    }
    if (a.kind == ZERO) {
      zero(a.negative);
    } else if (a.negative) {
      invalid();
    } else {
      denormalOperands();
      if (a.kind == INFINITE) {
        infinity(false);
      } else {
        exact(false, a.exponent >> 1, 0);
        root(a.significand, (a.exponent & 1) != 0);
        round(format);
      }
    }
  }

  /** The number a in another format. */
  final void convert(FloatFormat format) {
    b.kind = ZERO;
    b.denormal = false;
    if (nan()) {
      return;
    }
    denormalOperands();
    switch (a.kind) {
      case INFINITE -> infinity(a.negative);
      case ZERO -> zero(a.negative);
      default -> {
        exact(a.negative, a.exponent, a.significand);
        round(format);
      }
    }
  }

  /**
   * The number a as a signed integer of so many bits; INVALID and the smallest one if there is none.
   *
   * @param mode rounding mode
   */
  final long toInteger(int bits, int mode) {
    long indefinite = -1L << bits - 1;
    if (a.kind == ZERO) {
      return 0;
    }
    if (a.kind != FINITE || a.exponent > 63) {
      flags |= INVALID;
      return indefinite;
    }
    long whole = a.exponent < 0 ? 0 : a.significand >>> 63 - a.exponent;
    long rest = a.exponent >= 0 ? a.exponent == 63 ? 0 : a.significand << a.exponent + 1 : a.exponent == -1
        ? a.significand : 1;
    roundedUp = roundsUp(mode, a.negative, rest < 0, rest << 1 != 0, (whole & 1) != 0);
    long magnitude = whole + (roundedUp ? 1 : 0);
    long limit = 1L << bits - 1;
    boolean fits = Long.compareUnsigned(magnitude, a.negative ? limit : limit - 1) <= 0
        && (magnitude != 0 || whole == 0);
    if (!fits) {
      flags |= INVALID;
      return indefinite;
    }
    if (rest != 0) {
      flags |= PRECISION;
    }
    return a.negative ? -magnitude : magnitude;
  }

  /** @param signaling quiet NaNs are invalid operands, too. @return LESS, EQUAL, GREATER or UNORDERED */
  final int compare(boolean signaling) {
    if (a.kind >= QUIET_NAN || b.kind >= QUIET_NAN) {
      if (signaling || a.kind >= SIGNALING_NAN || b.kind >= SIGNALING_NAN) {
        flags |= INVALID;
      }
      return UNORDERED;
    }
    denormalOperands();
    if (a.kind == ZERO && b.kind == ZERO) {
      return EQUAL;
    }
    boolean negative = a.kind == ZERO ? b.negative : a.negative;
    if (a.kind != ZERO && b.kind != ZERO && a.negative != b.negative) {
      return a.negative ? LESS : GREATER;
    }
    int order = a.kind != b.kind ? Integer.compare(a.kind, b.kind)
        : a.kind == INFINITE ? 0
        : a.exponent != b.exponent ? Integer.compare(a.exponent, b.exponent)
        : Long.compareUnsigned(a.significand, b.significand);
    return order == 0 ? EQUAL : order < 0 == negative ? GREATER : LESS;
  }

  /**
   * Handles operands that are NaNs: INVALID for a signaling one, and the result is a NaN. @return whether one was there
   */
  final boolean nan() {
    if (a.kind < QUIET_NAN && b.kind < QUIET_NAN) {
      return false;
    }
    if (a.kind == UNSUPPORTED || b.kind == UNSUPPORTED) {
      invalid();
      return true;
    }
    if (a.kind == SIGNALING_NAN || b.kind == SIGNALING_NAN) {
      flags |= INVALID;
    }
    result.copyFrom(chosenNan());
    result.kind = QUIET_NAN;
    result.significand |= Unpacked.QUIET;
    return true;
  }

  /** Which operand's NaN the result is: as with SSE, the first's. One of the two is a NaN. */
  Unpacked chosenNan() {
    return a.isNan() ? a : b;
  }

  final void denormalOperands() {
    if (a.denormal || b.denormal) {
      flags |= DENORMAL;
    }
  }

  /** The default response to an invalid operation: the QNaN "real indefinite". */
  final void invalid() {
    flags |= INVALID;
    result.kind = QUIET_NAN;
    result.negative = true;
    result.significand = TOP | Unpacked.QUIET;
  }

  final void infinity(boolean negative) {
    result.kind = INFINITE;
    result.negative = negative;
    result.significand = TOP;
  }

  final void zero(boolean negative) {
    result.kind = ZERO;
    result.negative = negative;
    result.significand = 0;
  }

  final void exact(boolean negative, int exponent, long significand) {
    result.kind = FINITE;
    result.negative = negative;
    result.exponent = exponent;
    result.significand = significand;
    low = 0;
  }

  /** Shifts the 128 bits right; what falls off stays in the lowest as a sticky bit. */
  private void shiftRight(int count) {
    long high = result.significand;
    if (count == 0) {
      return;
    }
    if (count < 64) {
      long lost = low << 64 - count;
      low = high << 64 - count | low >>> count | (lost != 0 ? 1 : 0);
      result.significand = high >>> count;
    } else if (count < 128) {
      long lost = (count == 64 ? 0 : high << 128 - count) | low;
      low = (count == 64 ? high : high >>> count - 64) | (lost != 0 ? 1 : 0);
      result.significand = 0;
    } else {
      low = (high | low) != 0 ? 1 : 0;
      result.significand = 0;
    }
  }

  /** Shifts the 128 bits, which are not 0, left until the highest is set. */
  private void normalize() {
    if (result.significand == 0) {
      result.significand = low;
      low = 0;
      result.exponent -= 64;
    }
    int shift = Long.numberOfLeadingZeros(result.significand);
    if (shift > 0) {
      result.significand = result.significand << shift | low >>> 64 - shift;
      low <<= shift;
      result.exponent -= shift;
    }
  }

  /** 64 bits of x ÷ y, the next one, and whether there are more. */
  private void quotient(long x, long y) {
    long rest = x;
    long bits = 0;
    if (Long.compareUnsigned(x, y) >= 0) {
      rest = x - y;
      bits = 1;
    } else {
      result.exponent--;
    }
    boolean carry;
    for (int i = bits == 0 ? 64 : 63; i > 0; i--) {
      carry = rest < 0;
      rest <<= 1;
      bits <<= 1;
      if (carry || Long.compareUnsigned(rest, y) >= 0) {
        rest -= y;
        bits |= 1;
      }
    }
    carry = rest < 0;
    rest <<= 1;
    boolean half = carry || Long.compareUnsigned(rest, y) >= 0;
    if (half) {
      rest -= y;
    }
    result.significand = bits;
    low = (half ? TOP : 0) | (rest != 0 ? 1 : 0);
  }

  /** 64 bits of the root of x × 2^−63, or twice that, the next bit, and whether there are more. */
  private void root(long x, boolean twice) {
    // Two bits of the radicand enter at each step; it is x shifted so that its weight is even.
    long high = twice ? x : x >>> 1;
    long lowest = twice ? 0 : x << 63;
    long root = 0;
    long restHigh = 0;
    long rest = 0;
    for (int i = 0; i < 64; i++) {
      restHigh = restHigh << 2 | rest >>> 62;
      rest = rest << 2 | high >>> 62;
      high = high << 2 | lowest >>> 62;
      lowest <<= 2;
      long trialHigh = root >>> 62;
      long trial = root << 2 | 1;
      root <<= 1;
      if (restHigh > trialHigh || restHigh == trialHigh && Long.compareUnsigned(rest, trial) >= 0) {
        restHigh -= trialHigh + (Long.compareUnsigned(rest, trial) < 0 ? 1 : 0);
        rest -= trial;
        root |= 1;
      }
    }
    boolean half = restHigh != 0 || Long.compareUnsigned(rest, root) > 0;
    result.significand = root;
    low = (half ? TOP : 0) | (restHigh != 0 || rest != 0 ? 1 : 0);
  }

  private static boolean roundsUp(int mode, boolean negative, boolean half, boolean more, boolean odd) {
    return switch (mode) {
      case NEAREST -> half && (more || odd);
      case DOWN -> negative && (half || more);
      case UP -> !negative && (half || more);
      default -> false;
    };
  }

  /** The exact result rounded to its upper {@code precision} bits; 0 if it carries out of bit 63. */
  private long rounded(int precision) {
    int dropped = 64 - precision;
    long high = result.significand;
    boolean half;
    boolean more;
    if (dropped == 0) {
      half = low < 0;
      more = low << 1 != 0;
    } else {
      long bit = 1L << dropped - 1;
      half = (high & bit) != 0;
      more = (high & bit - 1) != 0 || low != 0;
    }
    long unit = 1L << dropped;
    inexact = half || more;
    roundedUp = roundsUp(rounding, result.negative, half, more, (high & unit) != 0);
    return (high & -unit) + (roundedUp ? unit : 0);
  }

  /** Rounds the exact result, normalized, to a format. */
  final void round(FloatFormat format) {
    round(format.precision(), format.minExponent(), format.maxExponent());
  }

  final void round(int precision, int minExponent, int maxExponent) {
    long significand = rounded(precision);
    int exponent = result.exponent;
    if (significand == 0) {
      significand = TOP;
      exponent++;
    }
    if (exponent > maxExponent) {
      overflow(precision, significand, exponent, maxExponent);
    } else if (exponent < minExponent) {
      underflow(precision, significand, exponent, minExponent);
    } else {
      result.significand = significand;
      result.exponent = exponent;
      flags |= inexact ? PRECISION : 0;
    }
  }

  private void overflow(int precision, long significand, int exponent, int maxExponent) {
    flags |= OVERFLOW;
    if ((masks & OVERFLOW) == 0) {
      flags |= inexact ? PRECISION : 0;
      result.significand = significand;
      result.exponent = exponent;
      return;
    }
    flags |= PRECISION;
    boolean largest = rounding == TOWARD_ZERO || rounding == (result.negative ? UP : DOWN);
    roundedUp = !largest;
    if (largest) {
      result.significand = -1L << 64 - precision;
      result.exponent = maxExponent;
    } else {
      infinity(result.negative);
    }
  }

  private void underflow(int precision, long significand, int exponent, int minExponent) {
    if ((masks & UNDERFLOW) == 0) {
      flags |= UNDERFLOW | (inexact ? PRECISION : 0);
      result.significand = significand;
      result.exponent = exponent;
      return;
    }
    if (flushToZero) {
      flags |= UNDERFLOW | PRECISION;
      zero(result.negative);
      return;
    }
    shiftRight(minExponent - result.exponent);
    significand = rounded(precision);
    flags |= inexact ? UNDERFLOW | PRECISION : 0;
    result.significand = significand;
    result.exponent = minExponent;
    if (significand == 0) {
      result.kind = ZERO;
    }
  }

  private static long unsignedMultiplyHigh(long x, long y) {
    return Math.multiplyHigh(x, y) + (x >> 63 & y) + (y >> 63 & x);
  }
}
