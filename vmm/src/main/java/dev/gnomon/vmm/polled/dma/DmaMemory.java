package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Hpa;

/**
 * What lies behind a port's translation: modelled host memory, or a test's view of it with store buffers and faults.
 * Each access lies within one 4-KiB page, has been checked, and comes with both of its addresses.
 */
public interface DmaMemory {
  /**
   * Zero-extended load of 1, 2, 4 or 8 bytes.
   *
   * @param again whether the device means to read the place again
   */
  long read(@Gpa long gpa, @Hpa long hpa, int size, boolean again);

  /** Store of 1, 2, 4 or 8 bytes. */
  void write(@Gpa long gpa, @Hpa long hpa, int size, long value);

  /** Compare-and-swap of 4 or 8 aligned bytes, a full fence. */
  boolean compareAndSet(@Gpa long gpa, @Hpa long hpa, int size, long expected, long value);

  void read(@Gpa long gpa, @Hpa long hpa, byte[] into, int from, int length);

  void write(@Gpa long gpa, @Hpa long hpa, byte[] bytes, int from, int length);

  /** Full fence. */
  void fence();
}
