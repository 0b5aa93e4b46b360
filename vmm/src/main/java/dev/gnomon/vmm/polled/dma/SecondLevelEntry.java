package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * Second-level paging entry of VT-d (Intel Virtualization Technology for Directed I/O specification, "Second-Stage
 * Paging Entries").
 * <pre>
 *           63  62  61:52  51:46  45:12     11   10:8  7   6:3  2  1 0
 *  table    ·   0   ·      rsvd   table     0    ·     0   ·    ·  W R
 *  1G page  ·   TM  ·      rsvd   45:30 *   SNP  ·     1   ·    ·  W R
 *  2M page  ·   TM  ·      rsvd   45:21 *   SNP  ·     1   ·    ·  W R
 *  4K page  ·   TM  ·      rsvd   page      SNP  ·     ·   ·    ·  W R
 * </pre>
 * {@code ·} is ignored; {@code *} the address bits below the page size are reserved. An entry is present if R or W is
 * set, and a request needs its right at each level. Snooping (SNP) and the transient mapping (TM) are never set here:
 * memory is coherent and nothing is remapped while a request is in flight. Accessed and dirty flags belong to a
 * capability that is not offered.
 */
public final class SecondLevelEntry {
  public static final long READ = 1L;
  public static final long WRITE = 1L << 1;
  public static final long RIGHTS = READ | WRITE;
  /** Maps a page (levels 2 and 3). */
  public static final long PAGE_SIZE = 1L << 7;
  public static final long ADDRESS_MASK = (1L << HostMemory.MAXPHYADDR) - HostMemory.FRAME_SIZE;
  /** Address bits that the host does not have. */
  public static final long RESERVED_ADDRESS = (1L << 52) - (1L << HostMemory.MAXPHYADDR);

  public static final int LEVELS = 4;
  public static final int ENTRIES = 512;
  public static final int SHIFT_4K = 12;
  public static final int SHIFT_2M = 21;
  public static final int SHIFT_1G = 30;
  /** Width of the addresses that four levels translate. */
  public static final int ADDRESS_BITS = 48;

  private SecondLevelEntry() {}

  public static boolean isPresent(long entry) {
    return (entry & RIGHTS) != 0;
  }

  /** Whether a present entry maps a page: always at level 1, by PS at levels 2 and 3. */
  public static boolean isPage(long entry, int level) {
    return level == 1 || (entry & PAGE_SIZE) != 0;
  }

  /** log2 of the bytes that one entry of a level spans: 12, 21, 30, 39. */
  public static int shift(int level) {
    return SHIFT_4K + 9 * (level - 1);
  }

  public static int index(@Gpa long iova, int level) {
    return (int) (iova >>> shift(level)) & ENTRIES - 1;
  }

  public static @Hpa long address(long entry) {
    return entry & ADDRESS_MASK;
  }

  /** Entry that refers to a table, with both rights, so that the page alone decides. */
  public static long table(@Hpa long hpa) {
    return Addresses.bits(hpa) | RIGHTS;
  }

  /** Entry that maps a page. @param rights bits of {@link #RIGHTS} @param level 1 to 3 */
  public static long page(@Hpa long hpa, long rights, int level) {
    return Addresses.bits(hpa) | rights | (level > 1 ? PAGE_SIZE : 0);
  }

  /** Reserved bits of a present entry. */
  public static long reserved(long entry, int level) {
    if (level == LEVELS) {
      return RESERVED_ADDRESS | PAGE_SIZE;
    }
    return RESERVED_ADDRESS | (level > 1 && isPage(entry, level) ? (1L << shift(level)) - HostMemory.FRAME_SIZE : 0);
  }
}
