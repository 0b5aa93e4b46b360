package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;

/**
 * Makes shadow entries: the chain of tables for one address down to its mapping (KVM's {@code fetch} and {@code
 * direct_map}), the mapping itself ({@code mmu_set_spte}, {@code make_spte}) and its neighbours ({@code pte_prefetch}).
 */
final class ShadowFill {
  /** Entries of the aligned group around a fault that are filled with it. */
  private static final int PREFETCH_ENTRIES = 8;
  /**
   * Longest chain of mappings of one frame before all are dropped, which bounds the time that write-protecting it
   * takes.
   */
  private static final int RMAP_RECYCLE_THRESHOLD = 1000;

  private final ShadowPages pages;

  ShadowFill(ShadowPages pages) {
    this.pages = pages;
  }

  /**
   * Builds the mapping for an access that the guest's tables allow.
   *
   * @param root top shadow page for the address
   * @param walk the guest's walk, or {@code null} without paging
   * @param gfn guest frame of the access
   * @param access rights of the mapping
   * @param kind what {@link SlotMap#kind} says of the frame
   * @param write the access writes
   */
  FaultResult map(ShadowPage root, @Gva long gva, GuestWalk walk, long gfn, int access, int kind, boolean write) {
    ShadowPage page = root;
    int level = root.level();
    if (walk != null) {
      if (walk.changed(level)) {
        return FaultResult.RETRY;
      }
      for (; level > walk.leafLevel; level--) {
        page = guestTable(page, ShadowPte.index(gva, level), gva, walk);
        if (page == null) {
          return FaultResult.RETRY;
        }
      }
    }
    int goal = kind == SlotMap.NONE ? 1 : mappingLevel(gfn, level);
    long key = walk == null ? 0 : GuestPte.key(walk.entry[walk.leafLevel], root.role);
    for (; level > goal; level--) {
      page = directTable(page, ShadowPte.index(gva, level), gva, gfn, access, key);
    }
    return entry(page, ShadowPte.index(gva, level), access, key, gfn, kind, write);
  }

  /** Sets the entry for an access in the table that it belongs to, and its neighbours. */
  FaultResult entry(ShadowPage page, int index, int access, long key, long gfn, int kind, boolean write) {
    int level = page.level();
    page.writeFloodingCount = 0;
    long first = gfn & -ShadowPte.framesPerEntry(level);
    FaultResult result = set(page, index, access, key, first, kind == SlotMap.NONE ? -1 : pages.slots.back(first << 12),
        kind, false, write);
    if (result != FaultResult.SPURIOUS) {
      prefetchAround(page, index);
    }
    return result;
  }

  /**
   * Follows or makes the link to the shadow of the guest's next table; {@code null} if the guest's entry changed
   * meanwhile.
   */
  private ShadowPage guestTable(ShadowPage page, int index, @Gva long gva, GuestWalk walk) {
    page.writeFloodingCount = 0;
    int below = page.level() - 1;
    long spte = dropLarge(page, index);
    if (ShadowPte.isPresent(spte)) {
      return walk.changed(below) ? null : pages.child(spte);
    }
    int role = Role.child(page.role, below, false, walk.tableAccess[below], gva);
    ShadowPage child = pages.getPage(walk.tableGfn[below], role);
    // A guest need not flush after making an entry present, so what hangs below it must be up to date before it is
    // linked.
    if (child.unsyncChildren > 0) {
      pages.unsyncPages.syncChildren(child);
    }
    if (walk.changed(below)) {
      return null;
    }
    pages.link(page, index, child);
    return child;
  }

  /** Follows or makes the link to a direct table, below a large guest page or without paging. */
  private ShadowPage directTable(ShadowPage page, int index, @Gva long gva, long gfn, int access, long key) {
    page.writeFloodingCount = 0;
    long spte = dropLarge(page, index);
    if (ShadowPte.isPresent(spte)) {
      ShadowPage child = pages.child(spte);
      if (Role.access(child.role) == access && Role.key(child.role) == key) {
        return child;
      }
      pages.zapEntry(page, index);
      pages.requestFlush();
    }
    int level = page.level();
    ShadowPage child = pages.getPage(gfn & -ShadowPte.framesPerEntry(level),
        Role.withKey(Role.child(page.role, level - 1, true, access, gva), key));
    pages.link(page, index, child);
    return child;
  }

  /** Drops a large mapping in the way of a lower table. @return the entry as it is then */
  private long dropLarge(ShadowPage page, int index) {
    long spte = pages.read(page, index);
    if (!ShadowPte.isPresent(spte) || !ShadowPte.isLeaf(spte, page.level())) {
      return spte;
    }
    pages.zapEntry(page, index);
    pages.requestFlush();
    return 0;
  }

  /**
   * Largest level of a mapping that the guest's page, the slot and its backing allow and that covers no shadowed guest
   * table.
   */
  private int mappingLevel(long gfn, int guestLevel) {
    if (!pages.options.largePages() || guestLevel == 1) {
      return 1;
    }
    int shift = pages.slots.mappingShift(gfn << 12);
    int level = Math.min(guestLevel, shift >= 30 ? 3 : shift >= 21 ? 2 : 1);
    while (level > 1 && pages.hasTableWithin(gfn, level)) {
      level--;
    }
    return level;
  }

