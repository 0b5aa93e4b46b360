package dev.gnomon.ept;

import dev.gnomon.guest.memory.Gpa;
import java.util.Arrays;

/**
 * Host-speed cache of guest-physical mappings; never published. Two direct-mapped parts: one entry a 2-MiB piece of a
 * large page, one a 4-KiB page, each a key and an {@link EptMapping}:
 * <pre>
 *  63:36        35:0
 *  generation   guest-physical page number (of 2 MiB or 4 KiB)
 * </pre>
 * A complete flush is a new generation. A hit adds the references of the walk it stands for, so no count depends on it.
 * For one EPT pointer at a time: loading another flushes.
 */
@SuppressWarnings("subtyping") // A key packs a guest-physical page number and a generation.
final class NestedSoftTlb {
  private static final int LARGE_SIZE = 1 << 10;
  private static final int SMALL_SIZE = 1 << 14;
  private static final int GENERATION_SHIFT = 36;
  /**
   * Half of what fits: a page number too wide for its field gives the key of a generation to come, which is in no
   * entry.
   */
  private static final long LAST_GENERATION = 1L << 63 - GENERATION_SHIFT;

  /** Keys at even places, mappings at odd ones. */
  private final long[] large = new long[2 * LARGE_SIZE];
  private final long[] small = new long[2 * SMALL_SIZE];
  private long generation = 1;

  /** @return a mapping whose page is the 2-MiB piece or 4-KiB page of the address, or {@link EptMapping#NONE} */
  long lookup(@Gpa long gpa) {
    long key = generation << GENERATION_SHIFT;
    int at = largeIndex(gpa);
    if (large[at] == key + (gpa >>> EptEntry.SHIFT_2M)) {
      return large[at + 1];
    }
    at = smallIndex(gpa);
    return small[at] == key + (gpa >>> EptEntry.SHIFT_4K) ? small[at + 1] : EptMapping.NONE;
  }

  void fill(@Gpa long gpa, long mapping) {
    if (gpa >>> EptEntry.GPA_BITS != 0) {
      // Only 5-level tables have it, and its key would be that of another generation.
      return;
    }
    long key = generation << GENERATION_SHIFT;
    int shift = EptMapping.shift(mapping);
    if (shift == EptEntry.SHIFT_4K) {
      int at = smallIndex(gpa);
      small[at] = key + (gpa >>> EptEntry.SHIFT_4K);
      small[at + 1] = mapping;
      return;
    }
    int at = largeIndex(gpa);
    long piece = gpa & (1L << shift) - 1 & -1L << EptEntry.SHIFT_2M;
    large[at] = key + (gpa >>> EptEntry.SHIFT_2M);
    large[at + 1] = EptMapping.withPage(mapping, EptMapping.page(mapping) | piece);
  }

  void drop(@Gpa long gpa) {
    large[largeIndex(gpa)] = 0;
    small[smallIndex(gpa)] = 0;
  }

  void flush() {
    if (generation++ == LAST_GENERATION) {
      generation = 1;
      Arrays.fill(large, 0);
      Arrays.fill(small, 0);
    }
  }

  private static int largeIndex(@Gpa long gpa) {
    return ((int) (gpa >>> EptEntry.SHIFT_2M) & LARGE_SIZE - 1) << 1;
  }

  private static int smallIndex(@Gpa long gpa) {
    return ((int) (gpa >>> EptEntry.SHIFT_4K) & SMALL_SIZE - 1) << 1;
  }
}
