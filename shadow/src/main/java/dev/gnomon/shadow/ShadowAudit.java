package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import java.util.Optional;

/**
 * Checks what must hold of the shadow tables whenever the guest may run; slow, for tests and for {@link
 * ShadowOptions#audit}. What is asked of entries against the guest's (I2, I3) cannot be asked of tables that are out of
 * step.
 */
public final class ShadowAudit {
  /** The invariants. */
  public enum Invariant {
    /** A guest table that is in step has no writable mapping. */
    I1,
    /** A leaf grants no more than the guest's tables and the slot, and maps the slot's backing. */
    I2,
    /** An entry exists only if the guest's entry has A; it is writable only if that has D. */
    I3,
    /** Only level-1 pages that are not direct are out of step, and each entry above one is marked. */
    I4,
    /** W implies MMU_WRITABLE implies HOST_WRITABLE. */
    I5,
    /** Each leaf is in its frame's reverse map, each link among its child's parents, and nothing else is. */
    I6,
    /** A large mapping covers no shadowed guest table and lies in one slot and one contiguous backing. */
    I7,
    /** Pages below a vCPU's root are of its role. */
    I8,
    /** A current MMIO marker stands for a page without a slot, as the guest's tables map it. */
    I9
  }

  /** The first broken invariant, with what was found and what it should be. */
  public record Violation(Invariant invariant, String where, String found, String expected) {
    @Override
    public String toString() {
      return "shadow audit: " + invariant + " broken at " + where + ": found " + found + ", expected " + expected;
    }
  }

  private final ShadowPages pages;
  private Violation first;

  public ShadowAudit(ShadowPages pages) {
    this.pages = pages;
  }

  /** The first broken invariant in order I1 to I9, if any. */
  public Optional<Violation> check() {
    first = null;
    for (ShadowPage page = pages.oldest; page != null; page = page.newer) {
      note(checkWriteProtection(page));
      note(checkUnsync(page));
      note(checkParents(page));
      for (int index = 0; index < ShadowPte.ENTRIES; index++) {
        long spte = pages.read(page, index);
        if (spte != 0) {
          checkEntry(page, index, spte);
        }
      }
    }
    note(checkChains());
    note(checkRoles());
    return Optional.ofNullable(first);
  }

  private void checkEntry(ShadowPage page, int index, long spte) {
    if (ShadowPte.isMmio(spte)) {
      note(checkMarker(page, index, spte));
      return;
    }
    if (!ShadowPte.isPresent(spte)) {
      note(new Violation(Invariant.I6, at(page, index), "0x" + Long.toHexString(spte), "zero or present"));
      return;
    }
    Violation unlinked = checkLinked(page, index, spte);
    note(unlinked);
    if (unlinked != null && !isLeaf(page, spte)) {
      return;
    }
    note(checkRights(page, index, spte));
    note(checkAccessedDirty(page, index, spte));
    note(checkMark(page, index, spte));
    note(checkWritableBits(page, index, spte));
    note(checkLarge(page, index, spte));
  }

  private void note(Violation violation) {
    if (violation != null && (first == null || violation.invariant.compareTo(first.invariant) < 0)) {
      first = violation;
    }
  }

  private static String at(ShadowPage page, int index) {
    return "entry " + index + " of " + page;
  }

  private static boolean isLeaf(ShadowPage page, long spte) {
    return ShadowPte.isPresent(spte) && ShadowPte.isLeaf(spte, page.level());
  }

  private Violation checkWriteProtection(ShadowPage table) {
    if (table.direct() || table.unsync) {
      return null;
    }
    for (int level = 1; level <= 3; level++) {
      long first = table.gfn & -ShadowPte.framesPerEntry(level);
      int location = pages.rmap.first(first, level);
      for (; location != ShadowPage.NONE; location = pages.rmap.next(location)) {
        ShadowPage page = pages.rmap.page(location);
        long spte = pages.read(page, ReverseMap.index(location));
        if ((spte & (ShadowPte.W | ShadowPte.MMU_WRITABLE)) != 0) {
          return new Violation(Invariant.I1, at(page, ReverseMap.index(location)), ShadowPte.toString(spte),
              "no write right on gfn " + Long.toHexString(table.gfn) + ", shadowed by " + table);
        }
      }
    }
    return null;
  }

