package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import java.util.ArrayList;
import java.util.List;

/**
 * The modelled TLBs of one processor: a first level for data and one for instructions, a second level behind them (SDM
 * vol. 3A, "Translation Lookaside Buffers"; under a hypervisor the linear and combined mappings of vol. 3C, "Caching
 * Translation Information"). Entries are tagged with VPID, PCID, EP4TA and G. A hit changes nothing, so a hit that the
 * soft TLBs answer need not be seen; in return an entry that leaves the first level takes its soft copies along.
 *
 * <p>A walk fills both levels, a second-level hit the first; an entry pushed out of one level stays in the other. An
 * entry that does not permit an access, or has D clear for a write, is dropped on the accessing side and the walk
 * decides, as on the processor.
 */
final class Tlb {
  /** Lookup result: walk. */
  static final long MISS = -4;
  private static final int SIZES = 3;
  private static final int[] SHIFTS = {12, 21, 30};
  private static final long FRAME = PageTableEntry.ADDRESS;
  private static final int RIGHTS = 0x7F;
  /** From a key's place in a value, that of the entry, to the one in the rights. */
  private static final int KEY_SHIFT = ProtectionKeys.ENTRY_SHIFT - Translation.KEY_SHIFT;
  private static final int TYPE_SHIFT = 7;
  private static final int TYPE_MASK = 0xF;
  private static final int GUEST_SHIFT = 8;
  private static final long LINEAR = (1L << 48) - 1;
  private static final int CANONICAL_SHIFT = 16;
  private static final int UPPER_SHIFT = 48;
  private static final int UPPER_CANONICAL_SHIFT = 7;
  private static final int STALE_WAYS = 16;
  private static final TlbGeometry STALE = new TlbGeometry("stale", staleArrays(), staleArrays(), List.of(), List.of(),
      TlbGeometry.Structures.NONE, TlbGeometry.Replacement.FIFO);

  /** One level for one kind of access. */
  private static final class Level {
    /** By size code, 0 to 2; null if the level has none. Sizes may share an array. */
    final TaggedArray[] bySize = new TaggedArray[SIZES];
    final TaggedArray[] arrays;

    Level(List<TlbGeometry.Array> sizes, TlbGeometry.Replacement replacement, long seed) {
      List<TaggedArray> made = new ArrayList<>();
      for (TlbGeometry.Array size : sizes) {
        TaggedArray array = new TaggedArray(size.sets(), size.ways(), replacement, seed);
        made.add(array);
        for (int code = 0; code < SIZES; code++) {
          if ((size.sizes() >> code & 1) != 0) {
            bySize[code] = array;
          }
        }
      }
      arrays = made.toArray(TaggedArray[]::new);
    }

    /** Size code in which the level keeps a page of size code {@code size}, or −1. */
    int kept(int size) {
      int kept = size;
      while (kept >= 0 && bySize[kept] == null) {
        kept--;
      }
      return kept;
    }
  }

  private final Mmu mmu;
  private final PagingContext paging;
  private final TlbStatistics statistics;
  private final Level l1Data;
  private final Level l1Fetch;
  private final Level l2Data;
  private final Level l2Fetch;
  private final Level[] levels;
  /** A cached entry that does not permit an access faults at once. */
  private final boolean faultsAreFinal;
  /** Counters move. */
  private final boolean counting;
  /** Some entry may cover less than the guest's page. */
  private boolean fragments;
  /** After {@link #find}: the array of the hit, and its size code. */
  private TaggedArray foundArray;
  private int foundSize;

  private Tlb(Mmu mmu, TlbGeometry geometry, long seed, boolean faultsAreFinal, boolean counting) {
    this.mmu = mmu;
    this.paging = mmu.paging;
    this.statistics = mmu.statistics;
    this.faultsAreFinal = faultsAreFinal;
    this.counting = counting;
    TlbGeometry.Replacement replacement = geometry.replacement();
    l1Data = new Level(geometry.data(), replacement, seed);
    l1Fetch = new Level(geometry.instruction(), replacement, seed + 1);
    l2Data = new Level(geometry.second(), replacement, seed + 2);
    l2Fetch = geometry.secondInstruction().isEmpty() ? l2Data
        : new Level(geometry.secondInstruction(), replacement, seed + 3);
    levels = l2Fetch == l2Data ? new Level[] {l1Data, l1Fetch, l2Data} : new Level[] {l1Data, l1Fetch, l2Data, l2Fetch};
  }

