package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * The processor's page walk: no paging, 2-level, PAE, 4-level and 5-level (SDM vol. 3A, "Paging"), in one dimension or,
 * with a {@link SecondStage}, in two (vol. 3C, "EPT Translation Mechanism").
 *
 * <p>Order of events, where more than one thing is wrong:
 * <ol>
 * <li>Level by level from the top: the second stage's exit on reading the entry; then P = 0; then reserved bits (#PF
 *   with P and RSVD).</li>
 * <li>Rights, combined over all levels, once the leaf is known.</li>
 * <li>A in each entry used and D in the leaf, top down, by compare-and-set; each update passes the second stage as a
 *   write and may exit. If an entry changed since it was read, the walk starts again. A walk that raises #PF sets no
 *   flag.</li>
 * <li>The second stage's exit on the final address. A and D are set by then, as on the processor.</li>
 * </ol>
 * Entries in memory that is not backed read as all ones, as everywhere on the bus.
 *
 * <p>With 5 levels or protection keys no walk takes the short path.
 *
 * <p>A walk that began at a paging-structure cache entry and would fault is repeated from the root, so that a stale
 * entry costs references and no fault; the SDM allows either.
 *
 * <p>References with empty caches: 4, 3, 2 for 4K, 2M, 1G pages of 4-level paging, one more with 5 levels; 2 and 1
 * under PAE, whose PDPTEs are registers, and in 2-level paging; with a second stage of m levels and n guest levels (n +
 * 1)(m + 1) − 1.
 */
public final class PageWalker implements Translator {
  private static final int TOP_LEVEL = 4;
  private static final int MAX_LEVELS = 5;
  /** Internal result: an entry changed under the walk. */
  private static final long RETRY = -5;
  private static final int ALL_RIGHTS = Translation.WRITABLE | Translation.USER | Translation.EXECUTABLE;
  private static final int ONE_STAGE = Translation.READABLE | Translation.STAGE_WRITABLE;
  private static final int STAGE_RIGHTS = Translation.READABLE | Translation.STAGE_WRITABLE;
  /** Rights of a second stage that let an entry's flags be set with no further walk. */
  private static final int UPDATE_RIGHTS = Translation.STAGE_WRITABLE | Translation.DIRTY;
  private static final int IDENTITY_SHIFT = 30;
  private static final int LEGACY_LARGE_SHIFT = 22;
  private static final long LEGACY_INDEX = 0xFFC;

  private final HostMemory memory;
  private final PagingContext paging;
  private final SecondStage stage;
  private PagingStructureCache structures;

  // The walk in hand, by level: what was read and where. Only walks with effects use it, so that a peek from inside one
  // does no harm.
  private final @Gpa long[] entryGpas = new long[MAX_LEVELS + 1];
  private final @Hpa long[] entryHpas = new long[MAX_LEVELS + 1];
  private final long[] entries = new long[MAX_LEVELS + 1];
  private final int[] rightsAbove = new int[MAX_LEVELS + 1];

  /**
   * @param paging control registers in force, read at each walk
   * @param stage second stage under the guest's tables; null natively and for shadow tables
   */
  public PageWalker(HostMemory memory, PagingContext paging, SecondStage stage) {
    this.memory = memory;
    this.paging = paging;
    this.stage = stage;
  }

  @Override
  public void setStructureCache(PagingStructureCache cache) {
    structures = cache;
  }

  @Override
  public @Hpa long translate(@Gva long gva, int access, Translation out) {
    out.references = 0;
    out.guestReferences = 0;
    PagingStructureCache cache = structures;
    if (cache == null) {
      @Hpa long result = walkPlain(gva, access, out);
      if (result != RETRY) {
        return result;
      }
      out.references = 0;
    }
    while (true) {
      long result = walk(gva, access, out, cache, true, null);
      if (result == Status.FAULT && cache != null && !cache.faultsAreFinal) {
        cache = null;
      } else if (result != RETRY) {
        return result;
      }
    }
  }

