package dev.gnomon.workloads;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Reg;

/**
 * The random numbers of guest programs: Knuth's linear congruential generator of 64 bits (MMIX), whose upper half gives
 * an index below a bound. The guest's form and Java's form of each operation stand side by side.
 */
final class Lcg {
  static final long MULTIPLIER = 6364136223846793005L;
  static final long INCREMENT = 1442695040888963407L;

  private Lcg() {}

  static long next(long state) {
    return state * MULTIPLIER + INCREMENT;
  }

  /** 0 to bound − 1, bound up to 2^31. */
  static long index(long state, long bound) {
    return (state >>> 32) * bound >>> 32;
  }

  /** Loads the constants that {@link #emitNext} takes. */
  static void emitConstants(Assembler a, Reg multiplier, Reg increment) {
    a.mov(multiplier, MULTIPLIER);
    a.mov(increment, INCREMENT);
  }

  static void emitNext(Assembler a, Reg state, Reg multiplier, Reg increment) {
    a.imul(state, multiplier);
    a.add(state, increment);
  }

  static void emitIndex(Assembler a, Reg index, Reg state, int bound) {
    a.mov(index, state);
    a.shr(index, 32);
    a.imul(index, index, bound);
    a.shr(index, 32);
  }
}
