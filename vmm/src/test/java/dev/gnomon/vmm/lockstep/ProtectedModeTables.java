package dev.gnomon.vmm.lockstep;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.PageTableEntry;
import java.util.SplittableRandom;

/**
 * A handful of 2-level or PAE tables that name each other at random, and the addresses that they translate.
 *
 * <pre>
 *  GPA 300000 + n·4K  roots; under PAE 20h further  320000 + n·4K  page tables (and page directories) that random
 *      384000  tables of the identity map, 386000 of the alias                                        entries name
 *  GVA 0         the first 8 MiB, identity, supervisor only
 *      4000000   the first 2 MiB again, for ring 3
 *      80000000  what the random tables map
 * </pre>
 */
final class ProtectedModeTables {
  /** How a guest pages. */
  enum Paging {
    /** Not at all. */
    NONE,
    /** 2 levels, CR4.PSE = 0: PS is ignored. */
    LEGACY,
    /** 2 levels with 4-MiB pages, PSE-36 among them. */
    LEGACY_PSE,
    /** 3 levels, the top one in four registers. */
    PAE
  }

  static final int ROOT_COUNT = 3;
  static final @Gva long USER_ALIAS = 0x0400_0000;
  private static final @Gpa long ROOTS = 0x300000;
  private static final @Gpa long POOL = 0x320000;
  private static final @Gpa long IDENTITY = 0x384000;
  private static final @Gpa long ALIAS = 0x386000;
  private static final @Gva long RANDOM_BASE = 0x8000_0000L;
  private static final int RANDOM_PDPTE = 2;
  private static final int RANDOM_PDE = 512;
  private static final int PDPT_INDICES = 2;
  private static final int PD_INDICES = 4;
  private static final int PT_INDICES = 8;
  private static final int PDS = 3;
  private static final int PTS = 4;
  private static final @Gpa long HOLE = 0x7000_0000L;
  private static final long PAGE = GuestProgram.PAGE;
  private static final long LARGE_PAGE = 0x200000;
  private static final long SUPERVISOR = PageTableEntry.P | PageTableEntry.RW;
  private static final long TABLE = SUPERVISOR | PageTableEntry.US;
  private static final int LEGACY_SHIFT = 22;

  private final Paging paging;

  ProtectedModeTables(Paging paging) {
    this.paging = paging;
  }

  boolean pae() {
    return paging == Paging.PAE;
  }

  /** CR3 for a root. */
  long root(int n) {
    return ROOTS + PAGE * n + (pae() ? 0x20 : 0);
  }

  private static @Gpa long directory(int n) {
    return POOL + PAGE * n;
  }

  private @Gpa long pageTable(int n) {
    return POOL + PAGE * ((pae() ? PDS : 0) + n);
  }

  @Gva long randomAddress(SplittableRandom random) {
    int top = random.nextInt(PDPT_INDICES);
    int middle = random.nextInt(PD_INDICES);
    int index = random.nextInt(PT_INDICES);
    return switch (paging) {
      case NONE -> random.nextInt(20) == 0 ? HOLE : GuestProgram.DATA + PAGE * random.nextInt(24);
      case LEGACY, LEGACY_PSE -> RANDOM_BASE + ((long) middle << LEGACY_SHIFT) + PAGE * index;
      case PAE -> RANDOM_BASE + ((long) top << 30) + LARGE_PAGE * middle + PAGE * index;
    };
  }

  /** Addresses that an entry at an index of some page table may translate. */
  @Gva long[] addressesOf(int index) {
    @Gva long[] addresses = new long[pae() ? PDPT_INDICES * PD_INDICES : PD_INDICES];
    for (int i = 0; i < addresses.length; i++) {
      addresses[i] = RANDOM_BASE + PAGE * index
          + (pae() ? ((long) (i / PD_INDICES) << 30) + LARGE_PAGE * (i % PD_INDICES) : (long) i << LEGACY_SHIFT);
    }
    return addresses;
  }

  /** The level of a random edit: mostly 1, at most 3 under PAE and 2 otherwise. */
  int randomLevel(SplittableRandom random) {
    int level = 1 + random.nextInt(5);
    return level > (pae() ? 3 : 2) ? 1 : level;
  }

  @Gpa long randomEntryAddress(int level, SplittableRandom random) {
    int size = pae() ? 8 : 4;
    if (level == 1) {
      return pageTable(random.nextInt(PTS)) + (long) size * random.nextInt(PT_INDICES);
    }
    if (level == 3) {
      return root(random.nextInt(ROOT_COUNT)) + (long) size * (RANDOM_PDPTE + random.nextInt(PDPT_INDICES));
    }
    return pae() ? directory(random.nextInt(PDS)) + (long) size * random.nextInt(PD_INDICES)
        : root(random.nextInt(ROOT_COUNT)) + (long) size * (RANDOM_PDE + random.nextInt(PD_INDICES));
  }

  /** The index in its table of an entry. */
  int indexOf(@Gpa long entryAddress) {
    return (int) (entryAddress & PAGE - 1) / (pae() ? 8 : 4);
  }

