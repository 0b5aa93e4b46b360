package dev.gnomon.ept;

/**
 * Terms {@code high:low=bits} or {@code high:low!=bits}, in binary and separated by blanks, that a 64-bit value must
 * all fulfil.
 */
final class BitPattern {
  private final int[] high;
  private final int[] low;
  private final long[] bits;
  private final boolean[] differs;

  BitPattern(String pattern) {
    String[] terms = pattern.split(" ");
    high = new int[terms.length];
    low = new int[terms.length];
    bits = new long[terms.length];
    differs = new boolean[terms.length];
    for (int i = 0; i < terms.length; i++) {
      String[] sides = terms[i].split("!?=");
      String[] range = sides[0].split(":");
      high[i] = Integer.parseInt(range[0]);
      low[i] = Integer.parseInt(range[1]);
      bits[i] = Long.parseLong(sides[1], 2);
      differs[i] = terms[i].contains("!=");
    }
  }

  boolean matches(long value) {
    for (int i = 0; i < bits.length; i++) {
      if ((value << 63 - high[i] >>> 63 - high[i] + low[i] == bits[i]) == differs[i]) {
        return false;
      }
    }
    return true;
  }
}
