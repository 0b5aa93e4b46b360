package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CountedTlbTest {
  private static final long ALL = PageTables.P | PageTables.RW | PageTables.US;
  private static final TlbGeometry SMALL = new TlbGeometry("small",
      List.of(new TlbGeometry.Array(1, 4, 2), new TlbGeometry.Array(2, 2, 2)), List.of(new TlbGeometry.Array(1, 2, 2)),
      List.of(new TlbGeometry.Array(3, 8, 4)), List.of(), TlbGeometry.Structures.NONE, TlbGeometry.Replacement.FIFO);

  private PageTables tables;
  private Mmu mmu;
  private TlbStatistics counts;

  @BeforeEach
  void machine() {
    PagingContext c = new PagingContext();
    tables = PageTables.longMode(c);
    mmu = new Mmu(tables.memory);
    mmu.paging.mode = PagingContext.LONG4;
    mmu.paging.root = c.root;
    mmu.paging.wp = true;
    mmu.setTranslator(new PageWalker(tables.memory, mmu.paging, null));
    counts = mmu.statistics;
  }

  private void use(TlbGeometry geometry) {
    mmu.setPolicy(TlbPolicy.counted(geometry));
  }

  private void access(long gva, int access) {
    boolean fetch = (access & Access.FETCH) != 0;
    int deny = fetch ? 0 : (access & Access.WRITE) != 0 ? SoftTlb.DENY_STORE : SoftTlb.DENY_LOAD;
    if (SoftTlb.probe(fetch ? mmu.fetch.entries : mmu.data.entries, gva, 0, deny) < 0) {
      mmu.translate(gva, access);
    }
  }

  private void read(long gva) {
    access(gva, Access.READ);
  }

  private void mapPages(int count) {
    for (int i = 0; i < count; i++) {
      tables.map(page(i), 0x1000L * i, ALL);
    }
  }

  private static long page(int i) {
    return 0x40_0000L + 0x1000L * i;
  }

  @Test
  void shouldEvictTheOldestOfTheSet() {
    use(SMALL);
    mapPages(8);
    read(page(0));
    read(page(2));
    read(page(0));
    read(page(4));
    assertThat(counts.dtlbLoadMisses).isEqualTo(3);
    read(page(2));
    assertThat(counts.dtlbLoadL2Hits).as("page 2 is still in the first level").isZero();
    read(page(0));
    assertThat(counts.dtlbLoadL2Hits).as("page 0 went first, although used last").isEqualTo(1);
    read(page(2));
    assertThat(counts.dtlbLoadL2Hits).as("then page 2 went").isEqualTo(2);
    assertThat(counts.dtlbLoadMisses).isEqualTo(3);
    read(page(1));
    assertThat(counts.dtlbLoadMisses).as("odd pages have their own set").isEqualTo(4);
  }

  @Test
  void shouldWalkAgainAfterBothLevelsEvict() {
    use(SMALL);
    mapPages(16);
    for (int i = 0; i < 10; i += 2) {
      read(page(i));
    }
    assertThat(counts.misses()).isEqualTo(5);
    read(page(0));
    assertThat(counts.misses()).as("4 ways held pages 2 to 8").isEqualTo(6);
    assertThat(counts.walksCompleted).isEqualTo(6);
    assertThat(counts.guestReferences).isEqualTo(24);
    assertThat(counts.l2Fills).isEqualTo(6);
  }

  @Test
  void shouldCountNothingForHits() {
    use(TlbGeometry.SKYLAKE);
    mapPages(1);
    for (int i = 0; i < 100; i++) {
      read(page(0) + 8 * i);
      mmu.translate(page(0), Access.READ);
    }
    assertThat(counts.dtlbLoadMisses).isEqualTo(1);
    assertThat(counts.dtlbLoadL2Hits).isZero();
    assertThat(counts.references()).isEqualTo(4);
  }

  @Test
  void shouldWalkOnceMoreForTheFirstWriteToACleanPage() {
    use(TlbGeometry.SKYLAKE.withoutStructures());
    mapPages(1);
    read(page(0));
    access(page(0), Access.WRITE);
    access(page(0), Access.WRITE);
    assertThat(counts.dtlbLoadMisses).isEqualTo(1);
    assertThat(counts.dtlbStoreMisses).isEqualTo(1);
    assertThat(counts.guestReferences).isEqualTo(8);
    assertThat(tables.get(page(0), 1) & PageTables.D).isNotZero();
  }

  @Test
  void shouldCountAFaultingWalkAndKeepNothing() {
    use(TlbGeometry.SKYLAKE.withoutStructures());
    tables.map(page(0), 0, PageTables.P);
    read(page(0));
    assertThat(mmu.translate(page(0), Access.USER)).isEqualTo(Status.FAULT);
    assertThat(counts.walksFaulted).isEqualTo(1);
    assertThat(counts.guestReferences).isEqualTo(8);
    read(page(0));
    assertThat(counts.dtlbLoadMisses).as("the fault dropped the supervisor's entry").isEqualTo(3);
  }

  @Test
  void shouldCountDataAndInstructionsApart() {
    use(TlbGeometry.SKYLAKE);
    mapPages(1);
    access(page(0), Access.FETCH);
    read(page(0));
    assertThat(counts.itlbMisses).isEqualTo(1);
    assertThat(counts.dtlbLoadMisses).isZero();
    assertThat(counts.dtlbLoadL2Hits).as("the second level is shared").isEqualTo(1);
    machine();
    use(TlbGeometry.ZEN2);
    mapPages(1);
    access(page(0), Access.FETCH);
    read(page(0));
    assertThat(counts.dtlbLoadMisses).as("it is not on this processor").isEqualTo(1);
  }

  @Test
  void shouldHoldLargePagesWholeOrInPieces() {
    use(SMALL);
    tables.map(0x4000_0000L, 0, 2, ALL);
    for (int i = 0; i < 8; i++) {
      read(0x4000_0000L + 0x1000 * i);
    }
    assertThat(counts.misses()).isEqualTo(1);
    for (int i = 0; i < 8; i++) {
      access(0x4000_0000L + 0x1000 * i, Access.FETCH);
    }
    assertThat(counts.itlbL2Hits).as("4K pieces in the first level, the whole page in the second").isEqualTo(8);
    assertThat(counts.misses()).isEqualTo(1);
  }

  @Test
  void shouldHoldA4MPageAsTwoHalves() {
    PagingContext c = new PagingContext();
    tables = new PageTables(c, PagingContext.LEGACY);
    mmu = new Mmu(tables.memory);
    mmu.paging.mode = PagingContext.LEGACY;
    mmu.paging.root = c.root;
    mmu.paging.pse = true;
    mmu.setTranslator(new PageWalker(tables.memory, mmu.paging, null));
    counts = mmu.statistics;
    use(TlbGeometry.SKYLAKE);
    tables.map(0x40_0000L, 0, 2, ALL);
    read(0x40_0000L);
    read(0x5F_F000L);
    read(0x60_0000L);
    assertThat(counts.dtlbLoadMisses).isEqualTo(2);
    assertThat(mmu.walk.hpa).isEqualTo(0x20_0000L);
    mmu.invlpg(0x7F_0000L);
    read(0x40_0000L);
    assertThat(counts.dtlbLoadMisses).as("INVLPG drops both").isEqualTo(3);
  }

  @Test
  void shouldCountNothingWithoutPaging() {
    use(TlbGeometry.SKYLAKE);
    mmu.paging.mode = PagingContext.NONE;
    read(0x3000);
    access(0x4000, Access.FETCH);
    assertThat(counts.misses()).isZero();
    assertThat(counts.references()).isZero();
    assertThat(SoftTlb.probe(mmu.data.entries, 0x3000, 0, SoftTlb.DENY_LOAD)).isEqualTo(0x3000);
  }

  @Test
  void shouldWalkForEachDataAccessWithoutATlb() {
    use(TlbGeometry.NONE);
    mapPages(2);
    for (int i = 0; i < 5; i++) {
      read(page(0));
    }
    assertThat(counts.dtlbLoadMisses).isEqualTo(5);
    for (int i = 0; i < 5; i++) {
      access(page(0), Access.FETCH);
    }
    access(page(1), Access.FETCH);
    access(page(0), Access.FETCH);
    assertThat(counts.itlbMisses).as("by change of page").isEqualTo(3);
  }

  @Test
  void shouldTranslateDevicesThroughTheTlbToo() {
    use(TlbGeometry.SKYLAKE);
    tables.map(page(0), 0xFEE0_0000L, ALL);
    assertThat(mmu.translate(page(0) + 4, Access.READ)).isEqualTo(0xFEE0_0004L);
    assertThat(mmu.translate(page(0) + 4, Access.READ)).isEqualTo(0xFEE0_0004L);
    assertThat(counts.dtlbLoadMisses).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({"0x401000,1,shares the PDE", "0x600000,2,shares the PDPTE", "0x40400000,3,shares the PML4E",
      "0x8000400000,4,shares nothing"})
  void shouldShortenWalksByPagingStructureCaches(String near, int references, String why) {
    use(TlbGeometry.SKYLAKE);
    tables.map(page(0), 0, ALL);
    tables.map(Long.decode(near), 0x1000, ALL);
    read(page(0));
    assertThat(counts.guestReferences).isEqualTo(4);
    assertThat(counts.structureCacheHits).isZero();
    read(Long.decode(near));
    assertThat(mmu.walk.hpa).isEqualTo(0x1000);
    assertThat(counts.guestReferences - 4).as(why).isEqualTo(references);
    assertThat(counts.structureCacheHits).isEqualTo(references < 4 ? 1 : 0);
  }

  @Test
  void shouldCombineRightsThroughPagingStructureCaches() {
    use(TlbGeometry.SKYLAKE);
    tables.map(page(0), 0, ALL);
    tables.map(page(1), 0x1000, ALL);
    tables.set(page(0), 3, tables.get(page(0), 3) & ~PageTables.RW);
    read(page(0));
    assertThat(mmu.translate(page(1), Access.WRITE)).isEqualTo(Status.FAULT);
    assertThat(mmu.translate(page(1), Access.READ)).isEqualTo(0x1000);
    assertThat(mmu.walk.rights & Translation.WRITABLE).isZero();
  }

  @Test
  void shouldGiveTheSameCountsForTheSameSeedOfRandomReplacement() {
    mapPages(256);
    List<Long> seen = new ArrayList<>();
    for (long seed : new long[] {1, 1, 2}) {
      mmu.setPolicy(new TlbPolicy.Counted(SMALL.withReplacement(TlbGeometry.Replacement.RANDOM), seed));
      long before = counts.misses();
      for (int i = 0; i < 4000; i++) {
        read(page(i * 7919 % 23));
      }
      seen.add(counts.misses() - before);
    }
    assertThat(seen.get(0)).isEqualTo(seen.get(1)).isNotEqualTo(seen.get(2));
  }

  @Test
  void shouldCopyEveryCounter() throws ReflectiveOperationException {
    TlbStatistics from = new TlbStatistics();
    long n = 1;
    for (var field : TlbStatistics.class.getFields()) {
      field.setLong(from, n++);
    }
    TlbStatistics to = new TlbStatistics();
    to.copyFrom(from);
    assertThat(to).usingRecursiveComparison().isEqualTo(from);
  }

  @Test
  void shouldKeepCountersApartFromTheHypervisorsPort() {
    use(TlbGeometry.SKYLAKE);
    mapPages(1);
    PageWalker port = new PageWalker(tables.memory, mmu.paging, null);
    mmu.usePort(port);
    mmu.translate(page(0), Access.READ);
    mmu.usePort(null);
    assertThat(counts.misses()).isZero();
    read(page(0));
    assertThat(counts.misses()).isEqualTo(1);
  }
}
