package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gva;
import java.util.Arrays;

/**
 * Host-speed cache from linear pages to offsets in host memory; never published and never more than the modelled TLB
 * would allow. One packed entry a slot:
 * <pre>
 *  63             28   27         9   8:5      4            3           2:0
 *  linear 63:28        frame offset   0        DENY_STORE   DENY_LOAD   0 (alignment is tested against these)
 * </pre>
 * Linear bits 27:12 are the index, xored with the ones above so that equal low bits do not clash. An entry is found,
 * allowed and the access aligned exactly if {@code (entry ^ gva) & (TAG | size - 1) | entry & deny} is zero: one
 * branch.
 */
@SuppressWarnings("subtyping") // An entry packs a linear address and an offset into one word.
public final class SoftTlb {
  public static final int SIZE = 1 << 16;
  public static final long TAG = -1L << 28;
  /** The frame's offset in the store, shifted right by 3. */
  private static final long FRAME = 0x0FFF_FE00L;
  public static final int DENY_LOAD = 1 << 3;
  public static final int DENY_STORE = 1 << 4;
  /** An entry that matches nothing: no canonical address has its tag, and it denies all. */
  public static final long EMPTY = 1L << 62 | DENY_LOAD | DENY_STORE;
  /** What {@link #drop} leaves: matches nothing either, and tells that the log has the index already. */
  private static final long DROPPED = EMPTY | 1L << 61;
  private static final int LOG_SIZE = 4096;

  public final long[] entries = new long[SIZE];
  private final int[] filled = new int[LOG_SIZE];
  /**
   * Fills since the last flush, and their indices while the log has room; more than its size means any entry may be in
   * use.
   */
  private int filledCount;
  /** The next member of its group. */
  SoftTlb nextInGroup;

  public SoftTlb() {
    Arrays.fill(entries, EMPTY);
  }

  public static int index(@Gva long gva) {
    return (int) (gva >>> 12 ^ gva >>> 28) & (SIZE - 1);
  }

  /**
   * Offset in the store for an aligned access, or −1 on any miss. Static, on the array, so that the interpreter keeps
   * it in a local.
   */
  public static int probe(long[] entries, @Gva long gva, int sizeMask, int deny) {
    return probe(entries, gva, sizeMask | deny);
  }

  /** The same, with bits 2:0 of {@code needs} the size minus 1 and bits 4:3 the DENY_* bits that must be clear. */
  public static int probe(long[] entries, @Gva long gva, int needs) {
    long entry = entries[(int) (gva >>> 12 ^ gva >>> 28) & entries.length - 1];
    boolean hit = ((entry ^ gva & ~(long) (DENY_LOAD | DENY_STORE)) & (TAG | needs)) == 0;
    return hit ? (int) ((entry & FRAME) << 3) | (int) gva & 0xFFF : -1;
  }

  /**
   * Adds a page.
   *
   * @param offset offset in the store of the page's frame, a multiple of 4096
   * @return whether another page had to go
   */
  public boolean fill(@Gva long gva, int offset, int deny) {
    int index = index(gva);
    long old = entries[index];
    entries[index] = gva & TAG | (long) offset >>> 3 | deny;
    if (old == EMPTY) {
      if (filledCount < LOG_SIZE) {
        filled[filledCount] = index;
      }
      if (filledCount <= LOG_SIZE) {
        filledCount++;
      }
      return false;
    }
    return old != DROPPED && ((old ^ gva) & TAG) != 0;
  }

  /** Drops one 4-KiB page. @return whether it was there */
  public boolean drop(@Gva long gva) {
    if (filledCount == 0) {
      return false;
    }
    int index = index(gva);
    if (((entries[index] ^ gva) & TAG) != 0) {
      return false;
    }
    entries[index] = DROPPED;
    return true;
  }

  public void flush() {
    if (filledCount > LOG_SIZE) {
      Arrays.fill(entries, EMPTY);
    } else {
      for (int i = 0; i < filledCount; i++) {
        entries[filled[i]] = EMPTY;
      }
    }
    filledCount = 0;
  }

  /** Denies stores to a frame that is no longer plain memory (code was decoded from it, or it is watched). */
  public void denyStores(int offset) {
    long frame = (long) offset >>> 3;
    int n = filledCount > LOG_SIZE ? SIZE : filledCount;
    for (int i = 0; i < n; i++) {
      int index = filledCount > LOG_SIZE ? i : filled[i];
      if ((entries[index] & FRAME) == frame && entries[index] != EMPTY) {
        entries[index] |= DENY_STORE;
      }
    }
  }
}
