package dev.gnomon.shadow;

import dev.gnomon.guest.memory.SlotMap;
import java.util.Arrays;

/**
 * Leaf tables that the guest may write without an exit: marking them, finding them below a root by the bitmaps in their
 * ancestors, and bringing them up to date when the guest flushes its TLB, which is when it may first count on its
 * edits.
 */
final class UnsyncPages {
  private final ShadowPages pages;
  private ShadowPage[] found = new ShadowPage[16];
  private int foundCount;

  UnsyncPages(ShadowPages pages) {
    this.pages = pages;
  }

  /**
   * Asks whether a mapping of a frame may be writable; shadows of the frame that are in step are marked unsynchronised
   * for it if they may.
   *
   * @param prefetch no access asked for the mapping, so nothing is marked for it
   * @param canUnsync the mapping is made for a fault
   */
  boolean mayBeWritable(long gfn, boolean prefetch, boolean canUnsync) {
    ShadowPage first = pages.first(gfn);
    if (first == null) {
      return true;
    }
    if (pages.isWriteTracked(gfn)) {
      return false;
    }
    for (ShadowPage page = first; page != null; page = page.sameGfn) {
      if (page.direct()) {
        continue;
      }
      if (!canUnsync || !pages.options.unsync()) {
        return false;
      }
      if (!page.unsync) {
        if (prefetch) {
          return false;
        }
        markUnsync(page);
      }
    }
    return true;
  }

  private void markUnsync(ShadowPage page) {
    pages.statistics.mmuUnsync++;
    page.unsync = true;
    markParents(page);
    pages.observer().unsyncPage(page);
  }

  private void markParents(ShadowPage page) {
    for (int location = page.parents; location != ShadowPage.NONE; location = pages.rmap.next(location)) {
      markParent(pages.rmap.page(location), ReverseMap.index(location));
    }
  }

  /** Marks a link below which there is an unsynchronised page, and the links above it. */
  void markParent(ShadowPage parent, int index) {
    if (!parent.mayHaveUnsyncBelow(index)) {
      parent.unsyncChildBitmap[index >>> 6] |= 1L << index;
      if (parent.unsyncChildren++ == 0) {
        markParents(parent);
      }
    }
  }

  private static void clearMark(ShadowPage parent, int index) {
    parent.unsyncChildBitmap[index >>> 6] &= ~(1L << index);
    parent.unsyncChildren--;
  }

  void clearUnsync(ShadowPage page) {
    page.unsync = false;
    pages.statistics.mmuUnsync--;
  }

  /** Brings all unsynchronised pages below a page up to date and write-protects their guest tables again. */
  void syncChildren(ShadowPage root) {
    while (root.unsyncChildren > 0) {
      foundCount = 0;
      collect(root);
      // All tables are protected before the first is read, so that none can be written through an entry that another's
      // reading keeps.
      for (int i = 0; i < foundCount; i++) {
        pages.writeProtect(found[i].gfn, true);
      }
      for (int i = 0; i < foundCount; i++) {
        if (found[i].unsync) {
          clearUnsync(found[i]);
          syncEntries(found[i]);
        }
      }
    }
  }

  /**
   * Throws away the unsynchronised pages below a page that is itself being thrown away, for it could not lead to them
   * any more.
   */
  void zapBelow(ShadowPage page) {
    while (page.unsyncChildren > 0) {
      foundCount = 0;
      collect(page);
      for (int i = 0; i < foundCount; i++) {
        pages.zap(found[i]);
      }
    }
  }

  /** Lists the unsynchronised pages below a page and clears marks that no longer lead to one; true if there is one. */
  private boolean collect(ShadowPage page) {
    int before = foundCount;
    for (int word = 0; word < page.unsyncChildBitmap.length; word++) {
      for (long bits = page.unsyncChildBitmap[word]; bits != 0; bits &= bits - 1) {
        int index = word << 6 | Long.numberOfTrailingZeros(bits);
        long spte = pages.read(page, index);
        boolean below = false;
        if (ShadowPte.isPresent(spte) && !ShadowPte.isLeaf(spte, page.level())) {
          ShadowPage child = pages.child(spte);
          below = child.unsync || child.unsyncChildren > 0 && collect(child);
          if (child.unsync) {
            if (foundCount == found.length) {
              found = Arrays.copyOf(found, 2 * foundCount);
            }
            found[foundCount++] = child;
          }
        }
        if (!below) {
          clearMark(page, index);
        }
      }
    }
    return foundCount > before;
  }

  /**
   * Compares each entry of a level-1 page with the guest's and drops or narrows it; adds nothing. Does not
   * write-protect the guest's table, nor does it mark the page synchronised.
   */
  void syncEntries(ShadowPage page) {
    pages.observer().syncPage(page);
    for (int index = 0; index < ShadowPte.ENTRIES; index++) {
      long spte = pages.read(page, index);
      if (spte != 0) {
        syncEntry(page, index, spte);
      }
    }
  }

  private void syncEntry(ShadowPage page, int index, long spte) {
    long gpte = page.readGuestEntry(pages.memory, index);
    long gfn = GuestPte.address(gpte, 1, page.role) >>> 12;
    boolean mmio = ShadowPte.isMmio(spte);
    long mapped = mmio ? ShadowPte.mmioGfn(spte) : page.gfns[index];
    if (GuestPte.isInvalidForPrefetch(gpte, 1, page.role) || gfn != mapped) {
      pages.zapEntry(page, index);
      if (!mmio) {
        pages.requestFlush();
      }
      return;
    }
    int access = GuestPte.protectClean(Role.access(page.role) & GuestPte.access(gpte), gpte);
    if (mmio) {
      boolean device = pages.slots.kind(gfn << 12) == SlotMap.NONE;
      pages.write(page, index, device ? ShadowPte.mmio(gfn, access, pages.slots.generation()) : 0);
      return;
    }
    page.access[index] = (byte) access;
    if (!ShadowPte.isWritable(spte) && (access & ShadowAccess.WRITE) != 0
        && ((spte & ShadowPte.HOST_WRITABLE) == 0 || !mayBeWritable(gfn, false, false))) {
      access &= ~ShadowAccess.WRITE;
    }
    long writable = (access & ShadowAccess.WRITE) != 0 ? ShadowPte.MMU_WRITABLE | ShadowPte.D : 0;
    long key = GuestPte.key(gpte, page.role);
    long synced = spte & ~(ShadowPte.W | ShadowPte.U | ShadowPte.XD | ShadowPte.KEY | ShadowPte.MMU_WRITABLE)
        | key | ShadowPte.rightsOf(access) | writable;
    if (ShadowPte.isWriteLogged(spte) || !ShadowPte.isWritable(spte) && pages.slots.logged(gfn << 12)) {
      synced &= ~ShadowPte.W;
    }
    if (synced != spte) {
      pages.write(page, index, synced);
      if ((ShadowPte.access(spte) & ~access) != 0 || (spte & ShadowPte.KEY) != key) {
        pages.requestFlush();
      }
    }
  }
}
