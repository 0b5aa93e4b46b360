package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;

/**
 * Paging-structure entries (SDM vol. 3A, "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging").
 *
 * <p>8-byte entries, of PAE and 4- and 5-level paging. Levels are 5 PML5E, 4 PML4E, 3 PDPTE, 2 PDE, 1 PTE:
 * <pre>
 *  63   62    52 51      46 45          30 29      21 20      13  12   11:9 8 7   6 5 4   3   2  1  0
 *  NX | ign (a)| reserved | table, address bits 45:12 ............. | ign |i|PS |i|A|PCD|PWT|US|RW|P  levels 5 to 2 (b)
 *  NX | ign (a)| reserved | page 45:30   | reserved ........ | PAT | ign |G|1  |D|A|PCD|PWT|US|RW|P  1 GiB, level 3
 *  NX | ign (a)| reserved | page 45:21 ............ | reserved| PAT | ign |G|1  |D|A|PCD|PWT|US|RW|P  2 MiB, level 2
 *  NX | ign (a)| reserved | page 45:12 ............................ | ign |G|PAT|D|A|PCD|PWT|US|RW|P  4 KiB, level 1
 * </pre>
 * (a) Reserved under PAE paging. NX is reserved while EFER.NXE = 0. (b) PS is 0; at levels 5 and 4 always, and at level
 * 3 on a processor without 1-GiB pages, it is reserved.
 *
 * <p>PDPTE register of PAE paging; a present one with a reserved bit makes the load fail with #GP(0), and no rights are
 * taken from it:
 * <pre>
 *  63        46 45                     12 11:9  8      5   4    3   2      1   0
 *  reserved   | address of the PD       | ign | reserved | PCD | PWT | reserved | P
 * </pre>
 *
 * <p>4-byte entries, of 2-level paging:
 * <pre>
 *  31         22  21   20       13  12   11:9 8 7   6 5 4   3   2  1  0
 *  table, address bits 31:12 ............ | ign |i|0  |i|A|PCD|PWT|US|RW|P  PDE of a table
 *  page 31:22   | res | page 39:32 | PAT | ign |G|1  |D|A|PCD|PWT|US|RW|P  PDE of a 4-MiB page (PSE-36), if CR4.PSE = 1
 *  page 31:12 ............................ | ign |G|PAT|D|A|PCD|PWT|US|RW|P  PTE
 * </pre>
 */
public final class PageTableEntry {
  public static final long P = 1L;
  public static final long RW = 1L << 1;
  public static final long US = 1L << 2;
  public static final long PWT = 1L << 3;
  public static final long PCD = 1L << 4;
  public static final long A = 1L << 5;
  public static final long D = 1L << 6;
  /** Levels 2 and 3: the entry maps a page. */
  public static final long PS = 1L << 7;
  /** Top bit of the PAT index in a PTE. */
  public static final long PAT = 1L << 7;
  public static final long G = 1L << 8;
  /** Top bit of the PAT index in an entry that maps a page larger than 4 KiB. */
  public static final long PAT_LARGE = 1L << 12;
  public static final long NX = 1L << 63;

  /** Bits of the entry's address field below MAXPHYADDR, for a table or a 4-KiB page. */
  public static final long ADDRESS = bits(HostMemory.MAXPHYADDR - 1, 12);
  public static final long ADDRESS_2M = bits(HostMemory.MAXPHYADDR - 1, 21);
  public static final long ADDRESS_1G = bits(HostMemory.MAXPHYADDR - 1, 30);
  /** Reserved in every 8-byte entry: from MAXPHYADDR to bit 51. */
  public static final long RESERVED = bits(51, HostMemory.MAXPHYADDR);
  /** Reserved in addition under PAE paging. */
  public static final long RESERVED_PAE = bits(62, 52);
  public static final long RESERVED_2M = bits(20, 13);
  public static final long RESERVED_1G = bits(29, 13);
  /** Reserved in a present PDPTE register. */
  public static final long RESERVED_PDPTE = bits(63, HostMemory.MAXPHYADDR) | bits(8, 5) | bits(2, 1);

  /** Address field of a 4-byte entry for a table or a 4-KiB page. */
  public static final long ADDRESS_LEGACY = bits(31, 12);
  public static final long ADDRESS_4M = bits(31, 22);
  /** Bits 20:13 of a 4-MiB entry: physical address bits 39:32. */
  public static final long PSE36 = bits(20, 13);
  public static final int PSE36_SHIFT = 32 - 13;
  public static final long RESERVED_4M = 1L << 21;

  private static final int LEVEL_BITS = 9;

  private PageTableEntry() {}

  private static long bits(int high, int low) {
    return (-1L >>> 63 - high) & -1L << low;
  }

  /** log2 of the memory that an 8-byte entry of a level covers: 12, 21, 30, 39 or 48. */
  public static int shift(int level) {
    return HostMemory.FRAME_SHIFT + LEVEL_BITS * (level - 1);
  }

  /** Offset in its table of the 8-byte entry for a linear address. */
  public static long entryOffset(@Gva long gva, int level) {
    return (Addresses.bits(gva) >>> HostMemory.FRAME_SHIFT + LEVEL_BITS * (level - 1) & (1 << LEVEL_BITS) - 1) << 3;
  }

  /** Whether a present 8-byte entry maps a page rather than a table; PS at level 4 is a reserved bit, not a leaf. */
  public static boolean isLeaf(long entry, int level, boolean pages1g) {
    return level == 1 || (entry & PS) != 0 && (level == 2 || level == 3 && pages1g);
  }

  /**
   * Bits that must be 0 in a present 8-byte entry read during a walk.
   *
   * @param mode {@link PagingContext#PAE} or one of IA-32e mode
   * @param leaf whether the entry maps a page
   */
  public static long reserved(int mode, int level, boolean leaf, boolean nxe) {
    long mask = RESERVED | (mode == PagingContext.PAE ? RESERVED_PAE : 0) | (nxe ? 0 : NX);
    return switch (level) {
      case 1 -> mask;
      case 2 -> leaf ? mask | RESERVED_2M : mask;
      case 3 -> leaf ? mask | RESERVED_1G : mask | PS;
      default -> mask | PS;
    };
  }

  /** Page address in an 8-byte leaf. */
  public static @Gpa long page(long entry, int level) {
    return entry & (level == 1 ? ADDRESS : level == 2 ? ADDRESS_2M : ADDRESS_1G);
  }

  /** Page address in a 4-byte PDE with PS. */
  public static @Gpa long page4M(long entry) {
    return entry & ADDRESS_4M | (entry & PSE36) << PSE36_SHIFT;
  }
}
