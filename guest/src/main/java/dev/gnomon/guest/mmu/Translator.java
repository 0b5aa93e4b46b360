package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gva;

/**
 * The hardware's page walk in one of the machine's modes: native and shadow walk one dimension, EPT two. It models the chip and makes no
 * policy: what it cannot translate it reports.
 */
public interface Translator {
  /**
   * Walks the tables for one access of one byte, setting A and D bits as the processor does. Does not consult the TLB; paging-structure
   * and nested caches, if any, belong to the translator.
   *
   * @param access bits of {@link Access}
   * @return {@code hpa} (also in {@code out}) or {@link Status#FAULT} or {@link Status#EXIT}
   */
  long translate(@Gva long gva, int access, Translation out);

  /** Side-effect-free twin: sets no A/D bit, fills and consults no cache, counts nothing; tells each step to {@code steps} if not null. */
  long peek(@Gva long gva, int access, Translation out, WalkObserver steps);

  /** Drops what the walk caches hold for one linear address and PCID (all PCIDs' global entries included, as INVLPG does). */
  void flushAddress(@Gva long gva, int pcid);

  /** Drops everything cached from the guest's tables for one PCID, or for all if {@code pcid} is negative. Guest-physical entries stay. */
  void flushLinear(int pcid);

  /** Drops all, guest-physical entries too. */
  void flushAll();
}
