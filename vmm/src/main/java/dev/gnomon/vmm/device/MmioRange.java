package dev.gnomon.vmm.device;

import dev.gnomon.guest.memory.Gpa;

/**
 * A range of guest-physical addresses, neither empty nor past the end of the address space.
 *
 * @param start the lowest guest-physical address, not negative
 * @param length bytes, at least 1
 */
public record MmioRange(@Gpa long start, long length) {
  public MmioRange {
    if (start < 0 || length < 1 || start > Long.MAX_VALUE - length) {
      throw new IllegalArgumentException(
          String.format("MMIO range at %x of %d bytes: expected 1 or more bytes that end below 2^63", start, length));
    }
  }

  /** The address past the highest one. */
  public @Gpa long end() {
    return start + length;
  }

  @Override
  public String toString() {
    return String.format("MMIO %x-%x", start, end() - 1);
  }
}
