package dev.gnomon.guest.fp;

import java.math.BigInteger;

/**
 * The x87 unit's transcendental functions (SDM vol. 1, "x87 FPU Transcendental Instructions"), correctly rounded in the
 * current rounding mode but for the rarest cases; processors promise less than one unit in the last place. Precision
 * control does not matter to them. Large arguments of trigonometric functions are reduced by a π of 66 bits, as the
 * manual says ("Approximation of Pi").
 *
 * <p>Functions are worked out in fixed point with {@link #FRACTION} bits behind the point, which allocates; they are
 * too rare to mind.
 */
public final class Transcendental {
  /** Bits behind the point. */
  private static final int FRACTION = 256;
  /** Below this exponent 2^x − 1 and log2(1 + x) are linear to well over 64 bits. */
  private static final int LINEAR = -100;
  /** Below this exponent sine, cosine and tangent are within half a unit of x or 1; not equal. */
  private static final int TINY = -50;
  /** From this exponent on an argument is out of the range of trigonometric functions. */
  private static final int OUT_OF_RANGE = 63;
  private static final int FAR = 200;

  private static final BigInteger ONE = BigInteger.ONE.shiftLeft(FRACTION);
  private static final BigInteger LN2 = inverseHyperbolicTangent(ONE.divide(BigInteger.valueOf(3))).shiftLeft(1);
  /** Machin's formula. */
  private static final BigInteger PI = arcTangentSeries(ONE.divide(BigInteger.valueOf(5))).shiftLeft(2)
      .subtract(arcTangentSeries(ONE.divide(BigInteger.valueOf(239)))).shiftLeft(2);
  /** Half of the processor's π. */
  private static final BigInteger REDUCTION = new BigInteger("C90FDAA22168C234C", 16).shiftLeft(FRACTION - 67);
  /** √2. */
  private static final BigInteger ROOT_OF_TWO = ONE.shiftLeft(FRACTION + 1).sqrt();
  private static final int NEAR = 3;

  private final X87Float unit;
  private BigInteger sine;
  private BigInteger cosine;
  private boolean negativeSine;
  private boolean negativeCosine;

  /** Works on a unit's operands, and leaves results and flags there. */
  public Transcendental(X87Float unit) {
    this.unit = unit;
  }

  /** Whether the first operand is a finite number that trigonometric functions do not take: C2 tells. */
  public boolean outOfRange() {
    return unit.a.kind == Unpacked.FINITE && unit.a.exponent >= OUT_OF_RANGE;
  }

  // Series, of fixed-point numbers.

  private static BigInteger multiply(BigInteger x, BigInteger y) {
    return x.multiply(y).shiftRight(FRACTION);
  }

  private static BigInteger divide(BigInteger x, BigInteger y) {
    return x.shiftLeft(FRACTION).divide(y);
  }

  /** z + z³/3 + z⁵/5 and so on. */
  private static BigInteger inverseHyperbolicTangent(BigInteger z) {
    return oddPowers(z, multiply(z, z));
  }

  private static BigInteger arcTangentSeries(BigInteger z) {
    return oddPowers(z, multiply(z, z).negate());
  }

  private static BigInteger oddPowers(BigInteger z, BigInteger square) {
    BigInteger sum = z;
    BigInteger power = z;
    // Shifts round toward minus infinity, so that a negative power never becomes 0.
    for (int i = 3; power.bitLength() > 1; i += 2) {
      power = multiply(power, square);
      sum = sum.add(power.divide(BigInteger.valueOf(i)));
    }
    return sum;
  }

  private static BigInteger arcTangent(BigInteger tangent) {
    BigInteger t = tangent;
    for (int i = 0; i < NEAR; i++) {
      BigInteger hypotenuse = t.multiply(t).add(ONE.shiftLeft(FRACTION)).sqrt();
      t = divide(t, ONE.add(hypotenuse));
    }
    return arcTangentSeries(t).shiftLeft(NEAR);
  }

  /** Sum of x^i ÷ i! from i = first in steps. @param term the first one. @param by what each power is more */
  private static BigInteger exponentialSeries(BigInteger term, int first, int step, BigInteger by) {
    BigInteger sum = term;
    BigInteger next = term;
    for (int i = first + 1; next.bitLength() > 1; i += step) {
      long divisor = step == 1 ? i : (long) i * (i + 1);
      next = multiply(next, by).divide(BigInteger.valueOf(divisor));
      sum = sum.add(next);
    }
    return sum;
  }

