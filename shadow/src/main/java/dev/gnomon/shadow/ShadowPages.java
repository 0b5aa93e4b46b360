package dev.gnomon.shadow;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.memory.TableFrames;
import java.util.ArrayList;
import java.util.List;
import org.eclipse.collections.impl.map.mutable.primitive.LongIntHashMap;
import org.eclipse.collections.impl.map.mutable.primitive.LongObjectHashMap;

/**
 * All shadow pages of a virtual machine: found by guest frame and role, linked to parents and children,
 * write-protecting the guest tables that they stand for, thrown away oldest first when there are too many. The vCPUs'
 * {@link ShadowMmu}s share it.
 */
public final class ShadowPages {
  /** Pages that one operation may need at most: the roots of a PAE guest or the tables of one walk. */
  private static final int MIN_FREE_PAGES = 6;
  /** Pages freed at once when the limit is reached. */
  private static final int REFILL_PAGES = 25;

  private static final ShadowObserver NOBODY = new ShadowObserver() { };

  final HostMemory memory;
  final SlotMap slots;
  final ShadowOptions options;
  final ShadowStatistics statistics;
  /** A table without entries, for a guest whose own top table lies outside its memory. */
  final @Hpa long emptyTable;
  final ReverseMap rmap;
  final UnsyncPages unsyncPages;
  final List<ShadowMmu> vcpus = new ArrayList<>();
  /** Oldest and newest page in use; recycling takes the oldest. */
  ShadowPage oldest;
  ShadowPage newest;
  int generation;
  int inUse;
  /** A page was thrown away or a flush asked for since the vCPUs were last made safe to enter. */
  boolean unsettled;
  /** Links made and cut, and roots loaded: a way down the tables that was found holds until the number grows. */
  long links;
  private ShadowObserver observer = NOBODY;

  private final TableFrames frames;
  private final int limit;
  private final ShadowPage[] byId;
  /** Offset of the tables region in the store. */
  private final int tables;
  /** Pages that shadow guest tables, by the size of their entries: 8 bytes, 4 bytes. */
  private final int[] shadowsBySize = new int[2];
  /** First of the valid pages with a guest frame. */
  private final LongObjectHashMap<ShadowPage> byGfn = new LongObjectHashMap<>();
  /**
   * How many shadowed tables lie in each 2M and 1G frame: a large mapping over one could not be write-protected alone.
   */
  private final LongIntHashMap[] tablesWithin = {null, null, new LongIntHashMap(), new LongIntHashMap()};

  /**
   * @param frames where the tables come from; no one else takes frames from it
   * @throws IllegalArgumentException if there are not enough frames for the smallest page limit
   */
  public ShadowPages(HostMemory memory, TableFrames frames, SlotMap slots, ShadowOptions options) {
    if (frames.available() <= ShadowOptions.MIN_PAGE_LIMIT) {
      throw new IllegalArgumentException("tables region of " + frames.available()
          + " frames for shadow pages: expected more than "
          + ShadowOptions.MIN_PAGE_LIMIT);
    }
    this.memory = memory;
    this.frames = frames;
    this.slots = slots;
    this.emptyTable = frames.allocate();
    this.options = options;
    this.limit = Math.min(options.pageLimit(), frames.available());
    this.tables = memory.offset(HostMemory.TABLES_BASE);
    this.byId = new ShadowPage[(int) (memory.tableBytes() >> HostMemory.FRAME_SHIFT)];
    this.rmap = new ReverseMap(byId);
    this.statistics = new ShadowStatistics();
    this.unsyncPages = new UnsyncPages(this);
  }

  public ShadowStatistics statistics() {
    return statistics;
  }

  public ShadowOptions options() {
    return options;
  }

  /** Shadow pages that exist. */
  public int inUse() {
    return inUse;
  }

  public void setObserver(ShadowObserver observer) {
    this.observer = observer;
  }

  ShadowObserver observer() {
    return observer;
  }

  boolean isObserved() {
    return observer != NOBODY;
  }

  long read(ShadowPage page, int index) {
    return memory.get64(offset(page, index));
  }

  void write(ShadowPage page, int index, long spte) {
    int offset = offset(page, index);
    memory.beforeWrite(offset, Long.BYTES);
    memory.set64(offset, spte);
  }

  private int offset(ShadowPage page, int index) {
    return tables + page.location(index) * Long.BYTES;
  }

  /** The shadow page whose table a link names. */
  ShadowPage child(long spte) {
    return byId[(int) ((spte & ShadowPte.FRAME) - HostMemory.TABLES_BASE >> HostMemory.FRAME_SHIFT)];
  }

  /** First valid page with a guest frame; the others follow by {@link ShadowPage#sameGfn}. */
  ShadowPage first(long gfn) {
    return byGfn.get(gfn);
  }

  /** Remembers that all processors must drop their translations before the guest runs on. */
  void requestFlush() {
    unsettled = true;
    for (int i = 0; i < vcpus.size(); i++) {
      vcpus.get(i).flushPending = true;
    }
  }

