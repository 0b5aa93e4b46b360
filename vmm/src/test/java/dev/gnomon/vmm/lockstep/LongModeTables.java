package dev.gnomon.vmm.lockstep;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.PageTableEntry;
import java.util.SplittableRandom;

/**
 * A handful of 4-level tables that name each other at random, and the addresses that they translate.
 *
 * <pre>
 *  GPA 300000  roots, one page each        310000  top tables of 5-level paging    320000 + n·4K  tables that random entries name: PDPT, PD, PT
 *      383000  identity PDPT, 384000 alias PD, 385000 identity PD
 *  GVA 0       the first 8 MiB, identity, supervisor only
 *      40000000    the first 2 MiB again, for ring 3
 *      80000000    what the first page directories of the random tables map, for compatibility mode
 *      8000000000  what the random tables map
 * </pre>
 */
final class LongModeTables {
  static final @Gpa long ROOTS = 0x300000;
  static final int ROOT_COUNT = 3;
  static final @Gva long USER_ALIAS = 0x40000000L;
  static final int PML4_INDICES = 2;
  static final int PDPT_INDICES = 2;
  static final int PD_INDICES = 4;
  static final int PT_INDICES = 8;
  /** Tables above the roots for 5-level paging, one page each. */
  static final @Gpa long TOPS = 0x310000;
  /**
   * Entries of such a table that name roots: the lowest, which names the table's own, one in the middle, and the
   * highest.
   */
  static final int[] TOP_INDICES = {0, 3, 511};
  private static final @Gpa long POOL = 0x320000;
  private static final @Gpa long IDENTITY_PDPT = 0x383000;
  private static final @Gpa long ALIAS_PD = 0x384000;
  private static final @Gpa long IDENTITY_PD = 0x385000;
  private static final @Gva long RANDOM_BASE = 1L << 39;
  private static final @Gva long LOW_BASE = 2L << 30;
  private static final int PDPTS = 2;
  private static final int PDS = 3;
  private static final int PTS = 4;
  private static final long PAGE = GuestProgram.PAGE;
  private static final long LARGE_PAGE = 0x200000;
  /** Guest-physical address without memory. */
  private static final @Gpa long HOLE = 0x7000_0000L;
  private static final long TABLE = PageTableEntry.P | PageTableEntry.RW | PageTableEntry.US;

  private LongModeTables() {}

  static @Gpa long root(int n) {
    return ROOTS + PAGE * n;
  }

  static @Gpa long top(int n) {
    return TOPS + PAGE * n;
  }

  /** A 4-level address below an entry of a top table. */
  static @Gva long below(int topIndex, @Gva long gva) {
    return (gva | (long) topIndex << 48) << 7 >> 7;
  }

  private static @Gpa long pool(int first, int n) {
    return POOL + PAGE * (first + n);
  }

  static @Gva long address(int pml4, int pdpt, int pd, int pt) {
    return RANDOM_BASE + ((long) pml4 << 39) + ((long) pdpt << 30) + ((long) pd << 21) + ((long) pt << 12);
  }

  /** @param crowd 1, or 2 to use only some of the indices, so that steps meet more often */
  static @Gva long randomAddress(int crowd, SplittableRandom random) {
    return address(random.nextInt(PML4_INDICES / crowd), random.nextInt(PDPT_INDICES),
        random.nextInt(PD_INDICES / crowd), random.nextInt(PT_INDICES / crowd));
  }

  /** A random address below 4 GiB. */
  static @Gva long randomLowAddress(int crowd, SplittableRandom random) {
    return low(random.nextInt(PDPT_INDICES), random.nextInt(PD_INDICES / crowd), random.nextInt(PT_INDICES / crowd));
  }

  private static @Gva long low(int pdpt, int pd, int pt) {
    return LOW_BASE + ((long) pdpt << 30) + ((long) pd << 21) + ((long) pt << 12);
  }

  /** Addresses, one a page table, that an entry at an index of some page table may translate. */
  static @Gva long[] addressesOf(int pt) {
    int low = PDPT_INDICES * PD_INDICES;
    @Gva long[] addresses = new long[(PML4_INDICES + 1) * low];
    for (int i = 0; i < addresses.length; i++) {
      int pdpt = i / PD_INDICES % PDPT_INDICES;
      int pd = i % PD_INDICES;
      addresses[i] = i < low ? low(pdpt, pd, pt) : address(i / low - 1, pdpt, pd, pt);
    }
    return addresses;
  }

  /** Address of a random entry that random addresses of the same crowd use. */
  static @Gpa long randomEntryAddress(int level, int crowd, SplittableRandom random) {
    return switch (level) {
      case 4 -> root(random.nextInt(ROOT_COUNT)) + 8L * (1 + random.nextInt(PML4_INDICES / crowd));
      case 3 -> pool(0, random.nextInt(PDPTS)) + 8L * random.nextInt(PDPT_INDICES);
      case 2 -> pool(PDPTS, random.nextInt(PDS)) + 8L * random.nextInt(PD_INDICES / crowd);
      default -> pool(PDPTS + PDS, random.nextInt(PTS)) + 8L * random.nextInt(PT_INDICES / crowd);
    };
  }

