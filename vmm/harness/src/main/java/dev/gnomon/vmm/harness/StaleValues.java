package dev.gnomon.vmm.harness;

import java.util.Arrays;

/** The last values of one word, for {@link Fault#staleRead}: each reader sees them in order, but may lag behind. */
final class StaleValues {
  /** Where it lies in host memory. */
  private final int offset;
  private final int size;
  private final int depth;
  private final Scheduler scheduler;
  private long[] values = new long[8];
  private int count = 1;
  /** By agent: the oldest value that it may still see. */
  private final int[] seen;

  StaleValues(int offset, int size, int depth, int agents, Scheduler scheduler) {
    this.offset = offset;
    this.size = size;
    this.depth = depth;
    this.scheduler = scheduler;
    this.seen = new int[agents];
  }

  void stored(int agent, int at, int bytes, long old, long value) {
    if (at == offset && bytes == size) {
      if (count == values.length) {
        values = Arrays.copyOf(values, 2 * count);
      }
      values[count - 1] = old;
      values[count++] = value;
      if (agent >= 0) {
        seen[agent] = count - 1;
      }
    }
  }

  long load(int agent, int at, int bytes, long value) {
    if (at != offset || bytes != size) {
      return value;
    }
    int oldest = Math.max(seen[agent], count - 1 - depth);
    int chosen = count - 1 - scheduler.number(count - oldest);
    seen[agent] = chosen;
    return chosen == count - 1 ? value : values[chosen];
  }
}