  /**
   * Finds or makes the page for a guest table and role. A page found is up to date where it can be cheaply: an
   * unsynchronised one is brought up to date in place, but stays writable for the guest; pages below a higher one are
   * the caller's business.
   */
  ShadowPage getPage(long gfn, int role) {
    for (ShadowPage page = byGfn.get(gfn), next; page != null; page = next) {
      next = page.sameGfn;
      if (page.role != role) {
        // A frame with a shadow above level 1 gets write-protected, so it can have no unsynchronised shadows; the guest
        // reuses it, most likely.
        if (Role.level(role) > 1 && !Role.direct(role) && page.unsync) {
          zap(page);
        }
        continue;
      }
      if (page.unsync) {
        unsyncPages.syncEntries(page);
      }
      page.writeFloodingCount = 0;
      observer.getPage(page, false);
      return page;
    }
    ShadowPage page = allocate(gfn, role);
    if (!page.direct()) {
      accountTable(page, 1);
      writeProtect(gfn, true);
    }
    observer.getPage(page, true);
    return page;
  }

  private ShadowPage allocate(long gfn, int role) {
    @Hpa long spt = frames.allocate();
    if (spt < 0) {
      throw new IllegalStateException("no frame for a shadow page although " + inUse + " of " + limit + " are in use");
    }
    statistics.mmuCacheMiss++;
    int id = (int) (spt - HostMemory.TABLES_BASE >> HostMemory.FRAME_SHIFT);
    boolean leaf = Role.level(role) == 1 && !Role.direct(role);
    @Hpa long guestTable = leaf ? slots.back(ShadowPage.guestTable(gfn, role)) : -1;
    ShadowPage page = new ShadowPage(spt, id, gfn, role, generation, guestTable);
    byId[id] = page;
    inUse++;
    page.older = newest;
    if (newest != null) {
      newest.newer = page;
    } else {
      oldest = page;
    }
    newest = page;
    page.sameGfn = byGfn.put(gfn, page);
    return page;
  }

  private void accountTable(ShadowPage page, int delta) {
    shadowsBySize[Role.has4ByteGpte(page.role) ? 1 : 0] += delta;
    for (int level = 2; level <= 3; level++) {
      long key = page.gfn >>> 9 * (level - 1);
      if (tablesWithin[level].addToValue(key, delta) == 0) {
        tablesWithin[level].remove(key);
      }
    }
  }

  /** A shadowed guest table lies in the large page of that level around a frame. */
  boolean hasTableWithin(long gfn, int level) {
    return tablesWithin[level].containsKey(gfn >>> 9 * (level - 1));
  }

  /** Guest tables are shadowed with entries of the other size than that role's. */
  boolean hasOtherEntrySize(int role) {
    return shadowsBySize[Role.has4ByteGpte(role) ? 0 : 1] != 0;
  }

  /**
   * The frame is a guest table with a shadow above level 1, which is always kept in step: every write must be emulated.
   */
  boolean isWriteTracked(long gfn) {
    for (ShadowPage page = byGfn.get(gfn); page != null; page = page.sameGfn) {
      if (!page.direct() && page.level() > 1) {
        return true;
      }
    }
    return false;
  }

  boolean isShadowedTable(long gfn) {
    for (ShadowPage page = byGfn.get(gfn); page != null; page = page.sameGfn) {
      if (!page.direct()) {
        return true;
      }
    }
    return false;
  }

  /**
   * Takes the write right from every mapping of a frame, large ones too.
   *
   * @param forTable the frame is a guest table, so that W must not come back without the shadow MMU's consent;
   *     otherwise for dirty logging
   */
  boolean writeProtect(long gfn, boolean forTable) {
    boolean changed = false;
    for (int level = 1; level <= 3; level++) {
      long first = gfn & -ShadowPte.framesPerEntry(level);
      for (int location = rmap.first(first, level); location != ShadowPage.NONE; location = rmap.next(location)) {
        ShadowPage page = rmap.page(location);
        int index = ReverseMap.index(location);
        long old = read(page, index);
        long spte = old & ~(forTable ? ShadowPte.W | ShadowPte.MMU_WRITABLE : ShadowPte.W);
        if (spte != old) {
          write(page, index, spte);
          changed |= ShadowPte.isWritable(old);
        }
      }
    }
    if (changed) {
      requestFlush();
    }
    return changed;
  }

  /** Drops the mappings of a frame that are larger than it. */
  void zapLargeMappings(long gfn) {
    for (int level = 2; level <= 3; level++) {
      long first = gfn & -ShadowPte.framesPerEntry(level);
      for (int location; (location = rmap.first(first, level)) != ShadowPage.NONE; ) {
        zapEntry(rmap.page(location), ReverseMap.index(location));
        requestFlush();
      }
    }
  }

