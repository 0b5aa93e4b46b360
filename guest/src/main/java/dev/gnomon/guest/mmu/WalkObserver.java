package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Hpa;

/** Hears each reference of a page walk. Levels are 5 PML5E, 4 PML4E, 3 PDPTE, 2 PDE, 1 PTE. */
public interface WalkObserver {
  /**
   * One entry was read.
   *
   * @param dimension which table it belongs to
   * @param level 1 (PTE) to 5 (PML5E)
   * @param entryGpa guest-physical address of a guest entry; for an EPT entry the guest-physical address being
   *     translated
   * @param entryHpa where the entry lies
   * @param entry its value before any A/D update
   */
  void step(Dimension dimension, int level, @Gpa long entryGpa, @Hpa long entryHpa, long entry);

  /** The tables that a step can belong to, by Bochs' names. */
  enum Dimension {
    /** Entry of the tables that CR3 names; printed {@code PTE}, {@code PDE} … (natively and of shadow tables). */
    GUEST,
    /**
     * EPT entry met while translating a guest entry's or the final guest-physical address; printed {@code EPT PTE} …
     */
    EPT
  }
}
