package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;

/**
 * What a write to a shadowed guest table does to its shadows (KVM's {@code kvm_mmu_pte_write}): the entries it touches
 * are dropped and, at level 1, made again from the new guest entry. A page that is written as no operating system
 * writes its tables, or often without ever being used, is taken for ordinary memory by now and loses its shadows.
 */
final class GuestTableWrites {
  private static final int FLOOD_LIMIT = 3;
  private static final int MIN_ENTRY_WRITE = 4;

  private final ShadowPages pages;
  private final ShadowFill fill;

  GuestTableWrites(ShadowPages pages, ShadowFill fill) {
    this.pages = pages;
    this.fill = fill;
  }

  /** Reacts to a write that has happened; the range may be of any size. */
  void written(@Gpa long gpa, int size) {
    @Gpa long end = gpa + size;
    for (@Gpa long at = gpa; at < end; ) {
      @Gpa long next = Math.min(end, (at | 0xFFF) + 1);
      if (pages.isShadowedTable(Addresses.frame(at))) {
        writtenWithinPage(at, (int) (next - at));
      }
      at = next;
    }
  }

  private void writtenWithinPage(@Gpa long gpa, int size) {
    pages.statistics.mmuPteWrite++;
    int offset = (int) gpa & 0xFFF;
    for (ShadowPage page = pages.first(Addresses.frame(gpa)), next; page != null; page = next) {
      next = page.sameGfn;
      if (page.direct()) {
        continue;
      }
      if (isMisaligned(page, offset, size) || isFlooded(page)) {
        pages.zap(page);
        pages.statistics.mmuFlooded++;
        // Other pages of the chain may have gone with it.
        next = next != null && next.invalid ? pages.first(Addresses.frame(gpa)) : next;
      } else {
        entryWritten(page, offset);
      }
    }
  }

  /** The write covers part of an entry, or parts of two. One byte at an entry's start is a flag being changed. */
  private static boolean isMisaligned(ShadowPage page, int offset, int size) {
    int entry = GuestPte.size(page.role);
    if ((offset & entry - 1) == 0 && size == 1) {
      return false;
    }
    return ((offset ^ offset + size - 1) & -entry) != 0 || size < MIN_ENTRY_WRITE;
  }

  /** Level 1 is exempt if it can become unsynchronised, for then the guest's next write is not seen at all. */
  private boolean isFlooded(ShadowPage page) {
    return (page.level() > 1 || !pages.options.unsync()) && ++page.writeFloodingCount >= FLOOD_LIMIT;
  }

  /** Drops the shadow entries of the one guest entry at a byte offset in its table. */
  void entryWritten(ShadowPage page, int offset) {
    int entry = offset / GuestPte.size(page.role);
    if (!Role.has4ByteGpte(page.role)) {
      drop(page, entry);
    } else if (page.level() == 1) {
      if (entry >>> 9 == Role.quadrant(page.role)) {
        drop(page, entry & ShadowPte.ENTRIES - 1);
      }
    } else if (entry >>> 8 == Role.quadrant(page.role)) {
      // An entry of a page directory maps 4 MiB, a shadow entry 2 MiB.
      drop(page, entry << 1 & ShadowPte.ENTRIES - 1);
      drop(page, (entry << 1 & ShadowPte.ENTRIES - 1) + 1);
    }
  }

  private void drop(ShadowPage page, int index) {
    long old = pages.zapEntry(page, index);
    if (page.level() > 1) {
      if (old != 0) {
        pages.statistics.mmuPdeZapped++;
        pages.requestFlush();
      }
      return;
    }
    boolean again = fill.prefetchFromGuest(page, index);
    long now = again ? pages.read(page, index) : 0;
    if (ShadowPte.isPresent(old) && (!ShadowPte.isPresent(now) || ((now ^ old) & (ShadowPte.FRAME | ShadowPte.KEY)) != 0
        || (ShadowPte.access(old) & ~ShadowPte.access(now)) != 0)) {
      pages.requestFlush();
    }
  }

  /**
   * The hypervisor set A or D in a guest entry: nothing to shadows of the same entry size, but another address bit to
   * those of the other size.
   */
  void marked(@Gpa long gpa, int role) {
    if (!pages.hasOtherEntrySize(role)) {
      return;
    }
    for (ShadowPage page = pages.first(Addresses.frame(gpa)); page != null; page = page.sameGfn) {
      if (!page.direct() && Role.has4ByteGpte(page.role) != Role.has4ByteGpte(role)) {
        entryWritten(page, (int) gpa & 0xFFF);
      }
    }
  }
}
