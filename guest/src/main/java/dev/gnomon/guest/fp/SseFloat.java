package dev.gnomon.guest.fp;

import dev.gnomon.guest.cpu.Mxcsr;

/**
 * SSE to SSE4.1 floating point on single numbers, as bits of their formats (SDM vol. 1, "SSE and SSE2 Floating-Point
 * Exceptions"; vol. 2 by instruction). A result that the host computes the same way is left to the host: round to
 * nearest, PE masked and already set, normal operands and a normal result, so that no flag can change.
 */
public final class SseFloat extends SoftFloat {
  // Operations by the last byte of their opcodes.
  public static final int SQRT = 0x51;
  public static final int RSQRT = 0x52;
  public static final int RCP = 0x53;
  public static final int ADD = 0x58;
  public static final int MUL = 0x59;
  public static final int SUB = 0x5C;
  public static final int MIN = 0x5D;
  public static final int DIV = 0x5E;
  public static final int MAX = 0x5F;

  private static final int FAST_CONDITIONS = Mxcsr.RC | Mxcsr.PM | Mxcsr.PE;
  private static final int FAST = Mxcsr.PM | Mxcsr.PE;
  private static final int SINGLE_FRACTION = 23;
  private static final int SINGLE_SPECIAL = 0xFF;
  private static final int SINGLE_BIAS = 127;
  private static final int DOUBLE_FRACTION = 52;
  private static final int DOUBLE_SPECIAL = 0x7FF;
  private static final int DOUBLE_BIAS = 1023;
  private static final long LOW32 = 0xFFFF_FFFFL;
  private static final float SMALLEST_NORMAL = Float.MIN_NORMAL;
  /** Bits of a double's fraction that an approximation to 12 bits of precision drops. */
  private static final int APPROXIMATION_DROPS = 41;

  private boolean fast;
  /** The MXCSR that rounding and masks were taken from; at first none that there is. */
  private int current = -1;

  /** Takes rounding and masks from MXCSR, and begins with no flags. */
  public void control(int mxcsr) {
    flags = 0;
    if (mxcsr == current) {
      return;
    }
    current = mxcsr;
    rounding = mxcsr >>> Mxcsr.RC_SHIFT & 3;
    masks = mxcsr >>> Mxcsr.MASKS_SHIFT & EXCEPTIONS;
    denormalsAreZero = (mxcsr & Mxcsr.DAZ) != 0;
    flushToZero = (mxcsr & Mxcsr.FTZ) != 0;
    fast = (mxcsr & FAST_CONDITIONS) == FAST;
  }

  /**
   * x operation y, or operation y for those with one operand.
   *
   * @param single in the low 32 bits, the result zero-extended; otherwise double
   */
  public long operate(int operation, boolean single, long x, long y) {
    if (fast) {
      long bits = single ? fastSingle(operation, (int) x, (int) y) : fastDouble(operation, x, y);
      if (bits != 0) {
        return bits;
      }
    }
    switch (operation) {
      case RSQRT, RCP:
        return approximate(operation == RSQRT, (int) y);
      case MIN, MAX:
        return select(operation == MAX, single, x, y);
      default:
        break;
    }
    load(single, operation == SQRT ? y : x, y);
    FloatFormat format = single ? FloatFormat.SINGLE : FloatFormat.DOUBLE;
    switch (operation) {
      case SQRT -> squareRoot(format);
      case ADD, SUB -> add(operation == SUB, format);
      case MUL -> multiply(format);
      default -> divide(format);
    }
    return bits(single);
  }

  /** The result, or 0 if it takes more than the host's arithmetic. */
  private static long fastDouble(int operation, long x, long y) {
    if (!plain((int) (x >>> DOUBLE_FRACTION), DOUBLE_SPECIAL)
        || !plain((int) (y >>> DOUBLE_FRACTION), DOUBLE_SPECIAL)) {
      return 0;
    }
    double p = Double.longBitsToDouble(x);
    double q = Double.longBitsToDouble(y);
    double z = switch (operation) {
      case ADD -> p + q;
      case SUB -> p - q;
      case MUL -> p * q;
      case DIV -> p / q;
      case SQRT -> Math.sqrt(q);
      case MIN -> p < q ? p : q;
      case MAX -> p > q ? p : q;
      default -> 0;
    };
    long bits = Double.doubleToRawLongBits(z);
    return plain((int) (bits >>> DOUBLE_FRACTION), DOUBLE_SPECIAL) ? bits : 0;
  }

  private static long fastSingle(int operation, int x, int y) {
    if (!plain(x >>> SINGLE_FRACTION, SINGLE_SPECIAL) || !plain(y >>> SINGLE_FRACTION, SINGLE_SPECIAL)) {
      return 0;
    }
    float p = Float.intBitsToFloat(x);
    float q = Float.intBitsToFloat(y);
    float z = switch (operation) {
      case ADD -> p + q;
      case SUB -> p - q;
      case MUL -> p * q;
      case DIV -> p / q;
      case SQRT -> (float) Math.sqrt(q);
      case MIN -> p < q ? p : q;
      case MAX -> p > q ? p : q;
      default -> 0;
    };
    int bits = Float.floatToRawIntBits(z);
    return plain(bits >>> SINGLE_FRACTION, SINGLE_SPECIAL) ? bits & LOW32 : 0;
  }

  /** Whether a biased exponent (and sign) is of a normal number that did not become one by rounding. */
  private static boolean plain(int biased, int special) {
    return Integer.compareUnsigned((biased & special) - 2, special - 2) < 0;
  }

  private void load(boolean single, long x, long y) {
    if (single) {
      a.ofSingle((int) x, denormalsAreZero);
      b.ofSingle((int) y, denormalsAreZero);
    } else {
      a.ofDouble(x, denormalsAreZero);
      b.ofDouble(y, denormalsAreZero);
    }
  }