  /** Mostly good entries, and the ways in which one can be bad; but PDPTEs that a MOV to CR3 accepts. */
  long randomEntry(int level, SplittableRandom random) {
    // What is wrong near the root hides what lies below, so most of it is in the leaves.
    boolean leaf = level == 1;
    if (random.nextInt(leaf ? 6 : 16) == 0) {
      long entry = random.nextInt(4) == 0 ? random.nextLong() & ~1L : 0;
      return pae() ? entry : entry & 0xFFFF_FFFFL;
    }
    if (level == 3) {
      return PageTableEntry.P | (random.nextBoolean() ? PageTableEntry.PWT : 0) | directory(random.nextInt(PDS));
    }
    long flags = PageTableEntry.P;
    flags |= random.nextInt(leaf ? 4 : 10) != 0 ? PageTableEntry.RW : 0;
    flags |= random.nextInt(leaf ? 3 : 10) != 0 ? PageTableEntry.US : 0;
    flags |= random.nextInt(2) != 0 ? PageTableEntry.A : 0;
    flags |= random.nextInt(2) != 0 ? PageTableEntry.D : 0;
    flags |= random.nextInt(6) == 0 ? PageTableEntry.PCD : 0;
    flags |= random.nextInt(4) == 0 ? 0x200 : 0;
    if (pae()) {
      flags |= random.nextInt(leaf ? 5 : 16) == 0 ? PageTableEntry.NX : 0;
      flags |= random.nextInt(24) == 0 ? 1L << 46 + random.nextInt(17) : 0;
    }
    if (leaf) {
      flags |= random.nextInt(4) == 0 ? PageTableEntry.G : 0;
      return flags | (random.nextInt(20) == 0 ? HOLE : GuestProgram.DATA + PAGE * random.nextInt(24));
    }
    boolean large = random.nextInt(3) == 0;
    if (paging == Paging.LEGACY) {
      return flags | (large ? PageTableEntry.PS : 0) | pageTable(random.nextInt(PTS));
    }
    if (!large) {
      return flags | pageTable(random.nextInt(PTS));
    }
    flags |= PageTableEntry.PS;
    flags |= random.nextInt(4) == 0 ? PageTableEntry.G : 0;
    if (pae()) {
      flags |= random.nextInt(12) == 0 ? 0x2000 : 0;
      return flags | GuestProgram.DATA + (random.nextBoolean() ? LARGE_PAGE : 0);
    }
    flags |= random.nextInt(10) == 0 ? PageTableEntry.RESERVED_4M : 0;
    // Physical address bits 39:32, where there is no memory.
    flags |= random.nextInt(10) == 0 ? 1L << 13 + random.nextInt(8) : 0;
    return flags | GuestProgram.DATA;
  }

  void poke(GuestProgram.Poke memory) {
    switch (paging) {
      case NONE -> { }
      case LEGACY, LEGACY_PSE -> pokeLegacy(memory);
      case PAE -> pokePae(memory);
    }
  }

  private void pokeLegacy(GuestProgram.Poke memory) {
    int[] identity = new int[2048];
    for (int i = 0; i < identity.length; i++) {
      identity[i] = (int) (PAGE * i | SUPERVISOR);
    }
    pokeTable(memory, IDENTITY, identity);
    int[] alias = new int[1024];
    for (int i = 0; i < alias.length / 2; i++) {
      alias[i] = (int) (PAGE * i | TABLE);
    }
    pokeTable(memory, ALIAS, alias);
    for (int n = 0; n < ROOT_COUNT; n++) {
      int[] root = new int[1024];
      root[0] = (int) (IDENTITY | SUPERVISOR);
      root[1] = (int) (IDENTITY + PAGE | SUPERVISOR);
      root[(int) (USER_ALIAS >>> LEGACY_SHIFT)] = (int) (ALIAS | TABLE);
      for (int i = 0; i < PD_INDICES; i++) {
        root[RANDOM_PDE + i] = (int) (pageTable((n + i) % PTS) | TABLE);
      }
      pokeTable(memory, root(n), root);
    }
    for (int n = 0; n < PTS; n++) {
      int[] table = new int[PT_INDICES];
      for (int i = 0; i < PT_INDICES; i++) {
        table[i] = (int) (firstPage(n, i) | TABLE);
      }
      pokeTable(memory, pageTable(n), table);
    }
  }

  private static void pokeTable(GuestProgram.Poke memory, @Gpa long gpa, int[] entries) {
    for (int i = 0; i < entries.length; i += 2) {
      memory.write64(gpa + 4L * i, entries[i] & 0xFFFF_FFFFL | (long) entries[i + 1] << 32);
    }
  }

  private void pokePae(GuestProgram.Poke memory) {
    for (int i = 0; i < 4; i++) {
      memory.write64(IDENTITY + 8L * i, LARGE_PAGE * i | PageTableEntry.PS | SUPERVISOR);
    }
    memory.write64(IDENTITY + 8 * (USER_ALIAS / LARGE_PAGE), PageTableEntry.PS | TABLE);
    for (int n = 0; n < ROOT_COUNT; n++) {
      memory.write64(root(n), IDENTITY | PageTableEntry.P);
      for (int i = 0; i < PDPT_INDICES; i++) {
        memory.write64(root(n) + 8L * (RANDOM_PDPTE + i), directory((n + i) % PDS) | PageTableEntry.P);
      }
    }
    for (int n = 0; n < PDS; n++) {
      for (int i = 0; i < PD_INDICES; i++) {
        memory.write64(directory(n) + 8L * i, pageTable((n + i) % PTS) | TABLE);
      }
    }
    for (int n = 0; n < PTS; n++) {
      for (int i = 0; i < PT_INDICES; i++) {
        memory.write64(pageTable(n) + 8L * i, firstPage(n, i) | TABLE);
      }
    }
  }

  private static @Gpa long firstPage(int table, int index) {
    return GuestProgram.DATA + PAGE * (table * PT_INDICES + index);
  }
}