  private static BigInteger significand(Unpacked x) {
    return new BigInteger(Long.toUnsignedString(x.significand));
  }

  /** Magnitude of a number whose exponent is at least {@link #LINEAR}. */
  private static BigInteger fixed(Unpacked x) {
    int shift = FRACTION + x.exponent - 63;
    return shift >= 0 ? significand(x).shiftLeft(shift) : significand(x).shiftRight(-shift);
  }

  // Results.

  private boolean oneNan() {
    unit.b.kind = Unpacked.ZERO;
    unit.b.denormal = false;
    return unit.nan();
  }

  private void finish() {
    unit.round(FloatFormat.EXTENDED);
    unit.wrap();
  }

  /** The result value × 2^−scale, rounded. @param exact it is not followed by more bits */
  private void put(boolean negative, BigInteger value, int scale, boolean exact) {
    int length = value.bitLength();
    BigInteger top = length > 128 ? value.shiftRight(length - 128) : value.shiftLeft(128 - length);
    unit.exact(negative, length - 1 - scale, top.shiftRight(64).longValue());
    boolean more = !exact || length > 128 && value.getLowestSetBit() < length - 128;
    unit.low = top.longValue() | (more ? 1 : 0);
    finish();
  }

  /** The result a little less than a number, or a little more. */
  private void beside(boolean negative, int exponent, long significand, boolean more) {
    if (more) {
      unit.exact(negative, exponent, significand);
      unit.low = 1;
    } else if (significand == Long.MIN_VALUE) {
      // Processors do not go below the smallest normal number.
      boolean smallest = exponent == FloatFormat.EXTENDED.minExponent();
      unit.exact(negative, smallest ? exponent : exponent - 1, smallest ? significand : -1);
      unit.low = smallest ? 0 : -1;
      unit.flags |= SoftFloat.PRECISION;
    } else {
      unit.exact(negative, exponent, significand - 1);
      unit.low = -1;
    }
    finish();
  }

  // Functions of the first operand.

  /** F2XM1: 2^x − 1 for −1 to 1; beyond that undefined, and here x itself, as on Intel processors. */
  public void exponentialLessOne() {
    if (oneNan()) {
      return;
    }
    Unpacked x = unit.a;
    unit.denormalOperands();
    if (x.kind == Unpacked.INFINITE && x.negative) {
      put(true, BigInteger.ONE, 0, true);
    } else if (x.kind != Unpacked.FINITE || x.exponent > 0 || x.exponent == 0 && x.significand << 1 != 0) {
      unit.result.copyFrom(x);
    } else if (x.exponent == 0) {
      put(x.negative, BigInteger.ONE, x.negative ? 1 : 0, true);
      unit.flags |= SoftFloat.PRECISION;
    } else if (x.exponent < LINEAR) {
      put(x.negative, significand(x).multiply(LN2), FRACTION + 63 - x.exponent, false);
    } else {
      BigInteger power = multiply(fixed(x), LN2);
      power = x.negative ? power.negate() : power;
      put(x.negative, exponentialSeries(power, 1, 1, power).abs(), FRACTION, false);
    }
  }

  /** Finds sine and cosine of the first operand, finite, and not tiny. */
  private void sineAndCosine() {
    BigInteger[] parts = fixed(unit.a).add(REDUCTION.shiftRight(1)).divideAndRemainder(REDUCTION);
    BigInteger rest = parts[1].subtract(REDUCTION.shiftRight(1));
    int quadrant = parts[0].intValue() & 3;
    BigInteger square = multiply(rest, rest).negate();
    BigInteger s = exponentialSeries(rest, 1, 2, square);
    BigInteger c = exponentialSeries(ONE, 0, 2, square);
    boolean odd = (quadrant & 1) != 0;
    sine = odd ? c : s.abs();
    cosine = odd ? s.abs() : c;
    boolean negativeRest = rest.signum() < 0;
    negativeSine = unit.a.negative != (quadrant >= 2) != (!odd && negativeRest);
    negativeCosine = (quadrant == 1 || quadrant == 2) != (odd && negativeRest);
  }

