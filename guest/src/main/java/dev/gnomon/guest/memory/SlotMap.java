package dev.gnomon.guest.memory;

/** The hypervisor's view of guest-physical memory: what lies where and which host frames back it. */
public interface SlotMap {
  /** No slot: a trapped device or nothing. */
  int NONE = 0;
  int RAM = 1;
  /** Reads are direct, writes exit. */
  int READ_ONLY = 2;

  /** {@link #NONE}, {@link #RAM} or {@link #READ_ONLY}. */
  int kind(@Gpa long gpa);

  /**
   * Host-physical address that backs a guest-physical one, allocating the backing on first touch.
   *
   * @return the address, or −1 if there is no slot
   */
  @Hpa long back(@Gpa long gpa);

  /** Like {@link #back} without allocating: −1 also if the page was never touched. */
  @Hpa long backing(@Gpa long gpa);

  /**
   * log2 of the largest naturally aligned page around {@code gpa} that one slot and one contiguous, equally aligned
   * backing cover: 12, 21 or 30.
   */
  int mappingShift(@Gpa long gpa);

  /**
   * Whether writes to the page are logged. Such a page is mapped by 4 KiB, and where write-protection finds the writes,
   * writable only for a write.
   */
  default boolean logged(@Gpa long gpa) {
    return false;
  }

  /** The page is written: notes it if its slot is logged (KVM's {@code mark_page_dirty}). */
  default void markDirty(@Gpa long gpa) {}

  /** Grows with each change of the slots; MMIO shadow entries carry it. */
  int generation();
}
