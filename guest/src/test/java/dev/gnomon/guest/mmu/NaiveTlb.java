package dev.gnomon.guest.mmu;

import java.util.ArrayList;
import java.util.List;

/**
 * The second model of the counted TLBs: lists of records, every access shown to it, no soft TLB, nothing packed. The
 * page tables are a list of pages with D flags of their own.
 */
final class NaiveTlb {
  /** A page of the guest: linear start, log2 of its size, rights. */
  static final class Page {
    final long start;
    final int shift;
    final boolean writable;
    final boolean user;
    final boolean executable;
    final boolean global;
    boolean dirty;
    boolean present = true;

    Page(long start, int shift, boolean writable, boolean user, boolean executable, boolean global, boolean dirty) {
      this.start = start;
      this.shift = shift;
      this.writable = writable;
      this.user = user;
      this.executable = executable;
      this.global = global;
      this.dirty = dirty;
    }

    boolean covers(long gva) {
      return gva >>> shift == start >>> shift;
    }
  }

  private record Entry(long number, int shift, int pcid, Page page, boolean dirty) {
    boolean matches(long gva, int context) {
      return number == gva >>> shift && (page.global || pcid == context);
    }
  }

  private static final class Array {
    final int sizes;
    final int ways;
    final List<List<Entry>> sets = new ArrayList<>();

    Array(TlbGeometry.Array geometry) {
      sizes = geometry.sizes();
      ways = geometry.ways();
      for (int i = 0; i < geometry.entries() / geometry.ways(); i++) {
        sets.add(new ArrayList<>());
      }
    }

    void add(Entry entry) {
      List<Entry> set = sets.get((int) (entry.number % sets.size()));
      if (set.size() == ways) {
        set.remove(0);
      }
      set.add(entry);
    }
  }

  private static final int[] SHIFTS = {12, 21, 30};

  private final List<Array> l1Data;
  private final List<Array> l1Fetch;
  private final List<Array> l2;
  private final List<Page> pages;
  private final PagingContext paging;
  final TlbStatistics counts = new TlbStatistics();

  NaiveTlb(TlbGeometry geometry, List<Page> pages, PagingContext paging) {
    l1Data = geometry.data().stream().map(Array::new).toList();
    l1Fetch = geometry.instruction().stream().map(Array::new).toList();
    l2 = geometry.second().stream().map(Array::new).toList();
    this.pages = pages;
    this.paging = paging;
  }

  /** @return whether the access succeeds */
  boolean access(long gva, int access) {
    boolean fetch = (access & Access.FETCH) != 0;
    boolean write = (access & Access.WRITE) != 0;
    List<Array> l1 = fetch ? l1Fetch : l1Data;
    Entry entry = find(l1, gva);
    boolean second = entry == null;
    if (second) {
      entry = find(l2, gva);
    }
    if (entry != null && !permits(entry.page, access, entry.dirty)) {
      drop(l1, gva, paging.pcid, true);
      drop(l2, gva, paging.pcid, true);
      entry = null;
    } else if (entry != null) {
      if (second) {
        if (fetch) {
          counts.itlbL2Hits++;
        } else if (write) {
          counts.dtlbStoreL2Hits++;
        } else {
          counts.dtlbLoadL2Hits++;
        }
        addFirst(l1, gva, entry.page, entry.shift, entry.dirty);
      }
      return true;
    }
    if (fetch) {
      counts.itlbMisses++;
    } else if (write) {
      counts.dtlbStoreMisses++;
    } else {
      counts.dtlbLoadMisses++;
    }
    Page page = pages.stream().filter(p -> p.covers(gva)).findFirst().orElseThrow();
    counts.guestReferences += page.shift == 12 ? 4 : page.shift == 21 ? 3 : 2;
    if (!page.present || !permits(page, access, true)) {
      counts.walksFaulted++;
      drop(l1Data, gva, paging.pcid, true);
      drop(l1Fetch, gva, paging.pcid, true);
      drop(l2, gva, paging.pcid, true);
      return false;
    }
    counts.walksCompleted++;
    page.dirty |= write;
    for (Array array : l2) {
      if (holds(array, page.shift)) {
        array.add(new Entry(gva >>> page.shift, page.shift, paging.pcid, page, page.dirty));
        counts.l2Fills++;
      }
    }
    addFirst(l1, gva, page, page.shift, page.dirty);
    return true;
  }

  private void addFirst(List<Array> l1, long gva, Page page, int shift, boolean dirty) {
    for (int i = SHIFTS.length - 1; i >= 0; i--) {
      for (Array array : l1) {
        if (SHIFTS[i] <= shift && holds(array, SHIFTS[i])) {
          array.add(new Entry(gva >>> SHIFTS[i], SHIFTS[i], paging.pcid, page, dirty));
          counts.l1Fills++;
          return;
        }
      }
    }
  }

  private boolean permits(Page page, int access, boolean dirty) {
    return PermissionTable.allowed(access, page.user, page.writable, !page.executable, paging)
        && ((access & Access.WRITE) == 0 || dirty);
  }

  private static boolean holds(Array array, int shift) {
    return (array.sizes >> (shift - 12) / 9 & 1) != 0;
  }

  private Entry find(List<Array> level, long gva) {
    for (Array array : level) {
      for (List<Entry> set : array.sets) {
        for (Entry entry : set) {
          if (entry.matches(gva, paging.pcid)) {
            return entry;
          }
        }
      }
    }
    return null;
  }

  private static void drop(List<Array> level, long gva, int pcid, boolean globals) {
    for (Array array : level) {
      for (List<Entry> set : array.sets) {
        set.removeIf(entry -> entry.page.covers(gva) && (entry.page.global ? globals : entry.pcid == pcid));
      }
    }
  }

  void invlpg(long gva) {
    invalidate(gva, paging.pcid, true);
  }

  /** One address of one PCID. */
  void invalidate(long gva, int pcid, boolean globals) {
    for (List<Array> level : List.of(l1Data, l1Fetch, l2)) {
      drop(level, gva, pcid, globals);
    }
  }

  /** @param pcid −1 for all */
  void flush(int pcid, boolean globals) {
    for (List<Array> level : List.of(l1Data, l1Fetch, l2)) {
      for (Array array : level) {
        for (List<Entry> set : array.sets) {
          set.removeIf(entry -> entry.page.global ? globals : pcid < 0 || entry.pcid == pcid);
        }
      }
    }
  }
}
