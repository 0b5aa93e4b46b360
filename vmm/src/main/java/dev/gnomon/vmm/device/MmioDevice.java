package dev.gnomon.vmm.device;

/**
 * A device behind a range of guest-physical addresses. Values are unsigned in the low {@code 8 * size} bits of a {@code
 * long}.
 */
public interface MmioDevice extends Device {
  /** The guest-physical range that the device answers, constant for its life. */
  MmioRange range();

  /** The widest access in bytes (1, 2, 4 or 8) that reaches the device whole; the bus splits wider ones. */
  default int mmioWidth() {
    return 8;
  }

  /**
   * Reads {@code size} bytes (1 up to {@link #mmioWidth()}) at a byte offset into {@link #range()}; the bus keeps the
   * access inside it.
   */
  long read(long offset, int size, long nowNs);

  /** Writes {@code size} bytes (1 up to {@link #mmioWidth()}) at a byte offset into {@link #range()}. */
  void write(long offset, int size, long value, long nowNs);

  /** What {@link #read} would return at the latest time the device has seen, without its side effects. */
  long peek(long offset, int size);
}
