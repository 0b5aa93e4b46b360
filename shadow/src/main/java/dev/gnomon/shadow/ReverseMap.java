package dev.gnomon.shadow;

import java.util.Arrays;
import org.eclipse.collections.impl.list.mutable.primitive.LongArrayList;
import org.eclipse.collections.impl.map.mutable.primitive.LongLongHashMap;

/**
 * From a guest frame to every leaf entry that maps it, one chain for each page size, as KVM's {@code rmap}. A location
 * is {@code page id × 512 + index}; the links of the chains lie in the shadow pages, so that adding and removing take
 * constant time.
 */
final class ReverseMap {
  private static final int COUNT_SHIFT = 32;
  private static final long HEAD = 0xFFFF_FFFFL;
  private static final long EMPTY = HEAD;
  private static final int LEVELS = 3;
  /**
   * Chains of 4-KiB mappings of frames below this (4 GiB) lie in an array that grows, for it is them that every fill
   * and drop touches.
   */
  private static final int ARRAY_FRAMES = 1 << 20;

  private final ShadowPage[] byId;
  /** Chain's first location in the low half, its length in the high half. */
  private final LongLongHashMap[] chains = new LongLongHashMap[LEVELS + 1];
  /** The same complemented, so that a fresh array is one of empty chains. */
  private long[] low = new long[1 << 12];

  /** @param byId all shadow pages by id */
  ReverseMap(ShadowPage[] byId) {
    this.byId = byId;
    for (int level = 1; level <= LEVELS; level++) {
      chains[level] = new LongLongHashMap();
    }
  }

  private long chain(long gfn, int level) {
    if (level == 1 && gfn < ARRAY_FRAMES) {
      return gfn < low.length ? low[(int) gfn] ^ EMPTY : EMPTY;
    }
    return chains[level].getIfAbsent(gfn, EMPTY);
  }

  private void setChain(long gfn, int level, long chain) {
    if (level == 1 && gfn < ARRAY_FRAMES) {
      if (gfn >= low.length) {
        low = Arrays.copyOf(low, Integer.highestOneBit((int) gfn) << 1);
      }
      low[(int) gfn] = chain ^ EMPTY;
    } else if (chain == EMPTY) {
      chains[level].remove(gfn);
    } else {
      chains[level].put(gfn, chain);
    }
  }

  /**
   * Adds an entry of {@code page} that maps {@code gfn}, the first frame of the mapping; returns the chain's new
   * length.
   */
  int add(ShadowPage page, int index, long gfn) {
    long chain = chain(gfn, page.level());
    int head = pushFront((int) chain, page, index);
    int count = (int) (chain >>> COUNT_SHIFT) + 1;
    setChain(gfn, page.level(), (long) count << COUNT_SHIFT | head & HEAD);
    return count;
  }

  void remove(ShadowPage page, int index, long gfn) {
    long chain = chain(gfn, page.level());
    int head = unlink((int) chain, page, index);
    setChain(gfn, page.level(), (chain >>> COUNT_SHIFT) - 1 << COUNT_SHIFT | head & HEAD);
  }

  /** First location of the chain, or {@link ShadowPage#NONE}. */
  int first(long gfn, int level) {
    return (int) chain(gfn, level);
  }

  int next(int location) {
    return page(location).next[index(location)];
  }

  int count(long gfn, int level) {
    return (int) (chain(gfn, level) >>> COUNT_SHIFT);
  }

  /** Frames that have a chain of that level. */
  long[] frames(int level) {
    LongArrayList frames = new LongArrayList();
    for (int gfn = 0; level == 1 && gfn < low.length; gfn++) {
      if (low[gfn] != 0) {
        frames.add(gfn);
      }
    }
    frames.addAll(chains[level].keySet().toSortedArray());
    return frames.toArray();
  }

  ShadowPage page(int location) {
    return byId[location >>> ShadowPte.INDEX_BITS];
  }

  static int index(int location) {
    return location & ShadowPte.ENTRIES - 1;
  }

  /** Makes {@code page.link(index)} one of {@code child}'s parents. */
  void addParent(ShadowPage child, ShadowPage page, int index) {
    child.parents = pushFront(child.parents, page, index);
    child.parentCount++;
  }

  void removeParent(ShadowPage child, ShadowPage page, int index) {
    child.parents = unlink(child.parents, page, index);
    child.parentCount--;
  }

  private int pushFront(int head, ShadowPage page, int index) {
    int location = page.location(index);
    page.next[index] = head;
    page.prev[index] = ShadowPage.NONE;
    if (head != ShadowPage.NONE) {
      page(head).prev[index(head)] = location;
    }
    return location;
  }

  private int unlink(int head, ShadowPage page, int index) {
    int next = page.next[index];
    int prev = page.prev[index];
    if (next != ShadowPage.NONE) {
      page(next).prev[index(next)] = prev;
    }
    if (prev == ShadowPage.NONE) {
      return next;
    }
    page(prev).next[index(prev)] = next;
    return head;
  }
}
