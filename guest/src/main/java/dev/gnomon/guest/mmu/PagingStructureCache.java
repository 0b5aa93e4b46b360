package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;

/**
 * PML5E, PML4E, PDPTE and PDE caches (SDM vol. 3A, "Paging-Structure Caches"; under EPT the combined ones of vol. 3C,
 * "Information That May Be Cached"): for a prefix of the linear address where the next table lies and which rights the
 * levels above combine to. Entries come only from walks that succeeded, so A is set in all they stand for. They are
 * tagged with VPID, PCID and EP4TA and have no global form.
 */
@SuppressWarnings("subtyping") // Its arrays hold linear prefixes and addresses of both physical kinds.
public final class PagingStructureCache {
  private static final int LEVELS = 5;
  private static final int STALE_ENTRIES = 1 << 12;
  private static final int STALE_WAYS = 16;
  private static final int LEGACY_PDE_SHIFT = 22;
  private static final int RIGHTS = Translation.WRITABLE | Translation.USER | Translation.EXECUTABLE;

  /** By level of the cached entry: 5 PML5E, 4 PML4E, 3 PDPTE, 2 PDE. */
  private final TaggedArray[] arrays = new TaggedArray[LEVELS + 1];
  /**
   * A walk that began here and faults is final; otherwise it is repeated from the root before the guest sees a fault.
   */
  final boolean faultsAreFinal;
  private final TlbStatistics statistics;
  /** After a hit: guest-physical and host-physical address of the table to read next. */
  @Gpa long tableGpa;
  @Hpa long tableHpa;
  /** After a hit: rights combined over the levels skipped. */
  int rights;

  /**
   * @param seed of random replacement
   * @param statistics where hits are counted
   */
  public PagingStructureCache(TlbGeometry.Structures sizes, TlbGeometry.Replacement replacement, long seed,
      TlbStatistics statistics) {
    this(sizes, replacement, seed, statistics, false);
  }

  private PagingStructureCache(TlbGeometry.Structures sizes, TlbGeometry.Replacement replacement, long seed,
      TlbStatistics statistics, boolean faultsAreFinal) {
    this.statistics = statistics;
    this.faultsAreFinal = faultsAreFinal;
    // No PML5E cache is documented; it is taken to be like that of PML4Es.
    arrays[5] = array(sizes.pml4Entries(), sizes.pml4Ways(), replacement, seed);
    arrays[4] = array(sizes.pml4Entries(), sizes.pml4Ways(), replacement, seed);
    arrays[3] = array(sizes.pdptEntries(), sizes.pdptWays(), replacement, seed);
    arrays[2] = array(sizes.pdEntries(), sizes.pdWays(), replacement, seed);
  }

  /** Caches so large that entries practically leave by invalidation alone, and whose stale entries may fault. */
  static PagingStructureCache stale() {
    TlbGeometry.Structures sizes = new TlbGeometry.Structures(STALE_ENTRIES, STALE_WAYS, STALE_ENTRIES, STALE_WAYS,
        STALE_ENTRIES, STALE_WAYS);
    return new PagingStructureCache(sizes, TlbGeometry.Replacement.FIFO, 0, new TlbStatistics(), true);
  }

  private static TaggedArray array(int entries, int ways, TlbGeometry.Replacement replacement, long seed) {
    return entries == 0 ? null : new TaggedArray(entries / ways, ways, replacement, seed);
  }

  /**
   * Level of the entry to read first, 1 to 4, with the hit's fields set; 0 if nothing is cached. Looks for the longest
   * prefix.
   */
  int lookup(@Gva long gva, PagingContext paging) {
    int top = Math.max(PagingContext.levels(paging.mode), 2);
    for (int level = 2; level <= top; level++) {
      TaggedArray array = arrays[level];
      if (array != null) {
        int i = array.find(TaggedArray.key(prefix(gva, level, paging.mode), paging.vpid, paging.pcid), paging.ep4ta, 0);
        if (i >= 0) {
          statistics.structureCacheHits++;
          tableGpa = array.values[i] & ~0xFFFL;
          tableHpa = array.extras[i];
          // Bit 3 of the value would mean global; WRITABLE, USER and EXECUTABLE lie below it.
          rights = (int) array.values[i] & RIGHTS;
          return level - 1;
        }
      }
    }
    return 0;
  }

  /**
   * Remembers where the entry of a level leads.
   *
   * @param tableGpa guest-physical address of the next table, a multiple of 4096
   * @param tableHpa host-physical address of the same
   * @param rights combined over this level and those above
   */
  void insert(int level, @Gva long gva, PagingContext paging, @Gpa long tableGpa, @Hpa long tableHpa, int rights) {
    TaggedArray array = arrays[level];
    if (array == null) {
      return;
    }
    long key = TaggedArray.key(prefix(gva, level, paging.mode), paging.vpid, paging.pcid);
    long value = tableGpa | rights & RIGHTS;
    int i = array.find(key, paging.ep4ta, 0);
    if (i >= 0) {
      array.values[i] = value;
      array.extras[i] = tableHpa;
    } else {
      array.insert(key, paging.ep4ta, value, tableHpa);
    }
  }

  /** Drops the entries that a walk for one address would use, in all spaces of EPT. */
  public void flushAddress(@Gva long gva, PagingContext paging, int pcid) {
    for (int level = 2; level <= LEVELS; level++) {
      if (arrays[level] != null && arrays[level].live != 0) {
        arrays[level].removePage(prefix(gva, level, paging.mode), 0, 0, paging.vpid, pcid, true);
      }
    }
  }

  /**
   * Drops by tag.
   *
   * @param vpid or {@link TaggedArray#ANY} or {@link TaggedArray#NONZERO}
   * @param pcid or {@link TaggedArray#ANY}
   */
  void flushContext(int vpid, int pcid) {
    for (int level = 2; level <= LEVELS; level++) {
      if (arrays[level] != null) {
        arrays[level].removeContext(vpid, pcid, true);
      }
    }
  }

  /** Drops what was combined with an EPT. @param ep4ta or {@link TaggedArray#ANY} */
  void flushSpace(long ep4ta) {
    for (int level = 2; level <= LEVELS; level++) {
      if (arrays[level] != null) {
        arrays[level].removeSpace(ep4ta);
      }
    }
  }

  public void flushAll() {
    for (int level = 2; level <= LEVELS; level++) {
      if (arrays[level] != null) {
        arrays[level].clear();
      }
    }
  }

  private static long prefix(@Gva long gva, int level, int mode) {
    return gva >>> (mode == PagingContext.LEGACY ? LEGACY_PDE_SHIFT : PageTableEntry.shift(level));
  }
}
