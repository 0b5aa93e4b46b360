package dev.gnomon.vmm.harness;

import dev.gnomon.vmm.polled.SplitMix;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Where all choices of a schedule come from. */
interface Choices {
  /**
   * The next to act.
   *
   * @param enabled those who can act, by id, faults last
   * @param count how many, at least 2, or 1 for those that look ahead
   * @param faults how many of them are faults
   * @param current index of the one that acts now, −1 if it cannot go on
   * @return an index
   */
  int pick(Actor[] enabled, int count, int faults, int current);

  /** A number from 0 to {@code bound − 1}. */
  int number(int bound);

  /** Whether it wants to know what each actor does next. */
  default boolean looksAhead() {
    return false;
  }

  /** Whether nobody who can act is kept waiting for ever. */
  default boolean isRandom() {
    return true;
  }

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

    @Override
    public boolean isRandom() {
      return false;
    }

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

  /**
   * {@link Strategy#EXHAUSTIVE}: the schedule after the last one, in the order of their choices. Of schedules that
   * differ only in the order of accesses that do not matter to each other it runs one to its end (sleep sets:
   * Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", chapter 5).
   */
  final class Exhaustive implements Choices {
    /** One choice: of actors, as sets of ids, or of a number. */
    private static final class Node {
      long enabled;
      /** Actors whose turn has been tried before, here or further up, with nothing since that matters to them. */
      long asleep;
      int chosen;
      /** Of a number; 0 for a choice of actors. */
      int bound;
    }

    private final List<Node> nodes = new ArrayList<>();
    private int at;
    private long asleep;
    private boolean begun;

    /** Begins the next schedule. @return false if there is none */
    boolean next() {
      if (!begun) {
        begun = true;
        return true;
      }
      while (nodes.size() > at) {
        nodes.remove(nodes.size() - 1);
      }
      at = 0;
      asleep = 0;
      while (!nodes.isEmpty()) {
        Node last = nodes.get(nodes.size() - 1);
        if (last.bound > 0) {
          if (++last.chosen < last.bound) {
            return true;
          }
        } else {
          last.asleep |= 1L << last.chosen;
          long left = last.enabled & ~last.asleep;
          if (left != 0) {
            last.chosen = Long.numberOfTrailingZeros(left);
            return true;
          }
        }
        nodes.remove(nodes.size() - 1);
      }
      return false;
    }

    @Override
    public boolean looksAhead() {
      return true;
    }

    @Override
    public boolean isRandom() {
      return false;
    }

    @Override
    public int pick(Actor[] enabled, int count, int faults, int current) {
      Node node;
      if (at < nodes.size()) {
        node = nodes.get(at);
      } else {
        node = new Node();
        for (int i = 0; i < count; i++) {
          node.enabled |= 1L << enabled[i].id;
        }
        node.asleep = asleep;
        long left = node.enabled & ~asleep;
        if (left == 0) {
          throw Control.REDUNDANT;
        }
        // The one that acts goes on first: schedules with few switches come first.
        boolean goesOn = current >= 0 && (left & 1L << enabled[current].id) != 0;
        node.chosen = goesOn ? enabled[current].id : Long.numberOfTrailingZeros(left);
        nodes.add(node);
      }
      at++;
      int index = 0;
      while (enabled[index].id != node.chosen) {
        index++;
      }
      asleep = 0;
      for (int i = 0; i < count; i++) {
        if ((node.asleep & 1L << enabled[i].id) != 0 && Actor.independent(enabled[i], enabled[index])) {
          asleep |= 1L << enabled[i].id;
        }
      }
      return index;
    }

    @Override
    public int number(int bound) {
      if (at == nodes.size()) {
        Node node = new Node();
        node.bound = bound;
        nodes.add(node);
      }
      return nodes.get(at++).chosen;
    }
  }

  /**
   * Choices that are given: ids of actors, and numbers as their complement. Behind their end, and where one is
   * impossible, the actor that acts goes on, or the first that can, and numbers are 0.
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
