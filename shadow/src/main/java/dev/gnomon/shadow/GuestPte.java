package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PagingContext;

/**
 * The guest's paging-structure entries as the hypervisor reads them; {@link PageTableEntry} has their layouts. Which
 * format holds is told by the bits {@code has_4_byte}, {@code lma}, {@code efer_nx} and {@code pse} of a {@link Role}.
 */
final class GuestPte {
  static final long P = PageTableEntry.P;
  static final long A = PageTableEntry.A;
  static final long D = PageTableEntry.D;

  private GuestPte() {}

  /** Bytes of an entry: 4 or 8. */
  static int size(int role) {
    return Role.has4ByteGpte(role) ? 4 : 8;
  }

  static int index(@Gva long gva, int level, int role) {
    return Role.has4ByteGpte(role) ? (int) (gva >>> 12 + 10 * (level - 1)) & 1023 : ShadowPte.index(gva, level);
  }

  /** A present entry maps a page rather than naming a table. */
  static boolean isLeaf(long gpte, int level, int role) {
    if (Role.has4ByteGpte(role)) {
      return level == 1 || (gpte & PageTableEntry.PS) != 0 && Role.cr4Pse(role);
    }
    return PageTableEntry.isLeaf(gpte, level, true);
  }

  static boolean hasReservedBits(long gpte, int level, int role) {
    boolean leaf = isLeaf(gpte, level, role);
    if (Role.has4ByteGpte(role)) {
      return level == 2 && leaf && (gpte & PageTableEntry.RESERVED_4M) != 0;
    }
    int mode = Role.eferLma(role) ? PagingContext.LONG4 : PagingContext.PAE;
    return (gpte & PageTableEntry.reserved(mode, level, leaf, Role.eferNx(role))) != 0;
  }

  /** Rights of this entry alone, bits of {@link ShadowAccess}. */
  static int access(long gpte) {
    return ((gpte & PageTableEntry.RW) != 0 ? ShadowAccess.WRITE : 0)
        | ((gpte & PageTableEntry.US) != 0 ? ShadowAccess.USER : 0)
        | ((gpte & PageTableEntry.NX) != 0 ? 0 : ShadowAccess.EXEC);
  }

  /** Protection key of an entry that maps a page, in its place; 0 where there are no keys. */
  static long key(long gpte, int role) {
    return Role.hasKeys(role) ? gpte & ShadowPte.KEY : 0;
  }

  /** Guest-physical address of the table or of the first byte of the page that the entry names. */
  static @Gpa long address(long gpte, int level, int role) {
    boolean page = level > 1 && isLeaf(gpte, level, role);
    if (Role.has4ByteGpte(role)) {
      return page ? PageTableEntry.page4M(gpte) : gpte & PageTableEntry.ADDRESS_LEGACY;
    }
    return page ? PageTableEntry.page(gpte, level) : gpte & PageTableEntry.ADDRESS;
  }

  /** log2 of the bytes that an entry of that level maps. */
  static int pageShift(int level, int role) {
    return 12 + (Role.has4ByteGpte(role) ? 10 : 9) * (level - 1);
  }

  /**
   * Rights of a mapping without a fault of its own behind it: a clean page must stay read-only, so that a write can set
   * D.
   */
  static int protectClean(int access, long gpte) {
    return (gpte & D) != 0 ? access : access & ~ShadowAccess.WRITE;
  }

  /** No shadow entry may be made without an access: not present, not accessed, or malformed. */
  static boolean isInvalidForPrefetch(long gpte, int level, int role) {
    return (gpte & (P | A)) != (P | A) || hasReservedBits(gpte, level, role);
  }
}
