package dev.gnomon.shadow;

import dev.gnomon.guest.memory.AnyAddress;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import java.util.ArrayList;
import java.util.List;

/**
 * One address in the guest's tables and in the shadow tables, for display.
 *
 * @param guest the guest's entries, top level first; the last may be not present
 * @param guestEnd where the guest's walk ends: {@code gpa 0x… wux} or the fault of a supervisor read
 * @param shadow the shadow entries, top level first; the last may be not present or an MMIO marker
 */
public record ShadowView(List<Step> guest, String guestEnd, List<Step> shadow) {
  private static final String[] NAMES = {"", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

  /**
   * One entry.
   *
   * @param level 1 (PTE) to 4 (PML4E)
   * @param address guest-physical for the guest's entries, host-physical for shadow entries
   * @param entry its value
   * @param note the rights and flags, and for shadow entries the page that holds it
   */
  public record Step(int level, @AnyAddress long address, long entry, String note) {
    @Override
    public String toString() {
      return String.format("%-5s @ 0x%09x = 0x%016x  %s", NAMES[level], address, entry, note);
    }
  }

  static ShadowView of(ShadowMmu mmu, @Gva long gva) {
    ShadowPages pages = mmu.pages;
    List<Step> guest = new ArrayList<>();
    String end = "gpa 0x" + Long.toHexString(gva) + " (no paging)";
    if (mmu.state.paging()) {
      GuestWalk walk = new GuestWalk(pages, mmu.state, null, true);
      walk.stateChanged();
      mmu.copyKeyRegisters();
      boolean allowed = walk.read(mmu.roots[0].role, gva, Access.SMAP_OVERRIDE);
      for (int level = walk.topLevel; walk.tableRead && level >= walk.leafLevel; level--) {
        long gpte = walk.entry[level];
        String note = (gpte & GuestPte.P) == 0 ? "not present" : ShadowAccess.toString(GuestPte.access(gpte))
            + ((gpte & GuestPte.A) != 0 ? " A" : "") + ((gpte & GuestPte.D) != 0 ? " D" : "");
        guest.add(new Step(level, walk.entryGpa[level], gpte, note));
      }
      end = allowed ? "gpa 0x" + Long.toHexString(walk.gpa) + " " + ShadowAccess.toString(walk.access)
          : "#PF " + PageFaultCode.toString(walk.errorCode);
    }
    List<Step> shadow = new ArrayList<>();
    ShadowPage page = mmu.roots[0].part(gva);
    while (page != null) {
      int index = ShadowPte.index(gva, page.level());
      long spte = pages.read(page, index);
      shadow.add(new Step(page.level(), page.entryHpa(index), spte, ShadowPte.toString(spte) + "; " + page));
      page = ShadowPte.isPresent(spte) && !ShadowPte.isLeaf(spte, page.level()) ? pages.child(spte) : null;
    }
    return new ShadowView(guest, end, shadow);
  }
}