  @Override
  public @Hpa long peek(@Gva long gva, int access, Translation out, WalkObserver steps) {
    out.references = 0;
    out.guestReferences = 0;
    return walk(gva, access, out, null, false, steps);
  }

  private @Hpa long walk(@Gva long gva, int access, Translation out, PagingStructureCache cache, boolean effects,
      WalkObserver steps) {
    return switch (paging.mode) {
      case PagingContext.NONE -> deliver(Addresses.unpaged(gva), gva, access,
          stage == null ? HostMemory.FRAME_SHIFT : IDENTITY_SHIFT, ALL_RIGHTS | Translation.DIRTY, memoryType(0, 0),
          out, effects, steps);
      case PagingContext.LEGACY -> walkLegacy(gva, access, out, cache, effects, steps);
      default -> walkWide(gva, access, out, cache, effects, steps);
    };
  }

  /**
   * The walk that nearly all others are: to a 4-KiB page, all entries plain, A set in those above the leaf, and the
   * second stage's part remembered. Tests all of that at once at the end; whatever else turns up is left to the general
   * walk, for which nothing has changed but for flags that it would set too.
   *
   * @return host-physical address, {@link Status#FAULT} if but for the leaf's P all was plain, or RETRY for anything
   *     else
   */
  private @Hpa long walkPlain(@Gva long gva, int access, Translation out) {
    return switch (paging.mode) {
      case PagingContext.LONG4 -> walkPlainLong(gva, access, out);
      case PagingContext.PAE -> walkPlainPae(gva, access, out);
      case PagingContext.LEGACY -> walkPlainLegacy(gva, access, out);
      default -> RETRY;
    };
  }

  private @Hpa long walkPlainLegacy(@Gva long gva, int access, Translation out) {
    @Hpa long top = plainTable(paging.root + (Addresses.bits(gva) >>> LEGACY_LARGE_SHIFT - 2 & LEGACY_INDEX), out);
    if (top < 0) {
      return RETRY;
    }
    long pde = memory.read32(top);
    long index = Addresses.bits(gva) >>> HostMemory.FRAME_SHIFT - 2 & LEGACY_INDEX;
    @Hpa long at = plainTable(pde & PageTableEntry.ADDRESS_LEGACY | index, out);
    if (at < 0) {
      return RETRY;
    }
    long pte = memory.read32(at);
    boolean plain = (pde & pte & PageTableEntry.P) != 0 && (pde & PageTableEntry.A) != 0
        && ((pde & PageTableEntry.PS) == 0 || !paging.pse);
    int rights = (int) (pde & pte) >>> 1 & (Translation.WRITABLE | Translation.USER) | Translation.EXECUTABLE;
    return plain ? finishPlain(gva, access, at, 4, pte, rights, 2, out) : RETRY;
  }

  private @Hpa long walkPlainPae(@Gva long gva, int access, Translation out) {
    long pdpte = paging.pdpte[(int) (gva >>> IDENTITY_SHIFT) & 3];
    @Hpa long top = plainTable(pdpte & PageTableEntry.ADDRESS | PageTableEntry.entryOffset(gva, 2), out);
    if (top < 0) {
      return RETRY;
    }
    long pde = memory.read64(top);
    @Hpa long at = plainTable(pde & PageTableEntry.ADDRESS | PageTableEntry.entryOffset(gva, 1), out);
    if (at < 0) {
      return RETRY;
    }
    long pte = memory.read64(at);
    boolean plain = (pdpte & pde & PageTableEntry.P) != 0 && (pde & PageTableEntry.A) != 0
        && (pde & PageTableEntry.PS) == 0;
    long reserved = reservedInAll() | PageTableEntry.RESERVED_PAE;
    if (!plain || (pde & reserved) != 0) {
      return RETRY;
    }
    if ((pte & PageTableEntry.P) == 0) {
      out.references += 2;
      out.guestReferences = 2;
      return fault(gva, access, 0, out);
    }
    int rights = (int) (pde & pte) >>> 1 & (Translation.WRITABLE | Translation.USER)
        | ((pde | pte) < 0 ? 0 : Translation.EXECUTABLE);
    return (pte & reserved) == 0 ? finishPlain(gva, access, at, 8, pte, rights, 2, out) : RETRY;
  }

