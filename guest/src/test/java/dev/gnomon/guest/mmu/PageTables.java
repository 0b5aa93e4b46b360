package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.HostMemory;

/**
 * Page tables for tests, written entry by entry into 4 MiB of memory at address 0; tables are taken from the top
 * downwards.
 */
final class PageTables {
  static final long P = PageTableEntry.P;
  static final long RW = PageTableEntry.RW;
  static final long US = PageTableEntry.US;
  static final long A = PageTableEntry.A;
  static final long D = PageTableEntry.D;
  static final long PS = PageTableEntry.PS;
  static final long G = PageTableEntry.G;
  static final long NX = PageTableEntry.NX;
  static final long BYTES = 4 << 20;

  final HostMemory memory = new HostMemory(0, BYTES, 0);
  final PagingContext paging;
  private long next = BYTES;
  private final long root = table();

  PageTables(PagingContext paging, int mode) {
    this.paging = paging;
    paging.mode = mode;
    paging.root = root;
    paging.wp = true;
    paging.nxe = mode >= PagingContext.PAE;
    paging.pse = mode == PagingContext.LEGACY;
    paging.pge = true;
    if (mode == PagingContext.PAE) {
      for (int i = 0; i < 4; i++) {
        paging.pdpte[i] = table() | P;
      }
    }
  }

  /** A machine's MMU over fresh 4-level tables. */
  static PageTables longMode(PagingContext paging) {
    return new PageTables(paging, PagingContext.LONG4);
  }

  long table() {
    next -= 4096;
    return next;
  }

  int entrySize() {
    return paging.mode == PagingContext.LEGACY ? 4 : 8;
  }

  int topLevel() {
    return Math.max(PagingContext.levels(paging.mode), 2);
  }

  /** Maps a page whose entry lies at a level; the entries above get all rights. */
  void map(long gva, long page, int level, long flags) {
    set(gva, level, page | flags | (level > 1 ? PS : 0));
  }

  void map(long gva, long page, long flags) {
    map(gva, page, 1, flags);
  }

  /** Writes the entry of a level, making the tables above it. */
  void set(long gva, int level, long entry) {
    memory.write(entryAddress(gva, level, true), entrySize(), entry);
  }

  long get(long gva, int level) {
    return memory.read(entryAddress(gva, level, false), entrySize());
  }

  /** Address of the entry that a walk for {@code gva} reads at a level. */
  long entryAddress(long gva, int level) {
    return entryAddress(gva, level, false);
  }

  private long entryAddress(long gva, int level, boolean make) {
    long table = paging.mode == PagingContext.PAE ? paging.pdpte[(int) (gva >>> 30) & 3] & -4096 : root;
    for (int l = topLevel(); ; l--) {
      long index = entrySize() == 4 ? gva >>> (l == 2 ? 22 : 12) & 1023 : gva >>> 12 + 9 * (l - 1) & 511;
      long at = table + index * entrySize();
      if (l == level) {
        return at;
      }
      long entry = memory.read(at, entrySize());
      if ((entry & P) == 0) {
        if (!make) {
          throw new IllegalStateException("no table at level " + (l - 1));
        }
        entry = table() | P | RW | US;
        memory.write(at, entrySize(), entry);
      }
      table = entry & 0xFFFF_F000L;
    }
  }
}