  /** Handles what is no ordinary number: NaNs, infinities, zeros. @return whether it was one */
  private boolean special(boolean cosineOfIt) {
    if (oneNan()) {
      return true;
    }
    Unpacked x = unit.a;
    if (x.kind == Unpacked.INFINITE) {
      unit.invalid();
      return true;
    }
    unit.denormalOperands();
    if (x.kind == Unpacked.ZERO) {
      if (cosineOfIt) {
        unit.exactConstant(1);
      } else {
        unit.zero(x.negative);
      }
      return true;
    }
    return false;
  }

  /** FSIN. */
  public void sine() {
    if (special(false)) {
      return;
    }
    Unpacked x = unit.a;
    if (x.exponent < TINY) {
      beside(x.negative, x.exponent, x.significand, false);
      return;
    }
    sineAndCosine();
    put(negativeSine, sine, FRACTION, false);
  }

  /** FCOS. */
  public void cosine() {
    if (special(true)) {
      return;
    }
    if (unit.a.exponent < TINY) {
      beside(false, 0, Long.MIN_VALUE, false);
      return;
    }
    sineAndCosine();
    put(negativeCosine, cosine, FRACTION, false);
  }

  /** FPTAN. */
  public void tangent() {
    if (special(false)) {
      return;
    }
    Unpacked x = unit.a;
    if (x.exponent < TINY) {
      beside(x.negative, x.exponent, x.significand, true);
      return;
    }
    sineAndCosine();
    put(negativeSine != negativeCosine, divide(sine, cosine), FRACTION, false);
  }

  /** FPATAN: the angle of the point whose x is the first operand and whose y is the second. */
  public void arcTangent() {
    if (unit.nan()) {
      return;
    }
    Unpacked x = unit.a;
    Unpacked y = unit.b;
    unit.denormalOperands();
    boolean negative = y.negative;
    if (x.kind == Unpacked.INFINITE && y.kind == Unpacked.INFINITE) {
      put(negative, x.negative ? PI.multiply(BigInteger.valueOf(3)) : PI, FRACTION + 2, false);
    } else if (y.kind == Unpacked.ZERO || x.kind == Unpacked.INFINITE) {
      if (x.negative) {
        put(negative, PI, FRACTION, false);
      } else {
        unit.zero(negative);
      }
    } else if (x.kind == Unpacked.ZERO || y.kind == Unpacked.INFINITE) {
      put(negative, PI, FRACTION + 1, false);
    } else {
      finiteArcTangent(x, y, negative);
    }
  }

  private void finiteArcTangent(Unpacked x, Unpacked y, boolean negative) {
    int difference = y.exponent - x.exponent;
    if (difference < LINEAR && !x.negative) {
      // A little less than the quotient.
      BigInteger quotient = significand(y).shiftLeft(FRACTION).divide(significand(x)).subtract(BigInteger.ONE);
      put(negative, quotient, FRACTION - difference, false);
      return;
    }
    boolean steep = difference > 0
        || difference == 0 && Long.compareUnsigned(y.significand, x.significand) > 0;
    Unpacked small = steep ? x : y;
    Unpacked large = steep ? y : x;
    int scale = FRACTION - Math.abs(difference);
    BigInteger ratio = scale < -63 ? BigInteger.ZERO : scale < 0
        ? significand(small).shiftRight(-scale).divide(significand(large))
        : significand(small).shiftLeft(scale).divide(significand(large));
    BigInteger angle = ratio.signum() == 0 ? ratio : arcTangent(ratio);
    if (steep) {
      BigInteger right = PI.shiftRight(1);
      angle = x.negative ? right.add(angle) : right.subtract(angle);
    } else if (x.negative) {
      angle = PI.subtract(angle);
    }
    put(negative, angle, FRACTION, false);
  }

