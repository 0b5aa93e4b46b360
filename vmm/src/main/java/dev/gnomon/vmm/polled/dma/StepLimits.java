package dev.gnomon.vmm.polled.dma;

import java.time.Duration;

/**
 * What one step of a device may do at most, so that no guest and no bug can make it starve others.
 *
 * @param accesses to memory, bulk transfers counted page by page; at least 1
 * @param bytes moved, at least 1
 * @param hostTime that a step, or another call of the device, may take on the host before the device is given up. Zero
 *     for a device that is trusted to return: the machine's own thread calls it, which costs less
 */
public record StepLimits(int accesses, int bytes, Duration hostTime) {
  private static final Duration MOST = Duration.ofDays(1);

  public static final StepLimits DEFAULT = new StepLimits(4096, 1 << 20);

  public StepLimits {
    if (accesses < 1 || bytes < 1) {
      throw new IllegalArgumentException("step of " + accesses + " accesses and " + bytes
          + " bytes: expected at least 1 of each");
    }
    if (hostTime.isNegative() || hostTime.compareTo(MOST) > 0) {
      throw new IllegalArgumentException("step of " + hostTime.toSeconds() + " s: expected 0 to " + MOST.toSeconds());
    }
  }

  /** Of a device that is trusted to return. */
  public StepLimits(int accesses, int bytes) {
    this(accesses, bytes, Duration.ZERO);
  }

  public StepLimits withHostTime(Duration value) {
    return new StepLimits(accesses, bytes, value);
  }
}
