package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * EPT paging-structure entry (SDM vol. 3C, "EPT Translation Mechanism", tables "Format of an EPT … Entry").
 * <pre>
 *                63   62  61   60   59  58  57   56:52  51:46  45:12     11  10  9  8  7   6     5:3   2 1 0
 *  non-leaf      ·    ·   ·    ·    ·   ·   ·    ·      rsvd   table     ·   XU  ·  A  0   rsvd  rsvd  X W R
 *  1G leaf (L3)  #VE  ·   ·    SSS  ·   PW  VGP  ·      rsvd   45:30 *   ·   XU  D  A  1   IPAT  type  X W R
 *  2M leaf (L2)  #VE  ·   ·    SSS  ·   PW  VGP  ·      rsvd   45:21 *   ·   XU  D  A  1   IPAT  type  X W R
 *  4K leaf (L1)  #VE  ·   SPP  SSS  ·   PW  VGP  ·      rsvd   page      ·   XU  D  A  ·   IPAT  type  X W R
 * </pre>
 * {@code ·} is ignored; {@code *} the address bits below the page size (29:12, 20:12) are reserved. At levels 5 and 4
 * bit 7 is reserved too. VGP, PW and SSS belong to controls that the modelled processor does not have, so they are
 * ignored; so are A and D where EPTP does not enable them, and XU, SPP and #VE while their controls
 * ({@link SecondaryControls}) are off. An entry is present if any of X, W, R is set, or XU under mode-based execute
 * control; one that is not has nothing but #VE.
 *
 * <p>Levels: 5 EPT PML5E, 4 EPT PML4E, 3 EPT PDPTE, 2 EPT PDE, 1 EPT PTE.
 */
public final class EptEntry {
  public static final long READ = 1L;
  public static final long WRITE = 1L << 1;
  public static final long EXECUTE = 1L << 2;
  public static final long RIGHTS = READ | WRITE | EXECUTE;
  public static final int TYPE_SHIFT = 3;
  public static final long TYPE_MASK = 7L << TYPE_SHIFT;
  public static final long IPAT = 1L << 6;
  /** Maps a page (levels 2 and 3). */
  public static final long PAGE_SIZE = 1L << 7;
  public static final long ACCESSED = 1L << 8;
  public static final long DIRTY = 1L << 9;
  /**
   * Execute access for user-mode linear addresses under mode-based execute control; X is then that of supervisor-mode
   * ones.
   */
  public static final long USER_EXECUTE = 1L << 10;
  /** All rights under mode-based execute control. */
  public static final long RIGHTS_BY_MODE = RIGHTS | USER_EXECUTE;
  public static final long ADDRESS_MASK = (1L << HostMemory.MAXPHYADDR) - HostMemory.FRAME_SIZE;
  public static final long RESERVED_ADDRESS = (1L << 52) - (1L << HostMemory.MAXPHYADDR);
  public static final long VERIFY_GUEST_PAGING = 1L << 57;
  public static final long PAGING_WRITE = 1L << 58;
  public static final long SUPERVISOR_SHADOW_STACK = 1L << 60;
  /** Writes that W forbids ask the sub-page permission table. */
  public static final long SUB_PAGE_WRITE = 1L << 61;
  /** Violations at this entry exit, and are never virtualization exceptions. */
  public static final long SUPPRESS_VE = 1L << 63;

  /** Levels unless EPTP says 5. */
  public static final int LEVELS = 4;
  public static final int MAX_LEVELS = 5;
  public static final int ENTRIES = 512;
  public static final int SHIFT_4K = 12;
  public static final int SHIFT_2M = 21;
  public static final int SHIFT_1G = 30;
  /** Width of the guest-physical addresses that four levels translate; one level more is 9 bits more. */
  public static final int GPA_BITS = 48;

  private static final long RESERVED_LOW = TYPE_MASK | IPAT;
  /** Bit n is set if rights n (X W R) are allowed: R, RW, RX, RWX always, X by capability; W and WX never. */
  private static final int ALLOWED_RIGHTS = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7;
  /** X alone, and no bit of X W R at all, which with XU alone is a present entry under mode-based execute control. */
  private static final int EXECUTE_ONLY = 1 << 4 | 1;

  private EptEntry() {}

  public static boolean isPresent(long entry) {
    return (entry & RIGHTS) != 0;
  }

  /** A present entry maps a page: always at level 1, by PS at levels 2 and 3. */
  public static boolean isLeaf(long entry, int level) {
    return level == 1 || (entry & PAGE_SIZE) != 0;
  }