  /** FYL2X: the second operand times the logarithm of the first. */
  public void logarithm() {
    if (unit.nan()) {
      return;
    }
    Unpacked x = unit.a;
    Unpacked y = unit.b;
    boolean one = x.kind == Unpacked.FINITE && x.exponent == 0 && x.significand == Long.MIN_VALUE && !x.negative;
    boolean less = x.kind == Unpacked.ZERO || x.kind == Unpacked.FINITE && x.exponent < 0;
    boolean invalid = x.negative && x.kind != Unpacked.ZERO
        || y.kind == Unpacked.ZERO && (x.kind == Unpacked.ZERO || x.kind == Unpacked.INFINITE)
        || y.kind == Unpacked.INFINITE && one;
    if (invalid) {
      unit.invalid();
      return;
    }
    if (x.kind == Unpacked.ZERO && y.kind == Unpacked.FINITE) {
      unit.flags |= SoftFloat.ZERO_DIVIDE;
      unit.infinity(!y.negative);
      return;
    }
    unit.denormalOperands();
    if (x.kind != Unpacked.FINITE || y.kind == Unpacked.INFINITE) {
      unit.infinity(y.negative != less);
    } else if (one || y.kind == Unpacked.ZERO) {
      unit.zero(y.negative != less);
    } else {
      logarithm(x.exponent, significand(x).shiftLeft(FRACTION - 63), y);
    }
  }

  /** y × log2(m × 2^exponent), which is not 0. @param m fixed-point, 1 to 2 */
  private void logarithm(int exponent, BigInteger m, Unpacked y) {
    // Around 1 the exponent must be 0, so that nothing cancels.
    boolean upper = m.compareTo(ROOT_OF_TWO) > 0;
    BigInteger near = upper ? m.shiftRight(1) : m;
    int whole = upper ? exponent + 1 : exponent;
    boolean exact = m.equals(ONE);
    BigInteger log = BigInteger.valueOf(whole).shiftLeft(FRACTION);
    if (!exact) {
      log = log.add(divide(inverseHyperbolicTangent(divide(near.subtract(ONE), near.add(ONE))).shiftLeft(1), LN2));
    }
    put(log.signum() < 0 != y.negative, log.abs().multiply(significand(y)), FRACTION + 63 - y.exponent, exact);
    // Processors take the product for inexact even where it is not, so that a denormal one is an underflow.
    boolean denormal = unit.result.kind == Unpacked.FINITE && unit.result.significand >= 0;
    unit.flags |= SoftFloat.PRECISION | (denormal ? SoftFloat.UNDERFLOW : 0);
  }

  /**
   * FYL2XP1: the second operand times the logarithm of the first plus 1. The manual defines it to 1 − √½ on either side
   * of 0; it is the logarithm beyond, too.
   */
  public void logarithmOfOneMore() {
    if (unit.nan()) {
      return;
    }
    Unpacked x = unit.a;
    Unpacked y = unit.b;
    boolean invalid = x.kind == Unpacked.ZERO && y.kind == Unpacked.INFINITE
        || x.kind == Unpacked.INFINITE && (x.negative || y.kind == Unpacked.ZERO)
        || x.kind == Unpacked.FINITE && x.negative && x.exponent >= 0;
    if (invalid) {
      unit.invalid();
      return;
    }
    unit.denormalOperands();
    boolean negative = x.negative != y.negative;
    if (x.kind == Unpacked.INFINITE || y.kind == Unpacked.INFINITE) {
      unit.infinity(negative);
    } else if (x.kind == Unpacked.ZERO || y.kind == Unpacked.ZERO) {
      unit.zero(negative);
    } else if (x.exponent < LINEAR) {
      BigInteger product = significand(x).multiply(significand(y)).shiftLeft(FRACTION);
      put(negative, divide(product, LN2), 2 * 63 + FRACTION - x.exponent - y.exponent, false);
    } else if (x.exponent > FAR) {
      logarithm(x.exponent, significand(x).shiftLeft(FRACTION - 63), y);
    } else if (x.exponent >= -1) {
      BigInteger sum = ONE.add(x.negative ? fixed(x).negate() : fixed(x));
      int exponent = sum.bitLength() - 1 - FRACTION;
      logarithm(exponent, exponent < 0 ? sum.shiftLeft(-exponent) : sum.shiftRight(exponent), y);
    } else {
      BigInteger value = x.negative ? fixed(x).negate() : fixed(x);
      BigInteger log = divide(inverseHyperbolicTangent(divide(value, ONE.shiftLeft(1).add(value))).shiftLeft(1), LN2);
      put(negative, log.abs().multiply(significand(y)), FRACTION + 63 - y.exponent, false);
    }
  }
}