  /** Guest entry behind an entry of a page that is not direct; the entry of a 2-level page directory serves two. */
  private long guestEntry(ShadowPage page, int index) {
    if (page.level() == 1) {
      return page.readGuestEntry(pages.memory, index);
    }
    long table = page.gfn << 12;
    return Role.has4ByteGpte(page.role)
        ? pages.memory.read32(pages.slots.back(table + 4L * (Role.quadrant(page.role) * 256 + (index >> 1))))
        : pages.memory.read64(pages.slots.back(table + 8L * index));
  }

  private Violation checkRights(ShadowPage page, int index, long spte) {
    Violation violation = isLeaf(page, spte) ? checkSlot(page, index, spte) : null;
    if (violation != null || page.unsync) {
      return violation;
    }
    if (page.direct()) {
      int more = isLeaf(page, spte) ? ShadowPte.access(spte) & ~Role.access(page.role) : 0;
      return more == 0 ? null : new Violation(Invariant.I2, at(page, index), ShadowPte.toString(spte),
          "no more than the role grants");
    }
    long gpte = guestEntry(page, index);
    int level = page.level();
    if ((gpte & GuestPte.P) == 0 || GuestPte.hasReservedBits(gpte, level, page.role)) {
      return notGranted(page, index, spte, gpte);
    }
    boolean guestLeaf = GuestPte.isLeaf(gpte, level, page.role);
    int granted = Role.access(page.role) & GuestPte.access(gpte);
    long gfn = GuestPte.address(gpte, level, page.role) >>> 12;
    if (guestLeaf && level > 1 && Role.has4ByteGpte(page.role)) {
      gfn += (long) (index & 1) << 9;
    }
    boolean right;
    if (isLeaf(page, spte)) {
      right = guestLeaf && page.gfns[index] == gfn && allowed(page.role, granted, ShadowPte.access(spte));
    } else {
      ShadowPage child = pages.child(spte);
      int access = Role.access(child.role);
      right = child.gfn == gfn && child.direct() == guestLeaf
          && (guestLeaf ? allowed(page.role, granted, access) : access == granted);
    }
    return right ? null : notGranted(page, index, spte, gpte);
  }

  private static Violation notGranted(ShadowPage page, int index, long spte, long gpte) {
    return new Violation(Invariant.I2, at(page, index), ShadowPte.toString(spte),
        "what guest entry 0x" + Long.toHexString(gpte) + " under the role grants");
  }

  /** Rights within the guest's, or those of the supervisor's turn of the CR0.WP = 0 pair. */
  private static boolean allowed(int role, int granted, int access) {
    int more = access & ~granted;
    return more == 0 || more == ShadowAccess.WRITE && !Role.cr0Wp(role) && (access & ShadowAccess.USER) == 0
        && !(Role.smepAndNotWp(role) && (granted & ShadowAccess.USER) != 0 && (access & ShadowAccess.EXEC) != 0)
        && !(Role.smapAndNotWp(role) && (granted & ShadowAccess.USER) != 0);
  }

  private Violation checkSlot(ShadowPage page, int index, long spte) {
    long gfn = page.leafGfn(index);
    int kind = pages.slots.kind(gfn << 12);
    @Hpa long backing = pages.slots.backing(gfn << 12);
    if (kind == SlotMap.NONE || backing != (spte & ShadowPte.FRAME)) {
      return new Violation(Invariant.I2, at(page, index), ShadowPte.toString(spte),
          "gfn " + Long.toHexString(gfn) + " at hpa 0x" + Long.toHexString(backing));
    }
    return kind == SlotMap.READ_ONLY && (spte & (ShadowPte.W | ShadowPte.HOST_WRITABLE)) != 0
        ? new Violation(Invariant.I2, at(page, index), ShadowPte.toString(spte), "no write right on a read-only slot")
        : null;
  }

