package dev.gnomon.guest.mmu;

/**
 * Events of one processor's modelled TLBs, since reset. First-level hits are not counted. Misses, walks, references and
 * fills stay 0 unless the TLBs are counted; invalidations are always counted.
 *
 * <p>An access that finds an entry which does not permit it, or a write that finds D clear, counts as a miss of both
 * levels: the processor drops the entry and walks. What the hypervisor does through its own port counts nowhere.
 */
public final class TlbStatistics {
  /** Data reads that missed the first level and hit the second. */
  public long dtlbLoadL2Hits;
  /** Data reads that missed both levels. */
  public long dtlbLoadMisses;
  /** Data writes, read-modify-writes included, that missed the first level and hit the second. */
  public long dtlbStoreL2Hits;
  public long dtlbStoreMisses;
  /** Instruction fetches, by change of page, that missed the first level and hit the second. */
  public long itlbL2Hits;
  public long itlbMisses;
  /** Walks that gave a translation. */
  public long walksCompleted;
  /** Walks that ended in a page fault. */
  public long walksFaulted;
  /** Walks that ended in a VM exit. */
  public long walksExited;
  /** Paging-structure entries read, of the tables that CR3 names; walks that failed included. */
  public long guestReferences;
  /** The same, of EPT tables. */
  public long eptReferences;
  /** Walks that began at a paging-structure cache entry. */
  public long structureCacheHits;
  /** Entries put into a first level, data and instruction. */
  public long l1Fills;
  /** Entries put into a second level. */
  public long l2Fills;

  /** INVLPG and individual-address INVPCID. */
  public long invlpg;
  /** Flushes of one PCID, but for global pages: MOV to CR3, INVPCID. */
  public long flushPcid;
  /** Flushes of all PCIDs, but for global pages. */
  public long flushNonGlobal;
  /** Flushes of everything of the current VPID: MOV to CR0 and CR4, INVPCID. */
  public long flushAll;
  public long invvpid;
  public long invept;
  /** Flushes by VM entry and exit without VPID. */
  public long flushTransition;

  /** Misses of both levels, data and instruction: walks begun. */
  public long misses() {
    return dtlbLoadMisses + dtlbStoreMisses + itlbMisses;
  }

  public long references() {
    return guestReferences + eptReferences;
  }

  /** Copies all counters. */
  public void copyFrom(TlbStatistics other) {
    dtlbLoadL2Hits = other.dtlbLoadL2Hits;
    dtlbLoadMisses = other.dtlbLoadMisses;
    dtlbStoreL2Hits = other.dtlbStoreL2Hits;
    dtlbStoreMisses = other.dtlbStoreMisses;
    itlbL2Hits = other.itlbL2Hits;
    itlbMisses = other.itlbMisses;
    walksCompleted = other.walksCompleted;
    walksFaulted = other.walksFaulted;
    walksExited = other.walksExited;
    guestReferences = other.guestReferences;
    eptReferences = other.eptReferences;
    structureCacheHits = other.structureCacheHits;
    l1Fills = other.l1Fills;
    l2Fills = other.l2Fills;
    invlpg = other.invlpg;
    flushPcid = other.flushPcid;
    flushNonGlobal = other.flushNonGlobal;
    flushAll = other.flushAll;
    invvpid = other.invvpid;
    invept = other.invept;
    flushTransition = other.flushTransition;
  }

  /** Adds all counters. */
  public void add(TlbStatistics other) {
    dtlbLoadL2Hits += other.dtlbLoadL2Hits;
    dtlbLoadMisses += other.dtlbLoadMisses;
    dtlbStoreL2Hits += other.dtlbStoreL2Hits;
    dtlbStoreMisses += other.dtlbStoreMisses;
    itlbL2Hits += other.itlbL2Hits;
    itlbMisses += other.itlbMisses;
    walksCompleted += other.walksCompleted;
    walksFaulted += other.walksFaulted;
    walksExited += other.walksExited;
    guestReferences += other.guestReferences;
    eptReferences += other.eptReferences;
    structureCacheHits += other.structureCacheHits;
    l1Fills += other.l1Fills;
    l2Fills += other.l2Fills;
    invlpg += other.invlpg;
    flushPcid += other.flushPcid;
    flushNonGlobal += other.flushNonGlobal;
    flushAll += other.flushAll;
    invvpid += other.invvpid;
    invept += other.invept;
    flushTransition += other.flushTransition;
  }
}
