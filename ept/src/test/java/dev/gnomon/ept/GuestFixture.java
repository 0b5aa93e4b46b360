package dev.gnomon.ept;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PageWalker;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Translation;

/**
 * One guest page with its tables, over EPT pages of one size. The table of each guest level lies in an EPT page of its
 * own, so that its rights can be chosen alone; so does the page.
 */
final class GuestFixture {
  static final long ALL_FLAGS = PageTableEntry.P | PageTableEntry.RW | PageTableEntry.US | PageTableEntry.A;

  final EptFixture ept = new EptFixture();
  final PagingContext paging = new PagingContext();
  final Translation out = new Translation();
  final int mode;
  final int guestShift;
  final int eptShift;
  final int leafLevel;
  final int topLevel;
  final @Gva long gva;
  /** Guest-physical address of the page. */
  final @Gpa long page;

  GuestFixture(int mode, int guestShift, int eptShift) {
    this.mode = mode;
    this.guestShift = guestShift;
    this.eptShift = eptShift;
    this.gva = PagingContext.isLong(mode) ? 0x1234_5678_9ABCL : mode == PagingContext.NONE ? 0xC000_5678L
        : 0x4567_8123L;
    this.page = PagingContext.isLong(mode) ? 6L << 30 : 3L << 30;
    this.leafLevel = guestShift < 21 ? 1 : guestShift < 30 ? 2 : 3;
    this.topLevel = PagingContext.levels(mode);
    paging.mode = mode;
    paging.nxe = true;
    paging.pse = true;
    paging.wp = true;
    ept.map(finalGpa(), HostMemory.VM_DRAM_BASE, eptShift);
    for (int level = topLevel; level >= leafLevel && level > 0; level--) {
      ept.map(table(level), HostMemory.VM_DRAM_BASE + (eptShift > 12 ? 0 : (long) level << 12), eptShift);
      put(level, (level == leafLevel ? page | (level > 1 ? PageTableEntry.PS : 0) | PageTableEntry.D : table(level - 1))
          | ALL_FLAGS);
    }
    if (topLevel > 0) {
      paging.root = table(topLevel);
      paging.pdpte[(int) (gva >>> 30) & 3] = table(topLevel) | PageTableEntry.P;
    }
  }

  PageWalker walker(EptWalker stage) {
    return new PageWalker(ept.memory, paging, stage);
  }

  @Gpa long finalGpa() {
    return mode == PagingContext.NONE ? gva : page | gva & (1L << guestShift) - 1;
  }

  /** Guest-physical address of the table of a level. */
  @Gpa long table(int level) {
    return (long) level << eptShift | (eptShift > 12 ? (long) level << 12 : 0);
  }

  /** Guest-physical address of the entry of a level. */
  @Gpa long entryGpa(int level) {
    int bits = mode == PagingContext.LEGACY ? 10 : 9;
    long index = gva >>> 12 + bits * (level - 1) & (1 << bits) - 1;
    return table(level) + index * (mode == PagingContext.LEGACY ? 4 : 8);
  }

  private @Hpa long entryHpa(int level) {
    return HostMemory.VM_DRAM_BASE + ((long) level << 12) + (entryGpa(level) & 0xFFF);
  }

  void put(int level, long entry) {
    ept.memory.write(entryHpa(level), mode == PagingContext.LEGACY ? 4 : 8, entry);
  }

  long get(int level) {
    return ept.memory.read(entryHpa(level), mode == PagingContext.LEGACY ? 4 : 8);
  }

  /** Changes the rights of the EPT page that holds the guest table of a level. */
  void eptRights(int level, String rights) {
    ept.change(table(level), EptEntry.level(eptShift), EptEntry.RIGHTS, EptFixture.rights(rights));
  }
}