  private @Hpa long walkPlainLong(@Gva long gva, int access, Translation out) {
    long tables = -1;
    long any = 0;
    @Gpa long table = paging.root;
    for (int level = TOP_LEVEL; level > 1; level--) {
      @Hpa long at = plainTable(table | PageTableEntry.entryOffset(gva, level), out);
      if (at < 0) {
        return RETRY;
      }
      long entry = memory.read64(at);
      tables &= entry;
      any |= entry;
      table = entry & PageTableEntry.ADDRESS;
    }
    @Hpa long at = plainTable(table | PageTableEntry.entryOffset(gva, 1), out);
    if (at < 0) {
      return RETRY;
    }
    long pte = memory.read64(at);
    boolean plain = (tables & pte & PageTableEntry.P) != 0 && (tables & PageTableEntry.A) != 0
        && (any & PageTableEntry.PS) == 0 && ((any | pte) & reservedInAll()) == 0;
    int rights = (int) (tables & pte) >>> 1 & (Translation.WRITABLE | Translation.USER)
        | ((any | pte) < 0 ? 0 : Translation.EXECUTABLE);
    return plain ? finishPlain(gva, access, at, 8, pte, rights, TOP_LEVEL, out) : RETRY;
  }

  /** Where an entry lies in host memory, or a negative value if the second stage must walk for it. */
  private @Hpa long plainTable(@Gpa long gpa, Translation out) {
    return stage == null ? Addresses.oneStage(gpa) : stage.remembered(gpa, SecondStage.TABLE, out);
  }

  private @Hpa long finishPlain(@Gva long gva, int access, @Hpa long at, int size, long pte, int rights, int references,
      Translation out) {
    if (!Permissions.allowed(access, rights, paging)) {
      return RETRY;
    }
    long flagged = pte | ((access & Access.WRITE) != 0 ? PageTableEntry.A | PageTableEntry.D : PageTableEntry.A);
    if (flagged != pte && (stage != null && (out.rights & UPDATE_RIGHTS) != UPDATE_RIGHTS
        || !memory.compareAndSet(at, size, pte, flagged))) {
      return RETRY;
    }
    @Gpa long gpa = flagged & PageTableEntry.ADDRESS | Addresses.offset(gva, HostMemory.FRAME_SIZE);
    int guestRights = rights | leafRights(flagged);
    if (stage == null) {
      out.hpa = Addresses.oneStage(gpa);
      out.rights = guestRights | ONE_STAGE;
      out.memoryType = memoryType(flagged, PageTableEntry.PAT);
    } else {
      out.hpa = stage.remembered(gpa, access & (Access.WRITE | Access.FETCH), out);
      if (out.hpa < 0) {
        return RETRY;
      }
      out.rights = bothStages(guestRights, out.rights);
    }
    out.references += references;
    out.guestReferences = references;
    out.gva = gva;
    out.gpa = gpa;
    out.pageShift = HostMemory.FRAME_SHIFT;
    out.guestPageShift = HostMemory.FRAME_SHIFT;
    return out.hpa;
  }

  private static int bothStages(int guest, int stage) {
    return guest & (Translation.WRITABLE | Translation.USER | Translation.GLOBAL | Translation.KEY)
        | stage & STAGE_RIGHTS
        | guest & stage & (Translation.EXECUTABLE | Translation.DIRTY);
  }

  private long reservedInAll() {
    return paging.nxe ? PageTableEntry.RESERVED : PageTableEntry.RESERVED | PageTableEntry.NX;
  }

