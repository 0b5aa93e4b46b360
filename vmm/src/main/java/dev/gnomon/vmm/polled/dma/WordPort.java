package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Gpa;

/** Memory by guest-physical address in words of 1, 2, 4 and 8 bytes, little-endian. */
public interface WordPort {
  /** Zero-extended load of 1, 2, 4 or 8 bytes. */
  long load(@Gpa long gpa, int size);

  /** Store of 1, 2, 4 or 8 bytes. @param value unsigned */
  void store(@Gpa long gpa, int size, long value);

  /** Zero-extended byte. */
  default int u8(@Gpa long gpa) {
    return (int) load(gpa, 1);
  }

  /** Zero-extended word. */
  default int u16(@Gpa long gpa) {
    return (int) load(gpa, 2);
  }

  default int u32(@Gpa long gpa) {
    return (int) load(gpa, 4);
  }

  default long u64(@Gpa long gpa) {
    return load(gpa, 8);
  }

  default void put8(@Gpa long gpa, int value) {
    store(gpa, 1, value & 0xFF);
  }

  default void put16(@Gpa long gpa, int value) {
    store(gpa, 2, value & 0xFFFF);
  }

  default void put32(@Gpa long gpa, int value) {
    store(gpa, 4, value & 0xFFFF_FFFFL);
  }

  default void put64(@Gpa long gpa, long value) {
    store(gpa, 8, value);
  }
}