  private Violation checkAccessedDirty(ShadowPage page, int index, long spte) {
    if (page.unsync || page.direct() || pages.slots.kind(page.gfn << 12) != SlotMap.RAM) {
      return null;
    }
    long gpte = guestEntry(page, index);
    boolean writable = isLeaf(page, spte) ? ShadowPte.isWritable(spte)
        : pages.child(spte).direct() && (Role.access(pages.child(spte).role) & ShadowAccess.WRITE) != 0;
    boolean right = (gpte & GuestPte.A) != 0 && (!writable || (gpte & GuestPte.D) != 0);
    return right ? null : new Violation(Invariant.I3, at(page, index), ShadowPte.toString(spte),
        "A" + (writable ? " and D" : "") + " in guest entry 0x" + Long.toHexString(gpte));
  }

  private Violation checkUnsync(ShadowPage page) {
    return page.unsync && (page.level() > 1 || page.direct())
        ? new Violation(Invariant.I4, page.toString(), "unsync", "level 1 and not direct") : null;
  }

  private Violation checkMark(ShadowPage page, int index, long spte) {
    if (isLeaf(page, spte)) {
      return null;
    }
    ShadowPage child = pages.child(spte);
    return (child.unsync || child.unsyncChildren > 0) && !page.mayHaveUnsyncBelow(index)
        ? new Violation(Invariant.I4, at(page, index), "no mark", "a mark, because of " + child) : null;
  }

  private Violation checkWritableBits(ShadowPage page, int index, long spte) {
    if (!isLeaf(page, spte)) {
      return null;
    }
    boolean w = ShadowPte.isWritable(spte);
    boolean mmu = (spte & ShadowPte.MMU_WRITABLE) != 0;
    boolean host = (spte & ShadowPte.HOST_WRITABLE) != 0;
    return w && !mmu || mmu && !host
        ? new Violation(Invariant.I5, at(page, index), ShadowPte.toString(spte),
        "W only with MMU_WRITABLE only with HOST_WRITABLE") : null;
  }

  private Violation checkLinked(ShadowPage page, int index, long spte) {
    boolean leaf = isLeaf(page, spte);
    ShadowPage child = leaf ? null : pages.child(spte);
    if (!leaf && (child == null || child.level() != page.level() - 1)) {
      return new Violation(Invariant.I6, at(page, index), ShadowPte.toString(spte),
          "a link to a page of the level below, found " + child);
    }
    int head = leaf ? pages.rmap.first(page.leafGfn(index), page.level()) : child.parents;
    for (int location = head; location != ShadowPage.NONE; location = pages.rmap.next(location)) {
      if (location == page.location(index)) {
        return null;
      }
    }
    return new Violation(Invariant.I6, at(page, index), "not listed",
        leaf ? "in the reverse map of gfn " + Long.toHexString(page.leafGfn(index)) : "among the parents of " + child);
  }

  private Violation checkParents(ShadowPage child) {
    int count = 0;
    for (int location = child.parents; location != ShadowPage.NONE; location = pages.rmap.next(location)) {
      ShadowPage page = pages.rmap.page(location);
      long spte = page == null ? 0 : pages.read(page, ReverseMap.index(location));
      if (!ShadowPte.isPresent(spte) || isLeaf(page, spte) || pages.child(spte) != child) {
        return new Violation(Invariant.I6, "parent " + location + " of " + child, ShadowPte.toString(spte),
            "a link to it");
      }
      count++;
    }
    return count == child.parentCount ? null
        : new Violation(Invariant.I6, child.toString(), count + " parents", child.parentCount + " counted");
  }

