package dev.gnomon.vmm.polled;

import java.util.List;

/**
 * How a device's first window behaves as registers, when each access traps instead of being polled for: what the guest
 * can write, and which accesses make the device take a step.
 *
 * @param bytes of the registers, a multiple of 4, at most 4096; behind them reads give all ones
 * @param guestWritable what the guest can write; writes of the rest are dropped
 * @param doorbells a write that ends in one of these makes the device take a step
 * @param stepsBeforeRead whether a read does too, before it is answered
 */
public record RegisterFile(int bytes, List<Range> guestWritable, List<Range> doorbells, boolean stepsBeforeRead) {
  /** Bytes from an offset. */
  public record Range(int offset, int length) {
    boolean contains(long at) {
      return at >= offset && at < offset + length;
    }
  }

  public RegisterFile {
    guestWritable = List.copyOf(guestWritable);
    doorbells = List.copyOf(doorbells);
    if (bytes < 4 || bytes > 4096 || (bytes & 3) != 0) {
      throw new IllegalArgumentException("register file of " + bytes + " bytes: expected a multiple of 4 up to 4096");
    }
  }

  boolean isWritable(long offset) {
    return contains(guestWritable, offset);
  }

  /** Whether a write ends in a doorbell, as the second half of a wide register does. */
  boolean rings(long offset, int size) {
    return contains(doorbells, offset + size - 1);
  }

  private static boolean contains(List<Range> ranges, long offset) {
    for (int i = 0; i < ranges.size(); i++) {
      if (ranges.get(i).contains(offset)) {
        return true;
      }
    }
    return false;
  }
}
