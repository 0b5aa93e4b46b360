package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;

/**
 * The hardware's page walk in one of the machine's modes: native and shadow walk one dimension, EPT two. It models the
 * chip and makes no policy: what it cannot translate it reports.
 */
public interface Translator {
  /**
   * Walks the tables for one access of one byte, setting A and D bits as the processor does. Does not consult the TLB;
   * paging-structure and nested caches, if any, belong to the translator.
   *
   * @param access bits of {@link Access}
   * @return {@code hpa} (also in {@code out}) or {@link Status#FAULT} or {@link Status#EXIT}
   */
  @Hpa long translate(@Gva long gva, int access, Translation out);

  /**
   * Side-effect-free twin: sets no A/D bit, fills and consults no cache, counts nothing; tells each step to {@code
   * steps} if not null.
   */
  @Hpa long peek(@Gva long gva, int access, Translation out, WalkObserver steps);

  /**
   * Loads the PDPTE registers of PAE paging from the table that CR3 names (SDM vol. 3A, "PDPTE Registers"), all four or
   * none.
   *
   * @param cr3 value of CR3; bits 31:5 are the table's address
   * @param into registers to load, left alone unless the answer is OK
   * @param out exit group, if the answer is EXIT
   * @return {@link Status#OK}; {@link Status#FAULT} if a present entry has a reserved bit, #GP(0) for the instruction;
   *     {@link Status#EXIT}
   */
  default int loadPdptes(long cr3, long[] into, Translation out) {
    return Status.OK;
  }

  /** Whether a second stage stands behind the guest's tables. */
  default boolean twoDimensional() {
    return false;
  }

  /**
   * Gives the translator paging-structure caches to use, or null for none. A translator without a use for them ignores
   * it.
   */
  default void setStructureCache(PagingStructureCache cache) {}

  /** Drops what the walk caches hold for one linear address and PCID, as a page fault does. */
  void flushAddress(@Gva long gva, int pcid);

  /**
   * Drops everything cached from the guest's tables for one PCID, or for all if {@code pcid} is negative.
   * Guest-physical entries stay.
   */
  void flushLinear(int pcid);

  /** Drops all, guest-physical entries too. */
  void flushAll();
}
