package dev.gnomon.vmm.polled.dma;

/**
 * What one step of a device may do at most, so that no guest can make it starve others.
 *
 * @param accesses to memory, bulk transfers counted page by page; at least 1
 * @param bytes moved, at least 1
 */
public record StepLimits(int accesses, int bytes) {
  public static final StepLimits DEFAULT = new StepLimits(4096, 1 << 20);

  public StepLimits {
    if (accesses < 1 || bytes < 1) {
      throw new IllegalArgumentException("step of " + accesses + " accesses and " + bytes + " bytes: expected at least 1 of each");
    }
  }
}
