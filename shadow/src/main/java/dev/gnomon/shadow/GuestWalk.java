package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Permissions;
import dev.gnomon.guest.mmu.ProtectionKeys;
import dev.gnomon.guest.mmu.Translation;

/**
 * The hypervisor's own walk of the guest's tables, as the processor would do it with the guest's control registers (SDM
 * vol. 3A, "Paging" and "Access Rights"): reserved bits beat rights, rights are those of all levels together, A and D
 * are set atomically and only by a walk that succeeds. It keeps what shadowing needs of each level. Tables outside the
 * slots read as not present, as KVM does; tables in a read-only slot keep their A and D.
 */
final class GuestWalk {
  static final int LEVELS = 5;

  private final ShadowPages pages;
  private final GuestPagingState state;
  /** The guest's control registers as {@link Permissions} wants them. */
  private final PagingContext guest = new PagingContext();
  private final GuestTableWrites writes;
  /** Level of the entry that maps the page. */
  int leafLevel;
  /**
   * By level: the table's frame, the rights with which it is reached, the entry after A and D were set, and where it
   * lies.
   */
  final long[] tableGfn = new long[LEVELS + 1];
  final int[] tableAccess = new int[LEVELS + 1];
  final long[] entry = new long[LEVELS + 1];
  final @Gpa long[] entryGpa = new long[LEVELS + 1];
  private final @Hpa long[] entryHpa = new long[LEVELS + 1];
  int topLevel;
  /** At least one table was read, so that the arrays are valid from {@code topLevel} down to {@code leafLevel}. */
  boolean tableRead;
  /** Allocate no backing: a table that was never touched reads as zeros. */
  private final boolean peek;
  private int role;
  /**
   * After success: address of the access, and the rights of a mapping for it (without W if the page is clean and the
   * access reads).
   */
  @Gpa long gpa;
  int access;
  /** After failure: the code of the guest's page fault. */
  int errorCode;

  /** @param peek the walk is only for looking and must allocate no backing */
  GuestWalk(ShadowPages pages, GuestPagingState state, GuestTableWrites writes, boolean peek) {
    this.state = state;
    this.writes = writes;
    this.peek = peek;
    this.pages = pages;
  }

  /** The guest's registers changed. */
  void stateChanged() {
    state.fill(guest);
  }

  /**
   * Walks for one access and sets A and D.
   *
   * @param request bits of {@link Access}
   * @return false if the access faults
   */
  boolean walk(int rootRole, @Gva long gva, int request) {
    while (true) {
      boolean permitted = read(rootRole, gva, request);
      tell(gva, request, permitted);
      if (!permitted) {
        return false;
      }
      if (setAccessedAndDirty((request & Access.WRITE) != 0)) {
        access = (request & Access.WRITE) != 0 ? access : GuestPte.protectClean(access, entry[leafLevel]);
        return true;
      }
    }
  }

  private void tell(@Gva long gva, int request, boolean permitted) {
    ShadowObserver observer = pages.observer();
    observer.pagetableWalk(gva, request & Access.ERROR_CODE_MASK);
    for (int level = topLevel; tableRead && level >= leafLevel; level--) {
      observer.pagingElement(entry[level], level);
    }
    if (!permitted) {
      observer.walkerError(errorCode);
    }
  }

  /** The walk without its effects on the guest. */
  boolean read(int rootRole, @Gva long gva, int request) {
    role = rootRole;
    @Gpa long table = state.rootTable();
    topLevel = Role.level(rootRole);
    tableRead = false;
    if (state.pae()) {
      long pdpte = state.pdpte[(int) (gva >>> 30) & 3];
      if ((pdpte & GuestPte.P) == 0) {
        return fail(request, 0);
      }
      table = pdpte & ShadowPte.FRAME;
    }
    int combined = ShadowAccess.ALL;
    tableRead = true;
    for (int level = topLevel; ; level--) {
      int size = GuestPte.size(role);
      tableGfn[level] = Addresses.frame(table);
      tableAccess[level] = combined;
      entryGpa[level] = table + (long) GuestPte.index(gva, level, role) * size;
      leafLevel = level;
      @Hpa long hpa = peek ? pages.slots.backing(entryGpa[level]) : pages.slots.back(entryGpa[level]);
      entryHpa[level] = hpa;
      entry[level] = 0;
      if (hpa < 0) {
        return fail(request, 0);
      }
      long gpte = size == 8 ? pages.memory.read64(hpa) : pages.memory.read32(hpa);
      entry[level] = gpte;
      if ((gpte & GuestPte.P) == 0) {
        return fail(request, 0);
      }
      boolean absent1g = level == 3 && !state.pages1g && (gpte & PageTableEntry.PS) != 0;
      if (absent1g || GuestPte.hasReservedBits(gpte, level, role)) {
        return fail(request, PageFaultCode.P | PageFaultCode.RSVD);
      }
      combined &= GuestPte.access(gpte);
      long address = GuestPte.address(gpte, level, role);
      if (GuestPte.isLeaf(gpte, level, role)) {
        gpa = address | Addresses.offset(gva, 1L << GuestPte.pageShift(level, role));
        access = combined;
        if (Role.hasKeys(role) && keyDenies(gpte, combined, request)) {
          return fail(request, PageFaultCode.P | PageFaultCode.PK);
        }
        return permits(combined, request) || fail(request, PageFaultCode.P);
      }
      table = address;
    }
  }