  /**
   * Sets one leaf entry.
   *
   * @param key protection key, as in {@link ShadowPte#KEY}
   * @param gfn first guest frame of the mapping
   * @param hpa its host-physical address; ignored without a slot
   * @param prefetch no access asked for it
   * @param write the access that asked writes
   */
  private FaultResult set(ShadowPage page, int index, int access, long key, long gfn, @Hpa long hpa, int kind,
      boolean prefetch, boolean write) {
    int level = page.level();
    long old = pages.read(page, index);
    boolean mapped = false;
    if (ShadowPte.isPresent(old)) {
      mapped = kind != SlotMap.NONE && ShadowPte.isLeaf(old, level) && (old & ShadowPte.FRAME) == hpa
          && page.leafGfn(index) == gfn;
      if (!mapped) {
        pages.zapEntry(page, index);
        pages.requestFlush();
      }
    }
    if (kind == SlotMap.NONE) {
      long marker = ShadowPte.mmio(gfn, access, pages.slots.generation());
      if (page.gfns != null) {
        page.gfns[index] = gfn;
        page.access[index] = (byte) access;
      }
      pages.write(page, index, marker);
      pages.statistics.pfMmioSpteCreated++;
      pages.observer().setSpte(page, index, marker);
      return FaultResult.EMULATE;
    }
    boolean writable = kind == SlotMap.RAM && (access & ShadowAccess.WRITE) != 0;
    // In a logged slot only a write makes a page writable; one that it has made so keeps the right until the log is
    // taken.
    boolean logged = writable && pages.slots.logged(gfn << 12);
    boolean held = logged && !write && !(mapped && ShadowPte.isWritable(old));
    boolean writeProtected = writable && !held && !pages.unsyncPages.mayBeWritable(gfn, prefetch, true);
    int rights = writable && !held && !writeProtected ? access : access & ~ShadowAccess.WRITE;
    if (logged && write && !writeProtected) {
      pages.slots.markDirty(gfn << 12);
    }
    long spte = ShadowPte.P | Addresses.bits(hpa) | key | ShadowPte.rightsOf(rights) | (prefetch ? 0 : ShadowPte.A)
        | (level > 1 ? ShadowPte.PS : 0)
        | (kind == SlotMap.RAM ? ShadowPte.HOST_WRITABLE : 0)
        | ((rights & ShadowAccess.WRITE) != 0 ? ShadowPte.MMU_WRITABLE | ShadowPte.D : 0);
    boolean same = mapped && (old & ~(ShadowPte.A | ShadowPte.D)) == (spte & ~(ShadowPte.A | ShadowPte.D));
    if (!same) {
      pages.write(page, index, spte);
      if (mapped && ((ShadowPte.access(old) & ~rights) != 0 || (old & ShadowPte.KEY) != key)) {
        pages.requestFlush();
      }
    }
    if (page.gfns != null) {
      page.gfns[index] = gfn;
      page.access[index] = (byte) access;
    }
    if (!same) {
      pages.observer().setSpte(page, index, spte);
    }
    if (!mapped) {
      addToRmap(page, index, gfn);
    }
    if (writeProtected && write) {
      return FaultResult.EMULATE;
    }
    return same ? FaultResult.SPURIOUS : FaultResult.FIXED;
  }

  private void addToRmap(ShadowPage page, int index, long gfn) {
    ShadowStatistics statistics = pages.statistics;
    statistics.pages[page.level()]++;
    int count = pages.rmap.add(page, index, gfn);
    statistics.maxMmuRmapSize = Math.max(statistics.maxMmuRmapSize, count);
    if (count > RMAP_RECYCLE_THRESHOLD) {
      pages.zapMappings(gfn);
    }
  }

  private void prefetchAround(ShadowPage page, int index) {
    if (!pages.options.prefetch() || page.level() > 1) {
      return;
    }
    int start = index & -PREFETCH_ENTRIES;
    for (int i = start; i < start + PREFETCH_ENTRIES; i++) {
      if (i == index || pages.read(page, i) != 0) {
        continue;
      }
      boolean filled = page.direct() ? prefetch(page, i, page.gfn + i, Role.access(page.role), Role.key(page.role))
          : prefetchFromGuest(page, i);
      if (!filled) {
        return;
      }
    }
  }

  /**
   * Makes the entry that the guest's entry allows without a fault, unless the prefetch option is off; false if it
   * allows none.
   */
  boolean prefetchFromGuest(ShadowPage page, int index) {
    if (!pages.options.prefetch()) {
      return false;
    }
    long gpte = page.readGuestEntry(pages.memory, index);
    if (GuestPte.isInvalidForPrefetch(gpte, 1, page.role)) {
      return false;
    }
    int access = GuestPte.protectClean(Role.access(page.role) & GuestPte.access(gpte), gpte);
    return prefetch(page, index, Addresses.frame(GuestPte.address(gpte, 1, page.role)), access,
        GuestPte.key(gpte, page.role));
  }

  private boolean prefetch(ShadowPage page, int index, long gfn, int access, long key) {
    int kind = pages.slots.kind(gfn << 12);
    @Hpa long hpa = kind == SlotMap.NONE ? -1 : pages.slots.backing(gfn << 12);
    if (hpa < 0) {
      return false;
    }
    set(page, index, access, key, gfn, hpa, kind, true, false);
    return true;
  }
}