  static Tlb counted(Mmu mmu, TlbGeometry geometry, long seed) {
    return new Tlb(mmu, geometry, seed, false, true);
  }

  /** One level, so large that entries practically leave by invalidation alone. */
  static Tlb stale(Mmu mmu) {
    return new Tlb(mmu, STALE, 0, true, false);
  }

  private static List<TlbGeometry.Array> staleArrays() {
    return List.of(new TlbGeometry.Array(TlbGeometry.SIZE_4K, 1 << 16, STALE_WAYS),
        new TlbGeometry.Array(TlbGeometry.SIZE_2M, 1 << 12, STALE_WAYS),
        new TlbGeometry.Array(TlbGeometry.SIZE_1G, 1 << 8, STALE_WAYS));
  }

  /**
   * Looks an access up, filling the first level from the second.
   *
   * @return host-physical address, also described in {@code out}; {@link #MISS}; {@link Status#FAULT} if stale entries
   *     may fault and this one does
   */
  @Hpa long lookup(@Gva long gva, int access, Translation out) {
    boolean fetch = (access & Access.FETCH) != 0;
    Level first = fetch ? l1Fetch : l1Data;
    int i = find(first, gva);
    boolean hit = i >= 0;
    if (!hit) {
      i = find(fetch ? l2Fetch : l2Data, gva);
      if (i < 0) {
        return MISS;
      }
    }
    long value = foundArray.values[i];
    int rights = rights(value);
    if (!permits(access, rights)) {
      return refuse(gva, access, rights, out);
    }
    describe(gva, value, (int) (foundArray.extras[i] >>> GUEST_SHIFT), foundSize, out);
    if (!hit) {
      countSecondLevelHit(access);
      fill(first, gva, foundSize, fetch, out);
    }
    return out.hpa;
  }

  /** Linear bits 56:48 where 5 levels translate them, else 0. */
  private long upper(@Gva long gva) {
    return paging.mode >= PagingContext.LONG5 ? Addresses.bits(gva) >>> UPPER_SHIFT & TaggedArray.UPPER : 0;
  }

  private static int rights(long value) {
    return (int) value & RIGHTS | (int) (value >>> KEY_SHIFT) & Translation.KEY;
  }

  private long refuse(@Gva long gva, int access, int rights, Translation out) {
    // Whether a fetch was forbidden by the guest or by its second stage, the entry does not tell.
    boolean own = (access & Access.FETCH) == 0 || !mmu.translator().twoDimensional();
    if (faultsAreFinal && own && paging.mode != PagingContext.NONE
        && (!Permissions.allowed(access, rights, paging) || keyDenies(access, rights))) {
      out.gva = gva;
      out.references = 0;
      out.guestReferences = 0;
      out.errorCode = Permissions.errorCode(access,
          keyDenies(access, rights) ? PageFaultCode.P | PageFaultCode.PK : PageFaultCode.P, paging);
      return Status.FAULT;
    }
    boolean fetch = (access & Access.FETCH) != 0;
    dropAddress(fetch ? l1Fetch : l1Data, gva, paging.vpid, paging.pcid, true);
    dropAddress(fetch ? l2Fetch : l2Data, gva, paging.vpid, paging.pcid, true);
    mmu.dropSoftPage(gva, fetch);
    return MISS;
  }