  /**
   * The last step of a walk whose steps above it are known to be as they were, with its effects on the guest.
   *
   * @param page level-1 shadow page that stands for the guest's table; its role has the rights of the levels above
   * @param index of the entry in the shadow page
   * @return false if this access takes the whole walk: it faults, or another agent changed the entry meanwhile
   */
  boolean walkLeaf(ShadowPage page, int index, @Gva long gva, int request) {
    role = page.role;
    long gpte = page.readGuestEntry(pages.memory, index);
    if ((gpte & GuestPte.P) == 0 || GuestPte.hasReservedBits(gpte, 1, role)) {
      return false;
    }
    access = Role.access(role) & GuestPte.access(gpte);
    this.gpa = GuestPte.address(gpte, 1, role) | Addresses.offset(gva, 0x1000);
    boolean write = (request & Access.WRITE) != 0;
    if (!permits(access, request)) {
      return false;
    }
    int offset = index * GuestPte.size(role);
    access = write ? access : GuestPte.protectClean(access, gpte);
    long marked = gpte | (write ? GuestPte.A | GuestPte.D : GuestPte.A);
    @Gpa long at = page.guestTable + offset;
    return !needsMark(gpte, marked, at) || mark(gpte, marked, at, page.guestTableHpa + offset);
  }

  private boolean keyDenies(long gpte, int combined, int request) {
    guest.pkru = state.pkru;
    guest.pkrs = state.pkrs;
    return ProtectionKeys.deny(request, keyed(gpte, combined), guest);
  }

  private static int keyed(long gpte, int combined) {
    return ProtectionKeys.rights(gpte) | ((combined & ShadowAccess.USER) != 0 ? Translation.USER : 0);
  }

  /** After success: the page's key forbids writes, though perhaps not to this one with CR0.WP = 0. */
  boolean keyForbidsWrites() {
    return Role.hasKeys(role)
        && (ProtectionKeys.limits(keyed(entry[leafLevel], access), guest) & ProtectionKeys.WRITE_DISABLE) != 0;
  }

  private boolean fail(int request, int flags) {
    errorCode = Permissions.errorCode(request, flags, guest);
    return false;
  }

  /** Whether rights, bits of {@link ShadowAccess}, allow an access under the guest's WP, SMEP and SMAP. */
  boolean permits(int rights, int request) {
    int combined = ((rights & ShadowAccess.WRITE) != 0 ? Translation.WRITABLE : 0)
        | ((rights & ShadowAccess.USER) != 0 ? Translation.USER : 0)
        | ((rights & ShadowAccess.EXEC) != 0 ? Translation.EXECUTABLE : 0);
    return Permissions.allowed(request, combined, guest);
  }

  /** False if another agent changed an entry since it was read. */
  private boolean setAccessedAndDirty(boolean write) {
    for (int level = topLevel; level >= leafLevel; level--) {
      long old = entry[level];
      long marked = old | GuestPte.A | (write && level == leafLevel ? GuestPte.D : 0);
      if (needsMark(old, marked, entryGpa[level])) {
        if (!mark(old, marked, entryGpa[level], entryHpa[level])) {
          return false;
        }
        entry[level] = marked;
      }
    }
    return true;
  }

  /** A and D are not set yet and can be: the table is not in a read-only slot. */
  private boolean needsMark(long old, long marked, @Gpa long at) {
    return marked != old && pages.slots.kind(at) == SlotMap.RAM;
  }

  /** False if another agent changed the entry since it was read. */
  private boolean mark(long old, long marked, @Gpa long at, @Hpa long hpa) {
    if (!pages.memory.compareAndSet(hpa, GuestPte.size(role), old, marked)) {
      return false;
    }
    pages.slots.markDirty(at);
    pages.observer().setAccessedOrDirty(at, marked);
    writes.marked(at, role);
    return true;
  }

  /** The guest's entry of a level is no longer what the walk read. */
  boolean changed(int level) {
    @Hpa long hpa = entryHpa[level];
    return (Role.has4ByteGpte(role) ? pages.memory.read32(hpa) : pages.memory.read64(hpa)) != entry[level];
  }

  /** The frame holds a table of this walk. */
  boolean passesThrough(long gfn) {
    for (int level = topLevel; level >= leafLevel; level--) {
      if (tableGfn[level] == gfn) {
        return true;
      }
    }
    return false;
  }
}