  /** PAE and 4-level paging. */
  private @Hpa long walkWide(@Gva long gva, int access, Translation out, PagingStructureCache cache, boolean effects,
      WalkObserver steps) {
    int mode = paging.mode;
    int level;
    @Gpa long table;
    if (PagingContext.isLong(mode)) {
      level = PagingContext.levels(mode);
      table = paging.root;
    } else {
      long pdpte = paging.pdpte[(int) (gva >>> IDENTITY_SHIFT) & 3];
      if ((pdpte & PageTableEntry.P) == 0) {
        return fault(gva, access, 0, out);
      }
      level = 2;
      table = pdpte & PageTableEntry.ADDRESS;
    }
    int rights = ALL_RIGHTS;
    @Hpa long tableHpa = stage == null ? Addresses.oneStage(table) : -1;
    if (cache != null) {
      int start = cache.lookup(gva, paging);
      if (start != 0) {
        level = start;
        table = cache.tableGpa;
        tableHpa = cache.tableHpa;
        rights = cache.rights;
      }
    }
    int top = level;
    long reservedAlways = PageTableEntry.reserved(mode, 1, true, paging.nxe);
    while (true) {
      long at = PageTableEntry.entryOffset(gva, level);
      @Hpa long hpa = tableHpa >= 0 ? tableHpa + at : stageTable(table + at, gva, out, effects, steps);
      if (hpa < 0) {
        return hpa;
      }
      long entry = memory.read64(hpa);
      out.references++;
      out.guestReferences++;
      if (steps != null) {
        steps.step(WalkObserver.Dimension.GUEST, level, table + at, hpa, entry);
      }
      if ((entry & PageTableEntry.P) == 0) {
        return fault(gva, access, 0, out);
      }
      boolean leaf = PageTableEntry.isLeaf(entry, level, paging.pages1g);
      if ((entry & (level == 1 ? reservedAlways : PageTableEntry.reserved(mode, level, leaf, paging.nxe))) != 0) {
        return fault(gva, access, PageFaultCode.P | PageFaultCode.RSVD, out);
      }
      rights &= (int) (entry >>> 1 & 3) | (entry < 0 ? 0 : Translation.EXECUTABLE);
      if (effects) {
        entryGpas[level] = table + at;
        entryHpas[level] = hpa;
        entries[level] = entry;
        rightsAbove[level] = rights;
      }
      if (leaf) {
        return finish(gva, access, level, top, entry, rights, out, cache, effects, steps);
      }
      table = entry & PageTableEntry.ADDRESS;
      tableHpa = stage == null ? Addresses.oneStage(table) : -1;
      level--;
    }
  }

  /** 2-level paging with 4-byte entries. */
  private @Hpa long walkLegacy(@Gva long gva, int access, Translation out, PagingStructureCache cache, boolean effects,
      WalkObserver steps) {
    int level = 2;
    int rights = ALL_RIGHTS;
    @Gpa long table = paging.root;
    @Hpa long tableHpa = stage == null ? Addresses.oneStage(table) : -1;
    if (cache != null && cache.lookup(gva, paging) != 0) {
      level = 1;
      table = cache.tableGpa;
      tableHpa = cache.tableHpa;
      rights = cache.rights;
    }
    int top = level;
    while (true) {
      long at = Addresses.bits(gva) >>> (level == 2 ? LEGACY_LARGE_SHIFT - 2 : HostMemory.FRAME_SHIFT - 2)
          & LEGACY_INDEX;
      @Hpa long hpa = tableHpa >= 0 ? tableHpa + at : stageTable(table + at, gva, out, effects, steps);
      if (hpa < 0) {
        return hpa;
      }
      long entry = memory.read32(hpa);
      out.references++;
      out.guestReferences++;
      if (steps != null) {
        steps.step(WalkObserver.Dimension.GUEST, level, table + at, hpa, entry);
      }
      if ((entry & PageTableEntry.P) == 0) {
        return fault(gva, access, 0, out);
      }
      boolean large = level == 2 && paging.pse && (entry & PageTableEntry.PS) != 0;
      if (large && (entry & PageTableEntry.RESERVED_4M) != 0) {
        return fault(gva, access, PageFaultCode.P | PageFaultCode.RSVD, out);
      }
      rights &= (int) (entry >>> 1 & 3) | Translation.EXECUTABLE;
      if (effects) {
        entryGpas[level] = table + at;
        entryHpas[level] = hpa;
        entries[level] = entry;
        rightsAbove[level] = rights;
      }
      if (large || level == 1) {
        return finish(gva, access, level, top, entry, rights, out, cache, effects, steps);
      }
      table = entry & PageTableEntry.ADDRESS_LEGACY;
      tableHpa = stage == null ? Addresses.oneStage(table) : -1;
      level = 1;
    }
  }

