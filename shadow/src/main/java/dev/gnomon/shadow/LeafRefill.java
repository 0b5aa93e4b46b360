package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;

/**
 * The entry that the last INVLPG dropped, so that the fault on it, which follows most likely at once, need not find its
 * place again: as long as the shadow MMU has done nothing else, the tables above the leaf are those that INVLPG came
 * through, because their guest tables are write-protected, and only the guest's leaf entry is read again. What the fault
 * does and counts is what the whole walk would have done; whatever is unusual is left to that.
 */
final class LeafRefill {
  private static final long NEVER = -1;

  private final ShadowPages pages;
  private final ShadowFill fill;
  private final GuestWalk walk;
  /** Pages above the leaf table, from the root down. */
  private final ShadowPage[] path = new ShadowPage[GuestWalk.LEVELS];
  private int pathLength;
  private ShadowPage page;
  private int index;
  private long gvaFrame;
  private @Gpa long entryGpa;
  private @Hpa long entryHpa;
  /** {@link ShadowPages#operations} when the INVLPG was done. */
  private long operation = NEVER;

  LeafRefill(ShadowPages pages, ShadowFill fill, GuestWalk walk) {
    this.pages = pages;
    this.fill = fill;
    this.walk = walk;
  }

  void forget() {
    page = null;
    pathLength = 0;
    operation = NEVER;
  }

  /** The way to the entry leads through a page. */
  void pass(ShadowPage above) {
    path[pathLength++] = above;
  }

  /** The entry is empty now. */
  void remember(ShadowPage page, int index, @Gva long gva) {
    this.page = page;
    this.index = index;
    gvaFrame = Addresses.frame(gva);
    entryGpa = UnsyncPages.guestEntry(page, index);
    entryHpa = pages.slots.back(entryGpa);
  }

  /** INVLPG is done; what was remembered holds until the next operation. */
  void arm() {
    operation = page == null ? NEVER : pages.operations;
  }

  /** A page fault is the one on the dropped entry, and nothing happened in between. */
  boolean isFor(@Gva long gva, int errorCode) {
    return operation == pages.operations && gvaFrame == Addresses.frame(gva) && (errorCode & PageFaultCode.P) == 0;
  }

  /** Makes the entry; false if the fault takes the whole walk. */
  boolean fill(@Gva long gva, int request, GuestPagingState state) {
    boolean write = (request & Access.WRITE) != 0;
    if (pages.isObserved() || state.keys() || entryHpa < 0 || !walk.walkLeaf(page, entryHpa, entryGpa, gva, request)) {
      return false;
    }
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
