package dev.gnomon.guest.oracle;

import java.util.SplittableRandom;

/** Words that are one double, two singles, or integers, near the edges of their formats as often as not. */
final class VectorValues {
  private static final int[] SINGLE_EXPONENTS = {0, 0, 1, 1, 2, 3, 23, 24, 25, 26, 103, 104, 126, 127, 128, 129, 149,
      150, 151, 157, 158, 159, 189, 190,
      191, 253, 254, 254, 255};
  private static final int[] DOUBLE_EXPONENTS = {0, 0, 1, 1, 2, 3, 52, 53, 54, 55, 870, 873, 874, 896, 897, 898, 970,
      1021, 1022, 1023, 1024, 1053, 1054,
      1055, 1075, 1076, 1085, 1086, 1087, 1150, 1151, 2045, 2046, 2046, 2047};

  private VectorValues() { }

  static long word(SplittableRandom random) {
    return switch (random.nextInt(8)) {
      case 0 -> random.nextLong();
      case 1 -> CaseGenerator.SPECIAL[random.nextInt(CaseGenerator.SPECIAL.length)];
      case 2, 3, 4 -> single(random) & 0xFFFF_FFFFL | (long) single(random) << 32;
      default -> doubleBits(random);
    };
  }

  private static int single(SplittableRandom random) {
    int exponent = random.nextInt(4) == 0 ? random.nextInt(256)
        : SINGLE_EXPONENTS[random.nextInt(SINGLE_EXPONENTS.length)];
    int fraction = (int) fraction(random, 23);
    return (random.nextBoolean() ? 1 << 31 : 0) | exponent << 23 | fraction;
  }

  private static long doubleBits(SplittableRandom random) {
    long exponent = random.nextInt(4) == 0 ? random.nextInt(2048)
        : DOUBLE_EXPONENTS[random.nextInt(DOUBLE_EXPONENTS.length)];
    return (random.nextBoolean() ? 1L << 63 : 0) | exponent << 52 | fraction(random, 52);
  }

  /** Bits 79..64 of an extended number. */
  static int extendedExponent(SplittableRandom random) {
    int exponent = switch (random.nextInt(8)) {
      case 0 -> random.nextInt(0x8000);
      case 1 -> random.nextInt(4);
      case 2 -> 0x7FFF - random.nextInt(4);
      case 3 -> 0x3FFF + random.nextInt(-70, 70);
      case 4 -> (random.nextBoolean() ? 0x3FFF - 1022 : 0x3FFF - 126) + random.nextInt(-60, 4);
      case 5 -> (random.nextBoolean() ? 0x3FFF + 1023 : 0x3FFF + 127) + random.nextInt(-2, 3);
      default -> 0x3FFF + random.nextInt(-4, 5);
    };
    return exponent | (random.nextBoolean() ? 0x8000 : 0);
  }

  /** Zero, one bit, all bits, few bits at either end, or anything. */
  static long fraction(SplittableRandom random, int bits) {
    long all = bits == 64 ? -1L : (1L << bits) - 1;
    return switch (random.nextInt(8)) {
      case 0, 1 -> 0;
      case 2 -> 1L << random.nextInt(bits);
      case 3 -> all;
      case 4 -> all << random.nextInt(bits) & all;
      case 5 -> random.nextInt(16);
      default -> random.nextLong() & all;
    };
  }
}
