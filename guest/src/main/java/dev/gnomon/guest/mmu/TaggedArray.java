package dev.gnomon.guest.mmu;

/**
 * A set-associative array of tagged entries, the storage of TLBs and paging-structure caches. A set keeps its entries
 * newest first and without holes, so that first-in-first-out replacement is exact also after invalidations. A lookup
 * changes nothing. One entry is four words:
 * <pre>
 *  key     63:28 page number, low 36 bits | 27:12 VPID | 11:0 PCID
 *  space   EP4TA, 0 without EPT; with 5-level paging bits 8:0 are the linear address bits 56:48, which the key has no room for
 *  value   bits of the owner; with bit 3 (GLOBAL) set, the PCID is not compared
 *  extra   bits of the owner; bits 1:0 are the kind, which is part of the tag (page size)
 * </pre>
 */
final class TaggedArray {
  static final int PCID_BITS = 12;
  static final long PCID = (1L << PCID_BITS) - 1;
  static final int PAGE_SHIFT = 28;
  static final long VPID = (1L << PAGE_SHIFT) - 1 & ~PCID;
  static final long KIND = 3;
  /** Linear bits in a space. */
  static final long UPPER = 0x1FF;
  static final long GLOBAL = Translation.GLOBAL;
  /** In place of a VPID or PCID to remove by: any. */
  static final int ANY = -1;
  /** In place of a VPID: all but 0. */
  static final int NONZERO = -2;

  final int sets;
  final int ways;
  final long[] keys;
  final long[] spaces;
  final long[] values;
  final long[] extras;
  private final int[] used;
  private final boolean random;
  private long randomState;
  /** Entries held. */
  int live;
  /** After {@link #insert}: whether an entry had to go, and its key and extra word. */
  boolean evicted;
  long evictedKey;
  long evictedExtra;
  long evictedSpace;

  /** @param seed of random replacement; ignored for first-in-first-out */
  TaggedArray(int sets, int ways, TlbGeometry.Replacement replacement, long seed) {
    this.sets = sets;
    this.ways = ways;
    this.keys = new long[sets * ways];
    this.spaces = new long[sets * ways];
    this.values = new long[sets * ways];
    this.extras = new long[sets * ways];
    this.used = new int[sets];
    this.random = replacement == TlbGeometry.Replacement.RANDOM;
    this.randomState = seed;
  }

  static long key(long page, int vpid, int pcid) {
    return page << PAGE_SHIFT | (long) vpid << PCID_BITS | pcid;
  }

  /** Index of the entry for a key, or −1. */
  int find(long key, long space, int kind) {
    if (live == 0) {
      return -1;
    }
    int set = set(key);
    int i = set * ways;
    for (int end = i + used[set]; i < end; i++) {
      long differs = keys[i] ^ key;
      boolean tagged = differs == 0 || (differs & ~PCID) == 0 && (values[i] & GLOBAL) != 0;
      if (tagged && spaces[i] == space && (extras[i] & KIND) == kind) {
        return i;
      }
    }
    return -1;
  }

  /** Adds an entry; the key is not yet present. */
  void insert(long key, long space, long value, long extra) {
    int set = set(key);
    int first = set * ways;
    int last = first + used[set];
    evicted = used[set] == ways;
    if (evicted) {
      last = first + (random ? nextWay() : ways - 1);
      evictedKey = keys[last];
      evictedExtra = extras[last];
      evictedSpace = spaces[last];
    } else {
      used[set]++;
      live++;
    }
    move(first, first + 1, last - first);
    keys[first] = key;
    spaces[first] = space;
    values[first] = value;
    extras[first] = extra;
  }

  void remove(int index) {
    int set = index / ways;
    int last = set * ways + --used[set];
    live--;
    move(index + 1, index, last - index);
  }

  void clear() {
    if (live != 0) {
      java.util.Arrays.fill(used, 0);
      live = 0;
    }
  }

  /**
   * Removes the entries of one page, of any space.
   *
   * @param upper linear bits 56:48 with 5-level paging, else 0
   * @param pcid or {@link #ANY}
   * @param globals whether global entries go, of whatever PCID
   */
  void removePage(long page, long upper, int kind, int vpid, int pcid, boolean globals) {
    long key = key(page, vpid, 0);
    int set = set(key);
    int first = set * ways;
    for (int i = first + used[set] - 1; i >= first; i--) {
      if (((keys[i] ^ key) & ~PCID) == 0 && (extras[i] & KIND) == kind && (spaces[i] & UPPER) == upper
          && selected(i, pcid, globals)) {
        remove(i);
      }
    }
  }

  /**
   * Removes entries by tag.
   *
   * @param vpid or {@link #ANY} or {@link #NONZERO}
   * @param pcid or {@link #ANY}
   * @param globals whether global entries go too
   */
  void removeContext(int vpid, int pcid, boolean globals) {
    if (live == 0) {
      return;
    }
    for (int set = 0; set < sets; set++) {
      int first = set * ways;
      for (int i = first + used[set] - 1; i >= first; i--) {
        if (inVpid(keys[i], vpid) && selected(i, pcid, globals)) {
          remove(i);
        }
      }
    }
  }

  /** Removes combined entries. @param space EP4TA, or {@link #ANY} */
  void removeSpace(long space) {
    for (int set = 0; live != 0 && set < sets; set++) {
      int first = set * ways;
      for (int i = first + used[set] - 1; i >= first; i--) {
        long own = spaces[i] & ~UPPER;
        if (own != 0 && (space == ANY || own == space)) {
          remove(i);
        }
      }
    }
  }

  private static boolean inVpid(long key, int vpid) {
    int own = (int) ((key & VPID) >>> PCID_BITS);
    return vpid == ANY || vpid == NONZERO && own != 0 || own == vpid;
  }

  /**
   * Whether an invalidation for a PCID takes entry {@code i}: a global one if {@code globals}, another one by its PCID.
   */
  boolean selected(int i, int pcid, boolean globals) {
    return (values[i] & GLOBAL) != 0 ? globals : pcid == ANY || (keys[i] & PCID) == pcid;
  }

  int firstOf(int set) {
    return set * ways;
  }

  int endOf(int set) {
    return set * ways + used[set];
  }

  private int set(long key) {
    return (int) (key >>> PAGE_SHIFT) & sets - 1;
  }

  private void move(int from, int to, int count) {
    System.arraycopy(keys, from, keys, to, count);
    System.arraycopy(spaces, from, spaces, to, count);
    System.arraycopy(values, from, values, to, count);
    System.arraycopy(extras, from, extras, to, count);
  }

  private int nextWay() {
    randomState = randomState * 6364136223846793005L + 1442695040888963407L;
    return (int) ((randomState >>> 33) % ways);
  }
}
