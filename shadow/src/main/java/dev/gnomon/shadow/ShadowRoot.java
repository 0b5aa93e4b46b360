package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;

/**
 * One cached set of top shadow pages, known by the guest's CR3 and role (KVM's {@code struct kvm_mmu_root_info}): one
 * page for a guest in IA-32e mode, otherwise one for each GiB, as a PAE processor's PDPTE registers name them.
 */
final class ShadowRoot {
  static final int PARTS = 4;

  /** CR3 with its PCID; 0 without paging. */
  long pgd;
  /** PDPTEs of a PAE guest, else zeros. */
  final long[] pdpte = new long[PARTS];
  int role;
  boolean loaded;
  /**
   * Top pages by GiB, or one for a guest in IA-32e mode; {@code null} where the guest's own PDPTE or top table is
   * absent.
   */
  final ShadowPage[] parts = new ShadowPage[PARTS];

  boolean matches(long pgd, int role, GuestPagingState state) {
    return loaded && this.pgd == pgd && this.role == role && (!state.pae() || state.samePdptes(pdpte)) && !isInvalid();
  }

  /** A part was thrown away. */
  boolean isInvalid() {
    for (ShadowPage part : parts) {
      if (part != null && part.invalid) {
        return true;
      }
    }
    return false;
  }

  /** Top shadow page for an address, or {@code null}. */
  ShadowPage part(@Gva long gva) {
    return parts[Role.level(role) >= 4 ? 0 : (int) (gva >>> 30) & PARTS - 1];
  }

  /** Finds or makes the top pages; the caller has made room for them. */
  void load(ShadowPages pages, long pgd, int role, GuestPagingState state) {
    this.pgd = pgd;
    this.role = role;
    this.loaded = true;
    for (int i = 0; i < PARTS; i++) {
      pdpte[i] = state.pae() ? state.pdpte[i] : 0;
      parts[i] = loadPart(pages, i, state);
      if (parts[i] != null) {
        pages.holdRoot(parts[i]);
      }
    }
  }

  private ShadowPage loadPart(ShadowPages pages, int i, GuestPagingState state) {
    if (Role.direct(role)) {
      return pages.getPage(i * ShadowPte.framesPerEntry(3), role);
    }
    if (state.longMode() && i > 0 || state.pae() && (state.pdpte[i] & GuestPte.P) == 0) {
      return null;
    }
    @Gpa long gpa = state.pae() ? state.pdpte[i] & ShadowPte.FRAME : state.rootTable();
    if (pages.slots.back(gpa) < 0) {
      return null;
    }
    return pages.getPage(Addresses.frame(gpa), state.legacy() ? Role.withQuadrant(role, i) : role);
  }

  void unload(ShadowPages pages) {
    for (int i = 0; i < PARTS; i++) {
      if (parts[i] != null) {
        pages.dropRoot(parts[i]);
        parts[i] = null;
      }
    }
    loaded = false;
  }

  void sync(ShadowPages pages) {
    for (ShadowPage part : parts) {
      if (part != null) {
        pages.unsyncPages.syncChildren(part);
      }
    }
  }
}