  private void load(boolean single, long x) {
    if (single) {
      a.ofSingle((int) x, denormalsAreZero);
    } else {
      a.ofDouble(x, denormalsAreZero);
    }
  }

  /** The result in its format; out of range it is no number, but then an unmasked exception is pending. */
  private long bits(boolean single) {
    long fraction = result.significand << 1;
    boolean normal = result.significand < 0;
    if (single) {
      int exponent = switch (result.kind) {
        case Unpacked.ZERO -> 0;
        case Unpacked.FINITE -> normal ? result.exponent + SINGLE_BIAS : 0;
        default -> SINGLE_SPECIAL;
      };
      int low = (int) (fraction >>> 64 - SINGLE_FRACTION);
      return ((result.negative ? 1 << 31 : 0) | exponent << SINGLE_FRACTION | low) & LOW32;
    }
    long exponent = switch (result.kind) {
      case Unpacked.ZERO -> 0;
      case Unpacked.FINITE -> normal ? result.exponent + DOUBLE_BIAS : 0;
      default -> DOUBLE_SPECIAL;
    };
    return (result.negative ? 1L << 63 : 0) | exponent << DOUBLE_FRACTION | fraction >>> 64 - DOUBLE_FRACTION;
  }

  /**
   * MIN and MAX: the second operand unless the first is less or greater; NaNs and zeros of both signs are not ordered.
   */
  private long select(boolean max, boolean single, long x, long y) {
    load(single, x, y);
    int order = compare(true);
    boolean first = order == (max ? GREATER : LESS);
    Unpacked taken = first ? a : b;
    if (taken.kind == Unpacked.ZERO) {
      // A denormal may have become it.
      zero(taken.negative);
      return bits(single);
    }
    return first ? x : y;
  }

  /**
   * The eight predicates of CMPPS: EQ LT LE UNORD NEQ NLT NLE ORD.
   *
   * @param predicate 0 to 7; LT, LE and their opposites take a quiet NaN for invalid
   */
  public boolean holds(int predicate, boolean single, long x, long y) {
    load(single, x, y);
    int kind = predicate & 3;
    int order = compare(kind == 1 || kind == 2);
    boolean holds = switch (kind) {
      case 0 -> order == EQUAL;
      case 1 -> order == LESS;
      case 2 -> order == LESS || order == EQUAL;
      default -> order == UNORDERED;
    };
    return holds != (predicate > 3);
  }

  /** COMIS and UCOMIS. @return LESS, EQUAL, GREATER or UNORDERED */
  public int order(boolean signaling, boolean single, long x, long y) {
    load(single, x, y);
    return compare(signaling);
  }

  /** Single to double, or double to single. */
  public long convert(boolean fromSingle, long x) {
    load(fromSingle, x);
    convert(fromSingle ? FloatFormat.DOUBLE : FloatFormat.SINGLE);
    return bits(!fromSingle);
  }

  /** A signed integer as a single or double. */
  public long fromInteger(boolean single, long value) {
    a.ofInteger(value);
    convert(single ? FloatFormat.SINGLE : FloatFormat.DOUBLE);
    return bits(single);
  }

  /** A signed integer of 32 or 64 bits. */
  public long toInteger(boolean single, boolean truncate, int width, long x) {
    load(single, x);
    return toInteger(width, truncate ? TOWARD_ZERO : rounding);
  }

  /**
   * ROUND: to an integer in the same format.
   *
   * @param control bit 3 raises no PE; bit 2 rounds as MXCSR tells, otherwise bits 1..0 do
   */
  public long toIntegral(boolean single, int control, long x) {
    load(single, x);
    b.kind = Unpacked.ZERO;
    if (nan()) {
      return bits(single);
    }
    if (a.kind == Unpacked.ZERO) {
      zero(a.negative);
      return bits(single);
    }
    if (a.kind == Unpacked.INFINITE || a.exponent >= 63) {
      return x;
    }
    int before = flags;
    long value = toInteger(64, (control & 4) != 0 ? rounding : control & 3);
    if ((control & 8) != 0) {
      flags = before;
    }
    b.ofInteger(value);
    result.copyFrom(b);
    result.negative = a.negative;
    return bits(single);
  }

  /**
   * RCP and RSQRT: no exceptions, no modes, denormals taken and given as zeros. The relative error is at most 1.5 ×
   * 2^−12; here the result is the nearest of 12 bits, while processors have tables of their own.
   */
  private long approximate(boolean root, int x) {
    a.ofSingle(x, true);
    switch (a.kind) {
      case Unpacked.QUIET_NAN, Unpacked.SIGNALING_NAN -> {
        return (x | 1 << SINGLE_FRACTION - 1) & LOW32;
      }
      case Unpacked.ZERO -> {
        infinity(a.negative);
        return bits(true);
      }
      default -> { }
    }
    if (root && a.negative) {
      invalid();
      flags &= ~INVALID;
      return bits(true);
    }
    if (a.kind == Unpacked.INFINITE) {
      zero(a.negative);
      return bits(true);
    }
    double value = Float.intBitsToFloat(x);
    long exact = Double.doubleToRawLongBits(1 / (root ? Math.sqrt(value) : value));
    long nearest = exact + (1L << APPROXIMATION_DROPS - 1) & -1L << APPROXIMATION_DROPS;
    float approximation = (float) Double.longBitsToDouble(nearest);
    if (Math.abs(approximation) < SMALLEST_NORMAL) {
      approximation = Math.copySign(0, approximation);
    }
    return Float.floatToRawIntBits(approximation) & LOW32;
  }
}
