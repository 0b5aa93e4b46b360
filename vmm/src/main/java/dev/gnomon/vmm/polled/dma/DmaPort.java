package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Gpa;

/**
 * A device's only way to memory. Addresses are guest-physical; each access is checked page by page against the device's
 * domain.
 *
 * <p>Loads are acquire and stores release, as x86 has them; only {@link #fence} and the compare-and-swaps keep a load
 * from passing an earlier store. Bulk transfers have no order within themselves. Words of 2, 4 and 8 bytes are whole if
 * they are naturally aligned.
 *
 * <p>A refused access is recorded and <em>poisons</em> the port: from then on reads give all ones and writes are
 * dropped, until the device has looked by {@link #takeFault} or its step ends. So a device that does not look cannot
 * act on data that it did not get.
 */
public interface DmaPort extends WordPort {
  /** Like {@link #u32}, of an index or flag that the device means to read again: each reading stands for itself. */
  int poll32(@Gpa long gpa);

  /** Like {@link #u64}, of a word that the device means to read again. */
  long poll64(@Gpa long gpa);

  /** Copies bytes out of memory. @return false, with nothing copied, if a byte of the range cannot be read */
  boolean read(@Gpa long gpa, byte[] into, int from, int length);

  /** Copies bytes into memory. @return false, with nothing written, if a byte of the range cannot be written */
  boolean write(@Gpa long gpa, byte[] bytes, int from, int length);

  /** A private copy of what lies there, fetched once; null if it cannot be read or is longer than the step's limit. */
  byte[] snapshot(@Gpa long gpa, int length);

  /** Compare-and-swap, a full fence. @param gpa aligned to 4 bytes */
  boolean cas32(@Gpa long gpa, int expected, int value);

  /** Compare-and-swap, a full fence. @param gpa aligned to 8 bytes */
  boolean cas64(@Gpa long gpa, long expected, long value);

  /** Full fence: all earlier stores are visible before any later load is done. */
  void fence();

  /** The fault that poisoned the port, null if there was none; the port works again. */
  DmaFault takeFault();
}
