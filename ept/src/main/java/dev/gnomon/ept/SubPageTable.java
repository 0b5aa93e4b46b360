package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * The sub-page permission table (SPPT): four levels from the top page that SPPTP names, indexed like EPT's by bits
 * 47:12 of the guest-physical address (SDM vol. 3C, "Sub-Page Write Permissions for EPT").
 * <pre>
 *                  63:52  51:46  45:12   11:1   0
 *  levels 4 to 2   rsvd   rsvd   table   rsvd   valid
 *
 *                  63   62        …  3    2         1    0
 *  level 1         0    W of      …  0    W of      0    W of
 *                       sub-page 31       sub-page 1     sub-page 0
 * </pre>
 * Sub-page n is bytes 128n to 128n + 127 of the page. A set reserved bit is a misconfiguration.
 */
public final class SubPageTable {
  public static final int LEVELS = 4;
  public static final int SUB_PAGES = 32;
  public static final int SUB_PAGE_SHIFT = 7;
  public static final long VALID = 1L;
  public static final long ADDRESS_MASK = EptEntry.ADDRESS_MASK;
  public static final long RESERVED = ~(ADDRESS_MASK | VALID);
  /** Odd bits of a level-1 entry. */
  public static final long VECTOR_RESERVED = 0xAAAA_AAAA_AAAA_AAAAL;
  /** Exit qualification of an SPP-related event: an entry was not valid; clear if one was misconfigured. */
  public static final long MISS = 1L << 11;

  /** Results of {@link #lookup}: the write is granted or not; or an SPP-related exit. */
  static final int DENIED = 0;
  static final int GRANTED = 1;
  static final int MISSED = 2;
  static final int MISCONFIGURED = 3;
  private static final int RESULT_MASK = 3;
  /** Above the result: the number of entries read. */
  private static final int READS_SHIFT = 2;

  private SubPageTable() {}

  /** Level-1 entry that grants writes by a bitmap, bit n for sub-page n. */
  public static long vector(int writable) {
    long vector = 0;
    for (int i = 0; i < SUB_PAGES; i++) {
      vector |= (writable >>> i & 1L) << 2 * i;
    }
    return vector;
  }

  /** Entry that refers to a table. */
  public static long table(@Hpa long hpa) {
    return Addresses.bits(hpa) | VALID;
  }

  static int index(@Gpa long gpa, int level) {
    return EptEntry.index(gpa, level);
  }

  static int result(int lookup) {
    return lookup & RESULT_MASK;
  }

  static int reads(int lookup) {
    return lookup >> READS_SHIFT;
  }

  /**
   * Asks the tables under {@code top} whether a write to an address is granted.
   *
   * @return {@link #result} and {@link #reads}
   */
  static int lookup(HostMemory memory, @Hpa long top, @Gpa long gpa) {
    @Hpa long table = top;
    for (int level = LEVELS; level > 1; level--) {
      long entry = memory.read64(table + 8L * index(gpa, level));
      if ((entry & VALID) == 0) {
        return MISSED | LEVELS + 1 - level << READS_SHIFT;
      }
      if ((entry & RESERVED) != 0) {
        return MISCONFIGURED | LEVELS + 1 - level << READS_SHIFT;
      }
      table = entry & ADDRESS_MASK;
    }
    long vector = memory.read64(table + 8L * index(gpa, 1));
    if ((vector & VECTOR_RESERVED) != 0) {
      return MISCONFIGURED | LEVELS << READS_SHIFT;
    }
    int subPage = (int) (gpa >>> SUB_PAGE_SHIFT) & SUB_PAGES - 1;
    return (int) (vector >>> 2 * subPage) & 1 | LEVELS << READS_SHIFT;
  }
}