  /** Width of the guest-physical addresses that so many levels translate: 48 or 57. */
  public static int gpaBits(int levels) {
    return shift(levels + 1);
  }

  /** log2 of the bytes that one entry of a level spans: 12, 21, 30, 39, 48. */
  public static int shift(int level) {
    return 12 + 9 * (level - 1);
  }

  /** Level of the entry that maps a page of 2^shift bytes: 1, 2 or 3. */
  public static int level(int shift) {
    return (shift - 12) / 9 + 1;
  }

  public static int index(@Gpa long gpa, int level) {
    return (int) (gpa >>> shift(level)) & (ENTRIES - 1);
  }

  /** Address field of an entry, for a leaf with the bits below the page size as they stand. */
  public static @Hpa long address(long entry) {
    return entry & ADDRESS_MASK;
  }

  public static int memoryType(long entry) {
    return (int) (entry >>> TYPE_SHIFT) & EptMemoryType.TYPE_MASK;
  }

  /** Entry that refers to a table: all rights, so that the leaf alone decides. */
  public static long table(@Hpa long hpa) {
    return Addresses.bits(hpa) | RIGHTS;
  }

  /**
   * Entry that maps a page.
   *
   * @param hpa address of the page, aligned to its size
   * @param shift 12, 21 or 30
   * @param rights bits of {@link #RIGHTS}
   * @param type memory type of {@link EptMemoryType}, IPAT as {@link EptMemoryType#IPAT}
   */
  public static long leaf(@Hpa long hpa, int shift, long rights, int type) {
    return Addresses.bits(hpa) | rights | (long) type << TYPE_SHIFT | (shift > SHIFT_4K ? PAGE_SIZE : 0);
  }

  /**
   * Reserved bits of a present entry at a level, as a leaf or not; PS itself is in the mask where the level or
   * capability has no such page.
   */
  public static long reserved(int level, boolean leaf, EptCapabilities capabilities) {
    if (level == 1) {
      return RESERVED_ADDRESS;
    }
    boolean pages = level == 3 && capabilities.page1g() || level == 2 && capabilities.page2m();
    if (!leaf || !pages) {
      return RESERVED_ADDRESS | RESERVED_LOW | PAGE_SIZE;
    }
    return RESERVED_ADDRESS | (1L << shift(level)) - HostMemory.FRAME_SIZE;
  }

  /**
   * Bit n of the result is set if rights n (X W R as a number) may stand in a present entry; without read only X, XU or
   * both, and only if the processor has execute-only translations.
   */
  public static int allowedRights(EptCapabilities capabilities) {
    return capabilities.executeOnly() ? ALLOWED_RIGHTS | EXECUTE_ONLY : ALLOWED_RIGHTS;
  }

  /**
   * Bochs' name of an entry of a level: {@code EPT PML5E}, {@code EPT PML4E}, {@code EPT PDPTE}, {@code EPT PDE},
   * {@code EPT PTE}.
   */
  public static String name(int level) {
    return switch (level) {
      case 5 -> "EPT PML5E";
      case 4 -> "EPT PML4E";
      case 3 -> "EPT PDPTE";
      case 2 -> "EPT PDE";
      default -> "EPT PTE";
    };
  }

  /** The entry's fields for people, such as {@code 0x100200000 rwx WB IPAT PS A D}. */
  public static String toString(long entry, int level) {
    if (!isPresent(entry)) {
      return "not present";
    }
    StringBuilder text = new StringBuilder("0x").append(Long.toHexString(address(entry))).append(' ')
        .append((entry & READ) != 0 ? 'r' : '-').append((entry & WRITE) != 0 ? 'w' : '-')
        .append((entry & EXECUTE) != 0 ? 'x' : '-');
    if (isLeaf(entry, level)) {
      text.append(' ').append(EptMemoryType.name(memoryType(entry)));
      append(text, entry, IPAT, " IPAT");
    }
    append(text, level > 1 ? entry : 0, PAGE_SIZE, " PS");
    append(text, entry, ACCESSED, " A");
    append(text, isLeaf(entry, level) ? entry : 0, DIRTY, " D");
    append(text, entry, USER_EXECUTE, " XU");
    append(text, level == 1 ? entry : 0, SUB_PAGE_WRITE, " SPP");
    return text.toString();
  }

  private static void append(StringBuilder text, long entry, long bit, String name) {
    if ((entry & bit) != 0) {
      text.append(name);
    }
  }
}