  /** Addresses of the entries at an index in all page tables. */
  static @Gpa long[] leafEntries(int pt) {
    @Gpa long[] entries = new long[PTS];
    for (int i = 0; i < PTS; i++) {
      entries[i] = pool(PDPTS + PDS, i) + 8L * pt;
    }
    return entries;
  }

  /** A random entry that lets everybody do everything with some page. */
  static long randomGoodLeaf(SplittableRandom random) {
    return TABLE | (random.nextBoolean() ? PageTableEntry.G : 0) | GuestProgram.DATA + PAGE * random.nextInt(24);
  }

  /** The entry's index in the table that it lies in. */
  static int indexOf(@Gpa long entryAddress) {
    return (int) (entryAddress & PAGE - 1) >>> 3;
  }

  /** Mostly good entries, and all the ways in which one can be bad. */
  static long randomEntry(int level, SplittableRandom random) {
    // What is wrong near the root hides what lies below, so most of it is in the leaves.
    boolean leaf = level == 1;
    if (random.nextInt(leaf ? 6 : 16) == 0) {
      return random.nextInt(4) == 0 ? random.nextLong() & ~1L : 0;
    }
    long flags = PageTableEntry.P;
    flags |= random.nextInt(leaf ? 4 : 10) != 0 ? PageTableEntry.RW : 0;
    flags |= random.nextInt(leaf ? 3 : 10) != 0 ? PageTableEntry.US : 0;
    flags |= random.nextInt(2) != 0 ? PageTableEntry.A : 0;
    flags |= random.nextInt(2) != 0 ? PageTableEntry.D : 0;
    flags |= random.nextInt(6) == 0 ? PageTableEntry.PWT | PageTableEntry.PCD : 0;
    flags |= random.nextInt(leaf ? 5 : 16) == 0 ? PageTableEntry.NX : 0;
    flags |= random.nextInt(4) == 0 ? 0x200 : 0;
    flags |= random.nextInt(24) == 0 ? 1L << 46 + random.nextInt(6) : 0;
    if (leaf) {
      flags |= random.nextInt(4) == 0 ? PageTableEntry.G : 0;
      return flags | (random.nextInt(20) == 0 ? HOLE : GuestProgram.DATA + PAGE * random.nextInt(24));
    }
    if (level == 2 && random.nextInt(4) == 0) {
      flags |= random.nextInt(4) == 0 ? PageTableEntry.G : 0;
      flags |= random.nextInt(12) == 0 ? 0x2000 : 0;
      return flags | PageTableEntry.PS | GuestProgram.DATA + (random.nextBoolean() ? LARGE_PAGE : 0);
    }
    if (level == 4 && random.nextInt(16) == 0) {
      return flags | PageTableEntry.PS | pool(0, 0);
    }
    return flags | switch (level) {
      case 4 -> pool(0, random.nextInt(PDPTS));
      case 3 -> pool(PDPTS, random.nextInt(PDS));
      default -> pool(PDPTS + PDS, random.nextInt(PTS));
    };
  }

  static void poke(GuestProgram.Poke memory) {
    for (int n = 0; n < ROOT_COUNT; n++) {
      for (int i = 0; i < TOP_INDICES.length; i++) {
        memory.write64(top(n) + 8 * TOP_INDICES[i], root((n + i) % ROOT_COUNT) | TABLE);
      }
    }
    for (int root = 0; root < ROOT_COUNT; root++) {
      memory.write64(root(root), IDENTITY_PDPT | TABLE);
    }
    memory.write64(IDENTITY_PDPT, IDENTITY_PD | PageTableEntry.P | PageTableEntry.RW);
    memory.write64(IDENTITY_PDPT + 8, ALIAS_PD | TABLE);
    for (int i = 0; i < PDPT_INDICES; i++) {
      memory.write64(IDENTITY_PDPT + 8 * (2 + i), pool(PDPTS, i) | TABLE);
    }
    for (int i = 0; i < 4; i++) {
      memory.write64(IDENTITY_PD + 8 * i, LARGE_PAGE * i | PageTableEntry.PS | PageTableEntry.P | PageTableEntry.RW);
    }
    memory.write64(ALIAS_PD, PageTableEntry.PS | TABLE);
    pokeRandomPart(memory);
  }

  /** The entries that may be edited, as they are at the start. */
  static void pokeRandomPart(GuestProgram.Poke memory) {
    for (int root = 0; root < ROOT_COUNT; root++) {
      for (int i = 1; i <= PML4_INDICES; i++) {
        memory.write64(root(root) + 8 * i, pool(0, (root + i) % PDPTS) | TABLE);
      }
    }
    for (int i = 0; i < PDPTS; i++) {
      for (int j = 0; j < PDPT_INDICES; j++) {
        memory.write64(pool(0, i) + 8 * j, pool(PDPTS, (i + j) % PDS) | TABLE);
      }
    }
    for (int i = 0; i < PDS; i++) {
      for (int j = 0; j < PD_INDICES; j++) {
        memory.write64(pool(PDPTS, i) + 8 * j, pool(PDPTS + PDS, (i + j) % PTS) | TABLE);
      }
    }
    for (int i = 0; i < PTS; i++) {
      for (int j = 0; j < PT_INDICES; j++) {
        memory.write64(pool(PDPTS + PDS, i) + 8 * j, GuestProgram.DATA + PAGE * (i * PT_INDICES + j) | TABLE);
      }
    }
  }
}
