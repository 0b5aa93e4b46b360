package dev.gnomon.guest.fp;

/**
 * A floating-point format: numbers are ±1.f × 2^e.
 *
 * @param precision bits of the significand, the leading one included
 * @param minExponent smallest exponent of a normal number
 * @param maxExponent largest exponent
 */
public record FloatFormat(int precision, int minExponent, int maxExponent) {
  public static final FloatFormat SINGLE = new FloatFormat(24, -126, 127);
  public static final FloatFormat DOUBLE = new FloatFormat(53, -1022, 1023);
  /** Double extended precision: the x87 registers' own. */
  public static final FloatFormat EXTENDED = new FloatFormat(64, -16382, 16383);
}