  private Violation checkChains() {
    for (int level = 1; level <= 3; level++) {
      for (long gfn : pages.rmap.frames(level)) {
        int count = 0;
        int location = pages.rmap.first(gfn, level);
        for (; location != ShadowPage.NONE; location = pages.rmap.next(location)) {
          ShadowPage page = pages.rmap.page(location);
          int index = ReverseMap.index(location);
          long spte = page == null ? 0 : pages.read(page, index);
          if (!ShadowPte.isPresent(spte) || !isLeaf(page, spte) || page.leafGfn(index) != gfn) {
            return new Violation(Invariant.I6, chain(gfn), ShadowPte.toString(spte),
                "a mapping of it at location " + location);
          }
          count++;
        }
        if (count != pages.rmap.count(gfn, level)) {
          return new Violation(Invariant.I6, chain(gfn), count + " entries", pages.rmap.count(gfn, level) + " counted");
        }
      }
    }
    return null;
  }

  private static String chain(long gfn) {
    return "reverse map of gfn " + Long.toHexString(gfn);
  }

  private Violation checkLarge(ShadowPage page, int index, long spte) {
    if (!isLeaf(page, spte) || page.level() == 1) {
      return null;
    }
    long gfn = page.leafGfn(index);
    int shift = pages.slots.mappingShift(gfn << 12);
    if (shift < 12 + 9 * (page.level() - 1)) {
      return new Violation(Invariant.I7, at(page, index), ShadowPte.toString(spte),
          "at most 2^" + shift + " bytes in one slot and backing");
    }
    return ShadowPte.isWritable(spte) && pages.hasTableWithin(gfn, page.level())
        ? new Violation(Invariant.I7, at(page, index), ShadowPte.toString(spte),
        "no write right over a shadowed table") : null;
  }

  private Violation checkRoles() {
    for (ShadowMmu mmu : pages.vcpus) {
      for (ShadowPage part : mmu.roots[0].parts) {
        Violation violation = part == null ? null : checkRoles(part, Role.vcpuBits(Role.root(mmu.state)));
        if (violation != null) {
          return violation;
        }
      }
    }
    return null;
  }

  private Violation checkRoles(ShadowPage page, int bits) {
    if (Role.vcpuBits(page.role) != bits || page.invalid) {
      return new Violation(Invariant.I8, page.toString(), Role.toString(page.role),
          "the vCPU's " + Role.toString(bits));
    }
    for (int index = 0; page.level() > 1 && index < ShadowPte.ENTRIES; index++) {
      long spte = pages.read(page, index);
      if (ShadowPte.isPresent(spte) && !isLeaf(page, spte)) {
        Violation violation = checkRoles(pages.child(spte), bits);
        if (violation != null) {
          return violation;
        }
      }
    }
    return null;
  }

  private Violation checkMarker(ShadowPage page, int index, long spte) {
    if (ShadowPte.mmioGeneration(spte) != (pages.slots.generation() & ShadowPte.GENERATION_MASK)) {
      return null;
    }
    long gfn = ShadowPte.mmioGfn(spte);
    if (pages.slots.kind(gfn << 12) != SlotMap.NONE) {
      return new Violation(Invariant.I9, at(page, index), ShadowPte.toString(spte), "a page without a slot");
    }
    if (page.direct()) {
      return gfn == page.leafGfn(index) ? null
          : new Violation(Invariant.I9, at(page, index), ShadowPte.toString(spte),
              "gfn " + Long.toHexString(page.leafGfn(index)));
    }
    if (page.unsync) {
      return null;
    }
    long gpte = guestEntry(page, index);
    boolean right = (gpte & GuestPte.P) != 0 && gfn == GuestPte.address(gpte, 1, page.role) >>> 12
        && (ShadowPte.access(spte) & ~GuestPte.protectClean(Role.access(page.role) & GuestPte.access(gpte), gpte)) == 0;
    return right ? null : new Violation(Invariant.I9, at(page, index), ShadowPte.toString(spte),
        "guest entry 0x" + Long.toHexString(gpte));
  }
}