  /** Checks the rights at the leaf, sets the flags, and passes the page on. @param top level of the first entry read */
  private @Hpa long finish(@Gva long gva, int access, int level, int top, long leaf, int rights, Translation out,
      PagingStructureCache cache, boolean effects, WalkObserver steps) {
    if (PagingContext.hasKeys(paging.mode)) {
      rights |= ProtectionKeys.rights(leaf);
      if (ProtectionKeys.deny(access, rights, paging)) {
        return fault(gva, access, PageFaultCode.P | PageFaultCode.PK, out);
      }
    }
    if (!Permissions.allowed(access, rights, paging)) {
      return fault(gva, access, PageFaultCode.P, out);
    }
    boolean legacy = paging.mode == PagingContext.LEGACY;
    long flags = (access & Access.WRITE) != 0 ? PageTableEntry.A | PageTableEntry.D : PageTableEntry.A;
    if (effects) {
      long status = setAccessedDirty(gva, legacy ? 4 : 8, level, top, flags, out);
      if (status < 0) {
        return status;
      }
      leaf |= flags;
    }
    int shift = legacy && level == 2 ? LEGACY_LARGE_SHIFT : PageTableEntry.shift(level);
    @Gpa long page = !legacy ? PageTableEntry.page(leaf, level)
        : level == 2 ? PageTableEntry.page4M(leaf) : leaf & PageTableEntry.ADDRESS_LEGACY;
    int type = memoryType(leaf, level == 1 ? PageTableEntry.PAT : PageTableEntry.PAT_LARGE);
    @Gpa long gpa = page | Addresses.offset(gva, 1L << shift);
    long result = deliver(gpa, gva, access, shift, rights | leafRights(leaf), type, out, effects, steps);
    if (cache != null && result >= 0) {
      remember(cache, gva, level, top);
    }
    return result;
  }

  private int leafRights(long leaf) {
    return ((leaf & PageTableEntry.D) != 0 ? Translation.DIRTY : 0)
        | (paging.pge && (leaf & PageTableEntry.G) != 0 ? Translation.GLOBAL : 0);
  }

  /** Memory type that the PAT gives an entry (SDM vol. 3A, "Page Attribute Table"). */
  private int memoryType(long entry, long patBit) {
    int index = (int) (entry >>> 3) & 3 | ((entry & patBit) != 0 ? 4 : 0);
    return (int) (paging.pat >>> 8 * index) & 7;
  }

  private @Hpa long stageTable(@Gpa long gpa, @Gva long gva, Translation out, boolean effects, WalkObserver steps) {
    return effects ? stage.translate(gpa, gva, SecondStage.TABLE, out)
        : stage.peek(gpa, gva, SecondStage.TABLE, out, steps);
  }