  /** Makes a not-present entry point to a lower table. */
  void link(ShadowPage parent, int index, ShadowPage child) {
    links++;
    write(parent, index, ShadowPte.table(child.spt));
    rmap.addParent(child, parent, index);
    if (child.unsync || child.unsyncChildren > 0) {
      unsyncPages.markParent(parent, index);
    }
  }

  /** Clears an entry, whatever it is; returns the old value. Asks for no flush. */
  long zapEntry(ShadowPage page, int index) {
    int offset = offset(page, index);
    long spte = memory.get64(offset);
    if (spte == 0) {
      return 0;
    }
    memory.beforeWrite(offset, Long.BYTES);
    memory.set64(offset, 0);
    if (ShadowPte.isPresent(spte)) {
      if (ShadowPte.isLeaf(spte, page.level())) {
        rmap.remove(page, index, page.leafGfn(index));
        statistics.pages[page.level()]--;
      } else {
        links++;
        rmap.removeParent(child(spte), page, index);
      }
    }
    return spte;
  }

  /** Drops every mapping of a frame, of all sizes. */
  boolean zapMappings(long gfn) {
    boolean dropped = false;
    for (int level = 1; level <= 3; level++) {
      long first = gfn & -ShadowPte.framesPerEntry(level);
      for (int location; (location = rmap.first(first, level)) != ShadowPage.NONE; ) {
        zapEntry(rmap.page(location), ReverseMap.index(location));
        dropped = true;
      }
    }
    if (dropped) {
      requestFlush();
    }
    return dropped;
  }

  /** Throws away all shadows of a guest table; true if there was one. */
  boolean zapTables(long gfn) {
    boolean zapped = false;
    for (ShadowPage page = byGfn.get(gfn), next; page != null; page = next) {
      next = page.sameGfn;
      if (!page.direct() && !page.invalid) {
        zap(page);
        zapped = true;
      }
    }
    return zapped;
  }

  /**
   * Throws a page away: unlinks it from parents and children and lifts the write-protection of its guest table. A root
   * in use stays walkable until its vCPUs have loaded another, before the guest runs on.
   */
  void zap(ShadowPage page) {
    if (page.invalid) {
      return;
    }
    statistics.mmuShadowZapped++;
    observer.zapPage(page);
    page.invalid = true;
    unsyncPages.zapBelow(page);
    for (int index = 0; index < ShadowPte.ENTRIES; index++) {
      zapEntry(page, index);
    }
    while (page.parents != ShadowPage.NONE) {
      zapEntry(rmap.page(page.parents), ReverseMap.index(page.parents));
    }
    if (page.unsync) {
      unsyncPages.clearUnsync(page);
    }
    if (!page.direct()) {
      accountTable(page, -1);
    }
    removeFromChain(page);
    removeFromAges(page);
    requestFlush();
    if (page.rootCount == 0) {
      release(page);
    }
  }

  private void removeFromChain(ShadowPage page) {
    ShadowPage head = byGfn.get(page.gfn);
    if (head == page) {
      if (page.sameGfn == null) {
        byGfn.remove(page.gfn);
      } else {
        byGfn.put(page.gfn, page.sameGfn);
      }
      return;
    }
    while (head.sameGfn != page) {
      head = head.sameGfn;
    }
    head.sameGfn = page.sameGfn;
  }

  private void removeFromAges(ShadowPage page) {
    if (page.older != null) {
      page.older.newer = page.newer;
    } else {
      oldest = page.newer;
    }
    if (page.newer != null) {
      page.newer.older = page.older;
    } else {
      newest = page.older;
    }
  }

  private void release(ShadowPage page) {
    byId[page.id] = null;
    frames.free(page.spt);
    inUse--;
  }

  void holdRoot(ShadowPage page) {
    page.rootCount++;
  }

  void dropRoot(ShadowPage page) {
    if (--page.rootCount == 0 && page.invalid) {
      release(page);
    }
  }

  /**
   * Makes room for the pages of one operation by throwing away the oldest that are no roots; then old cached roots too.
   */
  void ensureFree() {
    if (limit - inUse >= MIN_FREE_PAGES) {
      return;
    }
    recycle();
    if (limit - inUse < MIN_FREE_PAGES) {
      for (int i = 0; i < vcpus.size(); i++) {
        vcpus.get(i).dropPreviousRoots();
      }
      recycle();
    }
  }

  private void recycle() {
    for (ShadowPage page = oldest; page != null && limit - inUse < REFILL_PAGES; ) {
      if (page.rootCount > 0) {
        page = page.newer;
        continue;
      }
      zap(page);
      statistics.mmuRecycled++;
      // Zapping a page may zap unsynchronised ones below it, so that the chain of ages is followed from its start
      // again.
      page = oldest;
      while (page != null && page.rootCount > 0) {
        page = page.newer;
      }
    }
  }

  /**
   * Throws all pages away (KVM's {@code kvm_mmu_zap_all_fast}: a new generation, then the obsolete pages of the old
   * one).
   */
  void zapAll() {
    generation++;
    while (oldest != null) {
      zap(oldest);
    }
  }
}
