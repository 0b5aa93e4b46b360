package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gva;
import java.util.Arrays;

/**
 * Soft TLBs that are invalidated together (all for data, or all for fetches), with a record of which 4-KiB pieces of
 * larger pages they hold: an invalidation of one address must drop every piece of the page. The record is a
 * direct-mapped table of 2-MiB regions; a region that has to make room for another drops its pieces.
 */
@SuppressWarnings("subtyping") // A record is a linear region number with its page size.
final class SoftTlbGroup {
  private static final int REGIONS = 1 << 10;
  static final int REGION_SHIFT = 21;
  private static final int WORDS = 8;
  private static final int SHIFT_BITS = 8;
  private static final int SHIFT_MASK = (1 << SHIFT_BITS) - 1;
  private static final int PAGE_4M_SHIFT = 22;
  private static final long PIECE = 1L << 12;

  private final SoftTlb[] members;
  /** Linear address >> 21, then 8 bits of the log2 of the largest page of which pieces are recorded; 0 is free. */
  private final long[] regions = new long[REGIONS];
  private final long[] pieces = new long[REGIONS * WORDS];
  private final int[] occupied = new int[REGIONS];
  private int occupiedCount;
  /** Largest shift recorded since the last flush. */
  private int largest;

  SoftTlbGroup(SoftTlb... members) {
    this.members = members;
    for (int i = 1; i < members.length; i++) {
      members[i - 1].nextInGroup = members[i];
    }
  }

  /**
   * Records that a member is about to hold a piece of a page larger than 4 KiB.
   *
   * @param shift log2 of the guest's page
   */
  void record(@Gva long gva, int shift) {
    long number = gva >>> REGION_SHIFT;
    int slot = (int) number & REGIONS - 1;
    long region = regions[slot];
    if (region >>> SHIFT_BITS != number || region == 0) {
      if (region == 0) {
        occupied[occupiedCount++] = slot;
      } else {
        dropPieces(slot);
      }
      regions[slot] = number << SHIFT_BITS | shift;
    } else if ((region & SHIFT_MASK) < shift) {
      regions[slot] = number << SHIFT_BITS | shift;
    }
    largest = Math.max(largest, shift);
    int piece = (int) (gva >>> 12) & 511;
    pieces[slot * WORDS + (piece >> 6)] |= 1L << piece;
  }

  /** Drops the page at an address, in all its pieces. @return whether anything may have been dropped */
  boolean dropPage(@Gva long gva) {
    boolean dropped = dropPiece(gva);
    if (occupiedCount != 0) {
      long region = regions[slot(gva)];
      if (region != 0 && region >>> SHIFT_BITS == gva >>> REGION_SHIFT) {
        int shift = (int) region & SHIFT_MASK;
        if (shift > PAGE_4M_SHIFT) {
          flush();
        } else {
          dropRegion(gva);
          if (shift == PAGE_4M_SHIFT) {
            dropRegion(gva ^ 1L << REGION_SHIFT);
          }
        }
        return true;
      }
      if (largest > REGION_SHIFT && hasLarger(gva)) {
        flush();
        return true;
      }
    }
    return dropped;
  }

  /**
   * Whether pieces of a page of 4 MiB or more around the address are recorded in another region than the address's own.
   */
  private boolean hasLarger(@Gva long gva) {
    for (int i = 0; i < occupiedCount; i++) {
      long region = regions[occupied[i]];
      int shift = (int) region & SHIFT_MASK;
      if (shift > REGION_SHIFT && (region >>> SHIFT_BITS) >>> shift - REGION_SHIFT == gva >>> shift) {
        return true;
      }
    }
    return false;
  }

  /** Drops one 4-KiB piece. */
  boolean dropPiece(@Gva long gva) {
    // The compiler would unroll a loop over the array for many more members than there are.
    boolean dropped = false;
    for (SoftTlb member = members[0]; member != null; member = member.nextInGroup) {
      dropped |= member.drop(gva);
    }
    return dropped;
  }

  /** Drops the recorded pieces of one 2-MiB region. */
  boolean dropRegion(@Gva long gva) {
    int slot = slot(gva);
    return regions[slot] != 0 && regions[slot] >>> SHIFT_BITS == gva >>> REGION_SHIFT && dropPieces(slot);
  }

  private boolean dropPieces(int slot) {
    boolean dropped = false;
    @Gva long base = regions[slot] >>> SHIFT_BITS << REGION_SHIFT;
    for (int word = 0; word < WORDS; word++) {
      for (long bits = pieces[slot * WORDS + word]; bits != 0; bits &= bits - 1) {
        dropped |= dropPiece(base + ((word << 6) + Long.numberOfTrailingZeros(bits)) * PIECE);
      }
      pieces[slot * WORDS + word] = 0;
    }
    return dropped;
  }

  void flush() {
    for (SoftTlb member : members) {
      member.flush();
    }
    for (int i = 0; i < occupiedCount; i++) {
      int slot = occupied[i];
      regions[slot] = 0;
      Arrays.fill(pieces, slot * WORDS, (slot + 1) * WORDS, 0);
    }
    occupiedCount = 0;
    largest = 0;
  }

  void denyStores(int offset) {
    for (SoftTlb member : members) {
      member.denyStores(offset);
    }
  }

  private static int slot(@Gva long gva) {
    return (int) (gva >>> REGION_SHIFT) & REGIONS - 1;
  }
}
