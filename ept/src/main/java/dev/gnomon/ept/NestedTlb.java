package dev.gnomon.ept;

import dev.gnomon.guest.memory.Gpa;
import java.util.Arrays;

/**
 * The counted model of the guest-physical mappings that a processor caches (SDM vol. 3C, "Information That May Be
 * Cached"): a set-associative TLB from guest-physical pages to host-physical ones, one entry a page of any size, tagged
 * by EP4TA, replaced first in first out, so that a hit changes no state. The default geometry, 64 entries in 4 ways, is
 * that of the Victima simulator; real sizes are not documented.
 *
 * <p>It does not follow the tables: only INVEPT, and an EPT violation for its address, take an entry out.
 */
@SuppressWarnings("subtyping") // A tag packs a guest-physical page address and the size of the page.
public final class NestedTlb {
  public static final int DEFAULT_ENTRIES = 64;
  public static final int DEFAULT_WAYS = 4;
  private static final int[] SHIFTS = {EptEntry.SHIFT_4K, EptEntry.SHIFT_2M, EptEntry.SHIFT_1G};

  /** Choices that the SDM leaves to the processor. */
  public enum Option {
    /**
     * Caches translations of guest paging-structure entries only, not of final addresses (Bhargava et al., ASPLOS
     * 2008).
     */
    TABLES_ONLY,
    /** A hit counts the references of the walk that it stands for, instead of none. */
    COUNT_HIT_REFERENCES,
    /**
     * A hit that lacks a right is a violation at once; otherwise the tables are walked first. So a stale entry costs
     * one violation.
     */
    REPORT_CACHED_RIGHTS
  }

  private final int ways;
  private final int setMask;
  /** Page address, the page's shift in the low bits. */
  private final long[] pages;
  private final long[] tags;
  private final long[] mappings;
  private final int[] nextWay;
  final boolean tablesOnly;
  final boolean countHitReferences;
  final boolean reportCachedRights;
  /** Bit n: a page of 2^n bytes was cached since the last complete flush. */
  private long shifts;
  private long hits;
  private long misses;

  public NestedTlb() {
    this(DEFAULT_ENTRIES, DEFAULT_WAYS);
  }

  /**
   * @param entries number of entries, 1 to 65536
   * @param ways entries of a set; {@code entries / ways} must be a power of two
   * @throws IllegalArgumentException if the geometry is impossible
   */
  public NestedTlb(int entries, int ways, Option... options) {
    if (entries < 1 || entries > 1 << 16 || ways < 1 || entries % ways != 0 || Integer.bitCount(entries / ways) != 1) {
      throw new IllegalArgumentException("nested TLB of " + entries + " entries in " + ways
          + " ways: expected 1 to 65536 entries, and entries / ways a power of two");
    }
    this.ways = ways;
    this.setMask = entries / ways - 1;
    this.pages = new long[entries];
    this.tags = new long[entries];
    this.mappings = new long[entries];
    this.nextWay = new int[entries / ways];
    boolean[] chosen = new boolean[Option.values().length];
    for (Option option : options) {
      chosen[option.ordinal()] = true;
    }
    this.tablesOnly = chosen[Option.TABLES_ONLY.ordinal()];
    this.countHitReferences = chosen[Option.COUNT_HIT_REFERENCES.ordinal()];
    this.reportCachedRights = chosen[Option.REPORT_CACHED_RIGHTS.ordinal()];
  }

  /** Accesses that a cached mapping served. */
  public long hits() {
    return hits;
  }

  /** Accesses that walked the EPT tables. */
  public long misses() {
    return misses;
  }

  void countHit() {
    hits++;
  }

  void countMiss() {
    misses++;
  }

  /** @return the mapping, or {@link EptMapping#NONE} */
  long lookup(long ep4ta, @Gpa long gpa) {
    for (int shift : SHIFTS) {
      int at = (shifts >>> shift & 1) == 0 ? -1 : find(ep4ta, gpa, shift);
      if (at >= 0) {
        return mappings[at];
      }
    }
    return EptMapping.NONE;
  }

  void fill(long ep4ta, @Gpa long gpa, long mapping) {
    int shift = EptMapping.shift(mapping);
    shifts |= 1L << shift;
    int at = find(ep4ta, gpa, shift);
    if (at < 0) {
      int set = set(gpa, shift);
      at = set * ways + nextWay[set];
      nextWay[set] = nextWay[set] + 1 == ways ? 0 : nextWay[set] + 1;
    }
    pages[at] = page(gpa, shift);
    tags[at] = ep4ta;
    mappings[at] = mapping;
  }

  /** Drops the mappings of every size that translate an address. */
  void drop(long ep4ta, @Gpa long gpa) {
    for (int shift : SHIFTS) {
      int at = find(ep4ta, gpa, shift);
      if (at >= 0) {
        mappings[at] = EptMapping.NONE;
      }
    }
  }

  /** Single-context INVEPT. */
  void flush(long ep4ta) {
    for (int at = 0; at < mappings.length; at++) {
      if (tags[at] == ep4ta) {
        mappings[at] = EptMapping.NONE;
      }
    }
  }

  /** All-context INVEPT. */
  void flushAll() {
    Arrays.fill(mappings, EptMapping.NONE);
    shifts = 0;
  }

  private int set(@Gpa long gpa, int shift) {
    return (int) (gpa >>> shift) & setMask;
  }

  private static long page(@Gpa long gpa, int shift) {
    return gpa & -1L << shift | shift;
  }

  private int find(long ep4ta, @Gpa long gpa, int shift) {
    long page = page(gpa, shift);
    int first = set(gpa, shift) * ways;
    for (int at = first; at < first + ways; at++) {
      if (pages[at] == page && tags[at] == ep4ta && mappings[at] != EptMapping.NONE) {
        return at;
      }
    }
    return -1;
  }
}