  /**
   * Counts a walk after a miss and keeps what it found.
   *
   * @param result of the walk: address or status
   * @return whether the first level now holds the translation, so that a soft TLB may
   */
  boolean walked(@Gva long gva, int access, @Hpa long result, Translation walk) {
    if (counting) {
      countWalk(access, result, walk);
    }
    if (result < 0) {
      return false;
    }
    boolean fetch = (access & Access.FETCH) != 0;
    int size = sizeCode(walk.pageShift);
    Level second = fetch ? l2Fetch : l2Data;
    if (second.bySize[size] != null) {
      insert(second.bySize[size], gva, size, walk);
      statistics.l2Fills += counting ? 1 : 0;
    }
    return fill(fetch ? l1Fetch : l1Data, gva, size, fetch, walk);
  }

  private boolean fill(Level level, @Gva long gva, int size, boolean fetch, Translation walk) {
    int kept = level.kept(size);
    if (kept < 0) {
      return false;
    }
    TaggedArray array = level.bySize[kept];
    insert(array, gva, kept, walk);
    statistics.l1Fills += counting ? 1 : 0;
    if (array.evicted) {
      int evictedSize = (int) (array.evictedExtra & TaggedArray.KIND);
      mmu.dropSoftCopies(evictedAddress(array, evictedSize), SHIFTS[evictedSize], fetch);
    }
    return true;
  }

  private void insert(TaggedArray array, @Gva long gva, int size, Translation walk) {
    long page = Addresses.bits(walk.hpa) & -(1L << SHIFTS[size]);
    long value = page & FRAME | (long) (walk.rights & Translation.KEY) << KEY_SHIFT
        | (long) (walk.memoryType & TYPE_MASK) << TYPE_SHIFT | walk.rights & RIGHTS;
    long key = TaggedArray.key(Addresses.bits(gva) >>> SHIFTS[size], paging.vpid, paging.pcid);
    array.insert(key, paging.ep4ta | upper(gva), value, (long) walk.guestPageShift << GUEST_SHIFT | size);
    fragments |= SHIFTS[size] < walk.guestPageShift;
  }

  /** Index in {@link #foundArray} of the entry for an address in the current context, or −1. */
  private int find(Level level, @Gva long gva) {
    long space = paging.ep4ta | upper(gva);
    for (int size = 0; size < SIZES; size++) {
      TaggedArray array = level.bySize[size];
      if (array != null && array.live != 0) {
        int i = array.find(TaggedArray.key(Addresses.bits(gva) >>> SHIFTS[size], paging.vpid, paging.pcid),
            space, size);
        if (i >= 0) {
          foundArray = array;
          foundSize = size;
          return i;
        }
      }
    }
    return -1;
  }

  private boolean permits(int access, int rights) {
    boolean stage = (access & Access.FETCH) != 0 || ((access & Access.WRITE) != 0
        ? (rights & Translation.DIRTY) != 0 && (rights & Translation.STAGE_WRITABLE) != 0
        : (rights & Translation.READABLE) != 0);
    if (paging.mode == PagingContext.NONE) {
      return stage && ((access & Access.FETCH) == 0 || (rights & Translation.EXECUTABLE) != 0);
    }
    return stage && Permissions.allowed(access, rights, paging) && !keyDenies(access, rights);
  }

  private boolean keyDenies(int access, int rights) {
    return PagingContext.hasKeys(paging.mode) && ProtectionKeys.deny(access, rights, paging);
  }

  private static void describe(@Gva long gva, long value, int guestShift, int size, Translation out) {
    out.gva = gva;
    out.hpa = value & FRAME | Addresses.offset(gva, 1L << SHIFTS[size]);
    out.gpa = -1;
    out.pageShift = SHIFTS[size];
    out.guestPageShift = guestShift;
    out.rights = rights(value);
    out.memoryType = (int) (value >>> TYPE_SHIFT) & TYPE_MASK;
    out.references = 0;
    out.guestReferences = 0;
  }

  private void countSecondLevelHit(int access) {
    if (counting) {
      if ((access & Access.FETCH) != 0) {
        statistics.itlbL2Hits++;
      } else if ((access & Access.WRITE) != 0) {
        statistics.dtlbStoreL2Hits++;
      } else {
        statistics.dtlbLoadL2Hits++;
      }
    }
  }

