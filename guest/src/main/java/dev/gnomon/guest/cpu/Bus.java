package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.Hpa;

/**
 * What the processor finds outside RAM: I/O ports, and memory-mapped devices by host-physical address. Absent devices
 * read all ones.
 */
public interface Bus {
  /** @param size 1, 2 or 4 bytes; the value is zero-extended. */
  int in(int port, int size);

  void out(int port, int size, int value);

  /** @param size 1, 2, 4 or 8 bytes within one frame; the value is zero-extended. */
  long mmioRead(@Hpa long hpa, int size);

  void mmioWrite(@Hpa long hpa, int size, long value);

  /**
   * FERR#: with CR0.NE = 0 an x87 instruction found an exception pending that is not masked (SDM vol. 1, "MS-DOS
   * Compatibility Sub-mode").
   */
  default void coprocessorError() {}
}