  /** Sets A in all entries of the walk and {@code leafFlags} in the leaf. @return 0, RETRY or {@link Status#EXIT} */
  private @Hpa long setAccessedDirty(@Gva long gva, int size, int leafLevel, int top, long leafFlags, Translation out) {
    for (int level = top; level >= leafLevel; level--) {
      long entry = entries[level];
      long updated = entry | (level == leafLevel ? leafFlags : PageTableEntry.A);
      if (updated != entry) {
        if (stage != null) {
          int references = out.references;
          int update = Access.WRITE | SecondStage.TABLE | SecondStage.TABLE_UPDATE;
          long status = stage.translate(entryGpas[level], gva, update, out);
          out.references = references;
          if (status < 0) {
            return status;
          }
        }
        if (!memory.compareAndSet(entryHpas[level], size, entry, updated)) {
          return RETRY;
        }
      }
    }
    return 0;
  }

  /** Passes the final address through the second stage and fills in the result. */
  private @Hpa long deliver(@Gpa long gpa, @Gva long gva, int access, int shift, int rights, int memoryType,
      Translation out, boolean effects, WalkObserver steps) {
    out.gva = gva;
    out.gpa = gpa;
    out.guestPageShift = paging.mode == PagingContext.NONE ? HostMemory.FRAME_SHIFT : shift;
    if (stage == null) {
      out.hpa = Addresses.oneStage(gpa);
      out.pageShift = shift;
      out.rights = rights | ONE_STAGE;
      out.memoryType = memoryType;
      return out.hpa;
    }
    out.rights = rights;
    int stageAccess = access & (Access.WRITE | Access.FETCH);
    long hpa = effects ? stage.translate(gpa, gva, stageAccess, out) : stage.peek(gpa, gva, stageAccess, out, steps);
    if (hpa < 0) {
      return hpa;
    }
    out.hpa = hpa;
    out.pageShift = Math.min(shift, out.pageShift);
    out.rights = bothStages(rights, out.rights);
    return hpa;
  }

  private void remember(PagingStructureCache cache, @Gva long gva, int leafLevel, int top) {
    long address = paging.mode == PagingContext.LEGACY ? PageTableEntry.ADDRESS_LEGACY : PageTableEntry.ADDRESS;
    for (int level = top; level > leafLevel; level--) {
      @Gpa long table = entries[level] & address;
      cache.insert(level, gva, paging, table, entryHpas[level - 1] & -HostMemory.FRAME_SIZE, rightsAbove[level]);
    }
  }

  private long fault(@Gva long gva, int access, int flags, Translation out) {
    out.gva = gva;
    out.errorCode = Permissions.errorCode(access, flags, paging);
    return Status.FAULT;
  }

  @Override
  public int loadPdptes(long cr3, long[] into, Translation out) {
    @Gpa long table = cr3 & 0xFFFF_FFE0L;
    @Hpa long hpa = Addresses.oneStage(table);
    if (stage != null) {
      hpa = stage.translate(table, 0, SecondStage.TABLE | SecondStage.NO_LINEAR, out);
      if (hpa < 0) {
        return (int) hpa;
      }
    }
    for (int i = 0; i < into.length; i++) {
      long entry = memory.read64(hpa + 8L * i);
      if ((entry & PageTableEntry.P) != 0 && (entry & PageTableEntry.RESERVED_PDPTE) != 0) {
        return Status.FAULT;
      }
    }
    for (int i = 0; i < into.length; i++) {
      into[i] = memory.read64(hpa + 8L * i);
    }
    return Status.OK;
  }

  @Override
  public boolean twoDimensional() {
    return stage != null;
  }

  @Override
  public void flushAddress(@Gva long gva, int pcid) {
    if (structures != null) {
      structures.flushAddress(gva, paging, pcid);
    }
  }

  @Override
  public void flushLinear(int pcid) {
    if (structures != null) {
      structures.flushContext(paging.vpid, pcid);
    }
  }

  @Override
  public void flushAll() {
    if (structures != null) {
      structures.flushAll();
    }
    if (stage != null) {
      stage.flush();
    }
  }
}
