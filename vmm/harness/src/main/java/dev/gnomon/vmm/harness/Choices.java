package dev.gnomon.vmm.harness;

import dev.gnomon.vmm.polled.SplitMix;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Where all choices of a schedule come from. */
interface Choices {
  /**
   * The next to act.
   *
   * @param enabled those who can act, by id, faults last
   * @param count how many, at least 2
   * @param faults how many of them are faults
   * @param current index of the one that acts now, −1 if it cannot go on
   * @return an index
   */
  int pick(Actor[] enabled, int count, int faults, int current);

  /** A number from 0 to {@code bound − 1}. */
  int number(int bound);

  /** {@link Strategy#RANDOM}. */
  final class Random implements Choices {
    private static final int FAULT_ODDS = 32;

    private final SplittableRandom random;

    Random(long seed) {
      random = new SplittableRandom(SplitMix.mix(seed));
    }

    @Override
    public int pick(Actor[] enabled, int count, int faults, int current) {
      int others = count - faults;
      if (faults > 0 && (others == 0 || random.nextInt(FAULT_ODDS) == 0)) {
        return others + random.nextInt(faults);
      }
      return random.nextInt(others);
    }

    @Override
    public int number(int bound) {
      return random.nextInt(bound);
    }
  }

  /** {@link Strategy#PCT}. */
  final class Pct implements Choices {
    private static final int MAX_ACTORS = 64;

    private final SplittableRandom random;
    private final long[] priority = new long[MAX_ACTORS];
    private final int[] changes;
    private final int length;
    private int at;
    private long lowest = Long.MIN_VALUE / 2;

    /** @param length choices that a schedule is expected to have @param depth switches that are forced */
    Pct(long seed, int length, int depth) {
      this.random = new SplittableRandom(SplitMix.mix(seed));
      this.length = Math.max(1, length);
      this.changes = new int[depth];
      for (int i = 0; i < depth; i++) {
        changes[i] = random.nextInt(this.length);
      }
      for (int i = 0; i < MAX_ACTORS; i++) {
        priority[i] = random.nextLong() >>> 2;
      }
    }

    @Override
    public int pick(Actor[] enabled, int count, int faults, int current) {
      int others = count - faults;
      at++;
      if (faults > 0 && (others == 0 || random.nextInt(length + 1) == 0)) {
        return others + random.nextInt(faults);
      }
      int best = best(enabled, others);
      for (int change : changes) {
        if (change == at) {
          priority[enabled[best].id % MAX_ACTORS] = lowest++;
          best = best(enabled, others);
        }
      }
      return best;
    }

    private int best(Actor[] enabled, int count) {
      int best = 0;
      for (int i = 1; i < count; i++) {
        if (priority[enabled[i].id % MAX_ACTORS] > priority[enabled[best].id % MAX_ACTORS]) {
          best = i;
        }
      }
      return best;
    }

    @Override
    public int number(int bound) {
      return random.nextInt(bound);
    }
  }

  /** {@link Strategy#EXHAUSTIVE}: the schedule after the last one, in the order of their choices. */
  final class Exhaustive implements Choices {
    private int[] taken = new int[256];
    private int[] bounds = new int[256];
    private int depth;
    private int at;
    private boolean begun;

    /** Begins the next schedule. @return false if there is none */
    boolean next() {
      if (!begun) {
        begun = true;
        return true;
      }
      depth = Math.min(depth, at);
      at = 0;
      while (depth > 0 && taken[depth - 1] + 1 == bounds[depth - 1]) {
        depth--;
      }
      if (depth == 0) {
        return false;
      }
      taken[depth - 1]++;
      return true;
    }

    @Override
    public int pick(Actor[] enabled, int count, int faults, int current) {
      // The one that acts goes on first: schedules with few switches come first.
      int choice = number(count);
      return current < 0 || choice > current ? choice : choice == 0 ? current : choice - 1;
    }

    @Override
    public int number(int bound) {
      if (bound <= 1) {
        return 0;
      }
      if (at == depth) {
        if (depth == taken.length) {
          taken = Arrays.copyOf(taken, 2 * depth);
          bounds = Arrays.copyOf(bounds, 2 * depth);
        }
        taken[depth] = 0;
        bounds[depth] = bound;
        depth++;
      }
      return taken[at++];
    }
  }

  /**
   * Choices that are given: ids of actors, and numbers as their complement. Behind their end, and where one is impossible, the actor that acts
   * goes on, or the first that can, and numbers are 0.
   */
  final class Replay implements Choices {
    private final int[] given;
    private int at;

    Replay(int[] given) {
      this.given = given;
    }

    @Override
    public int pick(Actor[] enabled, int count, int faults, int current) {
      while (at < given.length && given[at] < 0) {
        at++;
      }
      if (at < given.length) {
        int id = given[at++];
        for (int i = 0; i < count; i++) {
          if (enabled[i].id == id) {
            return i;
          }
        }
      }
      return Math.max(0, current);
    }

    @Override
    public int number(int bound) {
      return at < given.length && given[at] < 0 ? Math.min(~given[at++], bound - 1) : 0;
    }
  }
}