  private void countWalk(int access, @Hpa long result, Translation walk) {
    TlbStatistics s = statistics;
    if ((access & Access.FETCH) != 0) {
      s.itlbMisses++;
    } else if ((access & Access.WRITE) != 0) {
      s.dtlbStoreMisses++;
    } else {
      s.dtlbLoadMisses++;
    }
    if (result >= 0) {
      s.walksCompleted++;
    } else if (result == Status.FAULT) {
      s.walksFaulted++;
    } else {
      s.walksExited++;
    }
    s.guestReferences += walk.guestReferences;
    s.eptReferences += walk.references - walk.guestReferences;
  }

  /**
   * Drops one page in all levels, whatever its EP4TA.
   *
   * @param pcid or {@link TaggedArray#ANY}
   * @param globals global entries too, whatever their PCID
   */
  void dropAddress(@Gva long gva, int vpid, int pcid, boolean globals) {
    for (Level level : levels) {
      dropAddress(level, gva, vpid, pcid, globals);
    }
  }

  private void dropAddress(Level level, @Gva long gva, int vpid, int pcid, boolean globals) {
    for (int size = 0; size < SIZES; size++) {
      TaggedArray array = level.bySize[size];
      if (array != null && array.live != 0) {
        array.removePage(Addresses.bits(gva) >>> SHIFTS[size], upper(gva), size, vpid, pcid, globals);
      }
    }
    if (fragments) {
      dropFragments(level, gva, vpid, pcid, globals);
    }
  }

  /** INVLPG drops all entries of a page that the TLB holds in pieces. */
  private void dropFragments(Level level, @Gva long gva, int vpid, int pcid, boolean globals) {
    for (TaggedArray array : level.arrays) {
      for (int set = 0; set < array.sets; set++) {
        for (int i = array.endOf(set) - 1; i >= array.firstOf(set); i--) {
          int shift = SHIFTS[(int) (array.extras[i] & TaggedArray.KIND)];
          int guestShift = (int) (array.extras[i] >>> GUEST_SHIFT);
          long start = array.keys[i] >>> TaggedArray.PAGE_SHIFT << shift & LINEAR;
          if (guestShift > shift && start >>> guestShift == (gva & LINEAR) >>> guestShift
              && (array.spaces[i] & TaggedArray.UPPER) == upper(gva)
              && (array.keys[i] & TaggedArray.VPID) == (long) vpid << TaggedArray.PCID_BITS
              && array.selected(i, pcid, globals)) {
            array.remove(i);
          }
        }
      }
    }
  }

  /**
   * Drops by tag.
   *
   * @param vpid or {@link TaggedArray#ANY} or {@link TaggedArray#NONZERO}
   * @param pcid or {@link TaggedArray#ANY}
   */
  void dropContext(int vpid, int pcid, boolean globals) {
    for (Level level : levels) {
      for (TaggedArray array : level.arrays) {
        array.removeContext(vpid, pcid, globals);
      }
    }
  }

  /** Drops combined mappings. @param ep4ta or {@link TaggedArray#ANY} */
  void dropSpace(long ep4ta) {
    for (Level level : levels) {
      for (TaggedArray array : level.arrays) {
        array.removeSpace(ep4ta);
      }
    }
  }

  /** Canonical linear address of an entry. */
  private @Gva long evictedAddress(TaggedArray array, int size) {
    long low = array.evictedKey >>> TaggedArray.PAGE_SHIFT << SHIFTS[size] & LINEAR;
    long upper = array.evictedSpace & TaggedArray.UPPER;
    // Without 5 levels bits 56:48 are not in the tag; they equal bit 47, as those above do.
    return paging.mode >= PagingContext.LONG5
        ? (upper << UPPER_SHIFT | low) << UPPER_CANONICAL_SHIFT >> UPPER_CANONICAL_SHIFT
        : low << CANONICAL_SHIFT >> CANONICAL_SHIFT;
  }

  private static int sizeCode(int shift) {
    return shift >= SHIFTS[2] ? 2 : shift >= SHIFTS[1] ? 1 : 0;
  }
}
