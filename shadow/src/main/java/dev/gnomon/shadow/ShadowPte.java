package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.ProtectionKeys;

/**
 * Entry of a shadow page table: the processor's own 8-byte entry, with two of the bits that it leaves to software, or
 * an MMIO marker. Software bits lie in 11:9 only, because 62:52 are reserved when the processor walks the tables as
 * PAE.
 * <pre>
 *  mapping or table
 *  63   62:52  51:46  45:12   11  10             9               8  7    6   5   4:3  2   1   0
 *  XD | key  | 0    | frame | 0 | MMU_WRITABLE | HOST_WRITABLE | 0 | PS | D | A | 0  | U | W | P
 *
 *  MMIO marker: any access faults with the reserved-bit flag, because bit 51 is not below MAXPHYADDR
 *  63   62:61  60:52             51       50:46  45:12  11:3             2   1   0
 *  XD | 0    | generation 17:9 | MARKER | 0    | gfn  | generation 8:0 | U | W | 1
 * </pre>
 * Bits 62:59 hold the guest's protection key where the guest uses keys, which is under 4-level tables only.
 * HOST_WRITABLE: the memory slot may be written. MMU_WRITABLE: the hypervisor's own write-protection of guest tables
 * does not forbid it, so that only dirty logging can have cleared W. Names as in KVM ({@code spte.h}).
 */
public final class ShadowPte {
  public static final long P = 1L;
  public static final long W = 1L << 1;
  public static final long U = 1L << 2;
  public static final long A = 1L << 5;
  public static final long D = 1L << 6;
  public static final long PS = 1L << 7;
  public static final long HOST_WRITABLE = 1L << 9;
  public static final long MMU_WRITABLE = 1L << 10;
  public static final long XD = 1L << 63;
  /** The guest's protection key. */
  public static final long KEY = ProtectionKeys.ENTRY_MASK;
  public static final long MMIO_MARKER = 1L << 51;
  /** Frame address, bits 45:12. */
  public static final long FRAME = (1L << HostMemory.MAXPHYADDR) - HostMemory.FRAME_SIZE;
  /** Entries of a table. */
  static final int INDEX_BITS = 9;
  public static final int ENTRIES = 1 << INDEX_BITS;
  /** Bits of the slots' generation that a marker holds. */
  public static final int GENERATION_BITS = 18;
  public static final int GENERATION_MASK = (1 << GENERATION_BITS) - 1;

  private static final int GENERATION_LOW_BITS = 9;
  private static final int GENERATION_LOW_SHIFT = 3;
  private static final int GENERATION_HIGH_SHIFT = 52;
  private static final long GENERATION_PART = (1L << GENERATION_LOW_BITS) - 1;

  private ShadowPte() {}

  /** Link to a lower table: all rights, for rights live in the leaves and in the roles. */
  public static long table(@Hpa long hpa) {
    return Addresses.bits(hpa) | P | W | U | A;
  }

  /** Present for the processor without a fault: a mapping or a table, no MMIO marker. */
  public static boolean isPresent(long spte) {
    return (spte & (P | MMIO_MARKER)) == P;
  }

  public static boolean isMmio(long spte) {
    return (spte & (P | MMIO_MARKER)) == (P | MMIO_MARKER);
  }

  /** A present entry of that level maps a page (it is not a link to a table). */
  public static boolean isLeaf(long spte, int level) {
    return level == 1 || (spte & PS) != 0;
  }

  public static boolean isWritable(long spte) {
    return (spte & W) != 0;
  }

  /** Only dirty logging keeps the guest from writing. */
  public static boolean isWriteLogged(long spte) {
    return (spte & (P | W | MMU_WRITABLE)) == (P | MMU_WRITABLE);
  }

  /** Rights of a leaf or of a marker, bits of {@link ShadowAccess}. */
  public static int access(long spte) {
    return ((spte & W) != 0 ? ShadowAccess.WRITE : 0) | ((spte & U) != 0 ? ShadowAccess.USER : 0)
        | (spte >= 0 ? ShadowAccess.EXEC : 0);
  }

  /** U, W and XD for a set of rights. */
  static long rightsOf(int access) {
    return ((access & ShadowAccess.WRITE) != 0 ? W : 0) | ((access & ShadowAccess.USER) != 0 ? U : 0)
        | ((access & ShadowAccess.EXEC) != 0 ? 0 : XD);
  }

  /**
   * Marker of a device page.
   *
   * @param gfn guest frame number, below 2^34
   * @param access rights that the guest's tables grant
   * @param generation generation of the memory slots; its low {@link #GENERATION_BITS} bits are kept
   */
  public static long mmio(long gfn, int access, int generation) {
    long low = generation & GENERATION_PART;
    long high = generation >>> GENERATION_LOW_BITS & GENERATION_PART;
    return P | MMIO_MARKER | rightsOf(access) | gfn << HostMemory.FRAME_SHIFT & FRAME
        | low << GENERATION_LOW_SHIFT | high << GENERATION_HIGH_SHIFT;
  }

  public static long mmioGfn(long spte) {
    return (spte & FRAME) >>> HostMemory.FRAME_SHIFT;
  }

  public static int mmioGeneration(long spte) {
    return (int) (spte >>> GENERATION_LOW_SHIFT & GENERATION_PART
        | (spte >>> GENERATION_HIGH_SHIFT & GENERATION_PART) << GENERATION_LOW_BITS);
  }

  /** Index into a table of that level. */
  public static int index(@Gva long gva, int level) {
    return (int) (gva >>> HostMemory.FRAME_SHIFT + 9 * (level - 1)) & (ENTRIES - 1);
  }

  /** 4-KiB frames that an entry of that level maps. */
  public static long framesPerEntry(int level) {
    return 1L << 9 * (level - 1);
  }

  /**
   * For messages, e.g. {@code hpa 0x100003000 rw-u MMU_WRITABLE HOST_WRITABLE AD}; {@code not present}; or the marker's
   * contents.
   */
  public static String toString(long spte) {
    if (isMmio(spte)) {
      return "mmio gfn " + Long.toHexString(mmioGfn(spte)) + " " + ShadowAccess.toString(access(spte)) + " gen "
          + mmioGeneration(spte);
    }
    if (!isPresent(spte)) {
      return "not present";
    }
    return "hpa 0x" + Long.toHexString(spte & FRAME) + " r" + ((spte & W) != 0 ? "w" : "-") + (spte >= 0 ? "x" : "-")
        + ((spte & U) != 0 ? "u" : "-") + ((spte & PS) != 0 ? " PS" : "") + ((spte & A) != 0 ? " A" : "")
        + ((spte & D) != 0 ? " D" : "")
        + ((spte & MMU_WRITABLE) != 0 ? " MMU_WRITABLE" : "") + ((spte & HOST_WRITABLE) != 0 ? " HOST_WRITABLE" : "");
  }
}
