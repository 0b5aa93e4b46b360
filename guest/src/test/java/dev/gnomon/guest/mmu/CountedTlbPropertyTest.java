package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.RandomDistribution;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/**
 * The counted TLBs, seen as an interpreter uses them (soft TLB first, fetches remembered while the fetch generation
 * stands), against {@link NaiveTlb}, which sees every access: every counter is equal after every step.
 */
class CountedTlbPropertyTest {
  private static final int PAGES_4K = 12;
  private static final int PAGES_2M = 5;
  private static final long LARGE = 0x4000_0000L;
  private static final List<TlbGeometry> GEOMETRIES = List.of(
      geometry("small", List.of(new TlbGeometry.Array(1, 4, 2), new TlbGeometry.Array(2, 2, 2)),
          List.of(new TlbGeometry.Array(1, 2, 2)), List.of(new TlbGeometry.Array(3, 8, 4))),
      geometry("unified", List.of(new TlbGeometry.Array(7, 4, 4)), List.of(new TlbGeometry.Array(7, 3, 3)),
          List.of(new TlbGeometry.Array(1, 4, 1))),
      TlbGeometry.NONE,
      TlbGeometry.SKYLAKE.withoutStructures());

  private final PagingContext none = new PagingContext();
  private Mmu mmu;
  private PageTables tables;
  private NaiveTlb naive;
  private List<NaiveTlb.Page> pages;
  private final Map<Long, Integer> remembered = new HashMap<>();
  private boolean user;
  private boolean ac;
  private int base;

  @Provide
  Arbitrary<List<Integer>> streams() {
    return Arbitraries.integers().between(0, Integer.MAX_VALUE).withDistribution(RandomDistribution.uniform())
        .list().ofMinSize(1).ofMaxSize(400);
  }

  private static TlbGeometry geometry(String name, List<TlbGeometry.Array> data, List<TlbGeometry.Array> instruction,
      List<TlbGeometry.Array> second) {
    return new TlbGeometry(name, data, instruction, second, List.of(), TlbGeometry.Structures.NONE,
        TlbGeometry.Replacement.FIFO);
  }

  @Property(tries = 1500)
  void shouldCountWhatTheNaiveModelCounts(@ForAll("streams") List<Integer> stream,
      @ForAll @IntRange(min = 0, max = 3) int which) {
    setUp(GEOMETRIES.get(which));
    int step = 0;
    for (int word : stream) {
      act(word);
      assertThat(counts(mmu.statistics)).as("geometry %s, step %d, word %x", GEOMETRIES.get(which).name(), step++, word)
          .isEqualTo(counts(naive.counts));
    }
  }

  @Test
  void shouldCountAFetchWhoseSoftCopyHadMadeRoomForAnother() {
    setUp(GEOMETRIES.get(0));
    for (int page : new int[] {4, 5, 6, 4}) {
      fetch(pages.get(page).start);
    }
    assertThat(counts(mmu.statistics)).isEqualTo(counts(naive.counts));
  }

  private static List<Long> counts(TlbStatistics s) {
    return List.of(s.dtlbLoadL2Hits, s.dtlbLoadMisses, s.dtlbStoreL2Hits, s.dtlbStoreMisses, s.itlbL2Hits, s.itlbMisses,
        s.walksCompleted, s.walksFaulted, s.walksExited, s.guestReferences, s.eptReferences, s.structureCacheHits,
        s.l1Fills, s.l2Fills);
  }

  private void setUp(TlbGeometry geometry) {
    tables = PageTables.longMode(none);
    mmu = new Mmu(tables.memory);
    PagingContext c = mmu.paging;
    c.mode = none.mode;
    c.root = none.root;
    c.wp = true;
    c.nxe = true;
    c.pge = true;
    c.smap = true;
    c.smep = true;
    mmu.setTranslator(new PageWalker(tables.memory, c, null));
    mmu.setPolicy(TlbPolicy.counted(geometry));
    pages = new ArrayList<>();
    for (int i = 0; i < PAGES_4K; i++) {
      // Odd pages share a soft TLB slot with the page before them.
      long start = 0x10_0000L + (i & ~1) * 0x1000L ^ ((i & 1) != 0 ? 0x1000_1000L : 0);
      boolean user = i % 6 != 3;
      add(new NaiveTlb.Page(start, 12, i % 5 != 0, user, i != 7, i % 4 == 0, i % 2 == 0), 0x1_0000L + i * 0x1000L);
    }
    for (int i = 0; i < PAGES_2M; i++) {
      add(new NaiveTlb.Page(LARGE + ((long) i << 21), 21, i != 1, i != 2, true, i == 3, i == 0), 0);
    }
    naive = new NaiveTlb(geometry, pages, c);
    remembered.clear();
    user = true;
    ac = false;
    base = 0;
    mmu.select(true, false);
  }

