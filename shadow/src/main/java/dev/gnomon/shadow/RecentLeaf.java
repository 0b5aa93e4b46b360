package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;

/**
 * The leaf table of the 2 MiB to which the last INVLPG went, so that the next one there, and the fault that follows,
 * need not find it again. As long as no link between tables has changed, the tables above it stand for the guest's as
 * they are, because those are write-protected; so only the guest's leaf entry is read again. What a fault does and
 * counts here is what the whole walk would have done; whatever is unusual is left to that.
 */
final class RecentLeaf {
  private static final int REGION_SHIFT = 21;
  private static final long NEVER = -1;

  private final ShadowPages pages;
  private final ShadowFill fill;
  private final GuestWalk walk;
  /** Pages above the leaf table, from the root down. */
  private final ShadowPage[] path = new ShadowPage[GuestWalk.LEVELS];
  private int pathLength;
  private ShadowPage page;
  /** No other entry leads to the table. */
  private boolean onlyPath;
  /** Address bits 63:21. */
  private long region;
  /** {@link ShadowPages#links} when the table was found, or never. */
  private long links = NEVER;

  RecentLeaf(ShadowPages pages, ShadowFill fill, GuestWalk walk) {
    this.pages = pages;
    this.fill = fill;
    this.walk = walk;
  }

  /** The address lies in the 2 MiB of the table, and the way to it is as it was. */
  boolean isFor(@Gva long gva) {
    return links == pages.links && region == Addresses.bits(gva) >>> REGION_SHIFT;
  }

  /**
   * Follows the links as far as they lead to a table that is out of step.
   *
   * @param part top page for the address
   * @param alone nothing but that top page's entry for the address can have brought the processor here
   * @return whether there is one
   */
  boolean find(ShadowPage part, @Gva long gva, boolean alone) {
    links = NEVER;
    pathLength = 0;
    onlyPath = alone;
    page = part;
    while (page != null && page.unsyncChildren > 0) {
      path[pathLength++] = page;
      long spte = pages.read(page, ShadowPte.index(gva, page.level()));
      page = ShadowPte.isPresent(spte) && !ShadowPte.isLeaf(spte, page.level()) ? pages.child(spte) : null;
      onlyPath &= page != null && page.parentCount == 1;
    }
    if (page == null || !page.unsync) {
      return false;
    }
    region = Addresses.bits(gva) >>> REGION_SHIFT;
    links = pages.links;
    return true;
  }

  /**
   * Brings the entry for an address that was found up to date if its table is out of step; all others are in step
   * already. The vCPU's own INVLPG is all the flushing that is needed if the processor cannot have used the entry for
   * another address or PCID.
   */
  void invalidate(@Gva long gva) {
    if (!page.unsync) {
      return;
    }
    int index = ShadowPte.index(gva, 1);
    if (ShadowPte.isPresent(pages.zapEntry(page, index)) && !onlyPath) {
      pages.requestFlush();
    }
    fill.prefetchFromGuest(page, index);
  }

  /** Makes the entry for an access that found none; false if the fault takes the whole walk. */
  boolean fill(@Gva long gva, int errorCode, int request, GuestPagingState state) {
    if (!isFor(gva) || (errorCode & PageFaultCode.P) != 0 || pages.isObserved() || state.keys()) {
      return false;
    }
    int index = ShadowPte.index(gva, 1);
    if (!walk.walkLeaf(page, index, gva, request)) {
      return false;
    }
    boolean write = (request & Access.WRITE) != 0;
    int access = walk.access;
    int kind = pages.slots.kind(walk.gpa);
    boolean asSupervisorWithoutWp = (access & ShadowAccess.WRITE) == 0 && (write || !state.wp());
    if (kind != SlotMap.RAM || asSupervisorWithoutWp) {
      return false;
    }
    for (int i = 0; i < pathLength; i++) {
      path[i].writeFloodingCount = 0;
    }
    return fill.entry(page, index, access, 0, Addresses.frame(walk.gpa), kind, write) == FaultResult.FIXED;
  }
}