  private void add(NaiveTlb.Page page, long physical) {
    pages.add(page);
    tables.map(page.start, physical, page.shift == 12 ? 1 : 2, flags(page));
  }

  private static long flags(NaiveTlb.Page page) {
    return PageTables.A | (page.present ? PageTables.P : 0) | (page.writable ? PageTables.RW : 0)
        | (page.user ? PageTables.US : 0) | (page.executable ? 0 : PageTables.NX) | (page.global ? PageTables.G : 0)
        | (page.dirty ? PageTables.D : 0);
  }

  private void act(int word) {
    // Most accesses stay within a few pages, which move on now and then.
    if ((word >>> 24 & 15) == 0) {
      base = (word >>> 8) % pages.size();
    }
    NaiveTlb.Page page = pages.get((base + (word >>> 8) % 4) % pages.size());
    long gva = page.start + (page.shift == 12 ? 0x123 : (word >>> 16 & 1) * 0x1000L);
    switch (word & 31) {
      case 0 -> {
        mmu.invlpg(gva);
        naive.invlpg(gva);
      }
      case 1, 2 -> {
        mmu.paging.pcid = word >>> 8 & 3;
        mmu.softFlush();
      }
      case 3 -> {
        mmu.flushPcid(mmu.paging.pcid);
        naive.flush(mmu.paging.pcid, false);
      }
      case 4 -> {
        int type = word >>> 8 & 3;
        int pcid = word >>> 10 & 3;
        mmu.invpcid(type, pcid, gva);
        switch (type) {
          case Mmu.INDIVIDUAL_ADDRESS -> naive.invalidate(gva, pcid, false);
          case Mmu.SINGLE_CONTEXT -> naive.flush(pcid, false);
          case Mmu.ALL_CONTEXTS -> naive.flush(-1, true);
          default -> naive.flush(-1, false);
        }
      }
      case 5 -> {
        user = (word & 0x300) != 0;
        ac = (word & 0x400) != 0;
        mmu.select(user, ac);
        remembered.clear();
      }
      case 6 -> changePresence(page, gva, word);
      case 7, 8, 9, 10, 11, 12, 13, 14 -> fetch(gva);
      case 15, 16, 17, 18, 19 -> data(gva, Access.WRITE, SoftTlb.DENY_STORE);
      default -> data(gva, 0, SoftTlb.DENY_LOAD);
    }
  }

  private void changePresence(NaiveTlb.Page page, long gva, int word) {
    page.present = (word & 0x4000_0000) != 0 || !page.present;
    int level = page.shift == 12 ? 1 : 2;
    long entry = tables.get(page.start, level);
    tables.set(page.start, level, page.present ? entry | PageTables.P : entry & ~PageTables.P);
    mmu.invlpg(gva);
    naive.invlpg(gva);
    for (int pcid = 0; pcid < 4; pcid++) {
      mmu.invpcid(Mmu.INDIVIDUAL_ADDRESS, pcid, gva);
      naive.invalidate(gva, pcid, false);
    }
  }

  private void data(long gva, int write, int deny) {
    int access = mmu.dataAccess | write;
    boolean soft = SoftTlb.probe(mmu.data.entries, gva, 0, deny) >= 0;
    boolean real = soft || mmu.translate(gva, access) >= 0;
    assertThat(real).isEqualTo(naive.access(gva, access));
  }

  private void fetch(long gva) {
    int access = Access.FETCH | mmu.dataAccess & Access.USER;
    Integer generation = remembered.get(gva >>> 12);
    boolean real = generation != null && generation == mmu.fetchGeneration;
    if (!real) {
      real = SoftTlb.probe(mmu.fetch.entries, gva, 0, 0) >= 0 || mmu.translate(gva, access) >= 0;
      if (real) {
        remembered.put(gva >>> 12, mmu.fetchGeneration);
      }
    }
    assertThat(real).isEqualTo(naive.access(gva, access));
  }
}
