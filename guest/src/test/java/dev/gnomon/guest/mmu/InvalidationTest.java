package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Which translations survive what: a page is changed in memory behind the processor's back, and the old one shows until
 * the SDM says that it must go. Under the counted and the stale policy the old one must show; under the others it may
 * not outlive its invalidation.
 */
class InvalidationTest {
  private static final long ALL = PageTables.P | PageTables.RW | PageTables.US | PageTables.A | PageTables.D;
  private static final long GVA = 0x40_0000L;
  private static final long OLD = 0x1_0000L;
  private static final long NEW = 0x2_0000L;

  /** Policies that keep a translation across everything that the SDM lets it survive. */
  enum Keeping {
    COUNTED(TlbPolicy.counted(TlbGeometry.SKYLAKE)), COUNTED_UNIFIED(TlbPolicy.counted(TlbGeometry.ZEN2)),
    STALE(TlbPolicy.STALE);

    final TlbPolicy policy;

    Keeping(TlbPolicy policy) {
      this.policy = policy;
    }
  }

  /** All policies. */
  enum Any {
    COUNTED(TlbPolicy.counted(TlbGeometry.SKYLAKE)), NO_TLB(TlbPolicy.counted(TlbGeometry.NONE)),
    UNCOUNTED(TlbPolicy.UNCOUNTED), STALE(TlbPolicy.STALE), FORGETFUL(TlbPolicy.FORGETFUL);

    final TlbPolicy policy;

    Any(TlbPolicy policy) {
      this.policy = policy;
    }
  }

  private PageTables tables;
  private Mmu mmu;

  @BeforeEach
  void machine() {
    PagingContext c = new PagingContext();
    tables = PageTables.longMode(c);
    mmu = new Mmu(tables.memory);
    mmu.paging.mode = PagingContext.LONG4;
    mmu.paging.root = c.root;
    mmu.paging.wp = true;
    mmu.paging.nxe = true;
    mmu.paging.pge = true;
    mmu.setTranslator(new PageWalker(tables.memory, mmu.paging, null));
  }

  private long read(long gva) {
    int offset = SoftTlb.probe(mmu.data.entries, gva, 0, SoftTlb.DENY_LOAD);
    return offset >= 0 ? offset : mmu.translate(gva, mmu.dataAccess);
  }

  private long fetch(long gva) {
    int offset = SoftTlb.probe(mmu.fetch.entries, gva, 0, 0);
    return offset >= 0 ? offset : mmu.translate(gva, Access.FETCH | mmu.dataAccess & Access.USER);
  }

  /** Caches the old page for data and fetches, then changes the entry. */
  private void cacheThenChange(long flags) {
    tables.map(GVA, OLD, ALL | flags);
    assertThat(read(GVA)).isEqualTo(OLD);
    assertThat(fetch(GVA)).isEqualTo(OLD);
    tables.map(GVA, NEW, ALL | flags);
  }

  private void expect(long page) {
    assertThat(read(GVA)).as("data").isEqualTo(page);
    assertThat(fetch(GVA)).as("fetch").isEqualTo(page);
  }

  @ParameterizedTest
  @EnumSource
  void shouldKeepATranslationWithoutInvalidation(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    cacheThenChange(0);
    mmu.softFlush();
    expect(OLD);
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropThePageOnInvlpg(Any any) {
    mmu.setPolicy(any.policy);
    cacheThenChange(PageTables.G);
    mmu.invlpg(GVA + 0x800);
    expect(NEW);
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropNonGlobalPagesOnMovToCr3(Any any) {
    mmu.setPolicy(any.policy);
    cacheThenChange(0);
    mmu.flushPcid(0);
    expect(NEW);
  }

  @ParameterizedTest
  @EnumSource
  void shouldKeepGlobalPagesOnMovToCr3(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    cacheThenChange(PageTables.G);
    mmu.flushPcid(0);
    mmu.flushNonGlobal();
    mmu.invpcid(Mmu.SINGLE_CONTEXT, 0, 0);
    mmu.invpcid(Mmu.RETAIN_GLOBALS, 0, 0);
    mmu.invpcid(Mmu.INDIVIDUAL_ADDRESS, 0, GVA);
    expect(OLD);
    mmu.flushAll();
    expect(NEW);
  }

  @ParameterizedTest
  @EnumSource
  void shouldUseGlobalPagesInEveryPcid(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    cacheThenChange(PageTables.G);
    mmu.paging.pcid = 5;
    mmu.softFlush();
    expect(OLD);
    mmu.invlpg(GVA);
    expect(NEW);
  }

  @ParameterizedTest
  @EnumSource
  void shouldKeepOtherPcidsAcrossACr3Write(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    mmu.paging.pcid = 1;
    cacheThenChange(0);
    mmu.paging.pcid = 2;
    mmu.flushPcid(2);
    expect(NEW);
    mmu.invlpg(GVA);
    mmu.paging.pcid = 1;
    mmu.softFlush();
    expect(OLD);
    mmu.flushPcid(1);
    expect(NEW);
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropByEachInvpcidType(Any any) {
    mmu.setPolicy(any.policy);
    for (int type = 0; type < 4; type++) {
      mmu.flushAll();
      cacheThenChange(0);
      mmu.invpcid(type, 0, GVA);
      expect(NEW);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldKeepAnotherPcidThroughInvpcidOfOne(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    mmu.paging.pcid = 1;
    cacheThenChange(0);
    mmu.invpcid(Mmu.SINGLE_CONTEXT, 2, 0);
    mmu.invpcid(Mmu.INDIVIDUAL_ADDRESS, 2, GVA);
    expect(OLD);
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropEveryPieceOfALargePageOnInvlpg(Any any) {
    mmu.setPolicy(any.policy);
    long large = 0x4000_0000L;
    tables.map(large, 0, 2, ALL);
    long[] pieces = {0, 0x1000, 0x7000, 0x1F_F000};
    for (long piece : pieces) {
      assertThat(read(large + piece)).isEqualTo(piece);
      assertThat(fetch(large + piece)).isEqualTo(piece);
    }
    tables.set(large, 2, 0x20_0000L | ALL | PageTables.PS);
    mmu.invlpg(large + 0x5123);
    for (long piece : pieces) {
      assertThat(read(large + piece)).isEqualTo(0x20_0000L + piece);
      assertThat(fetch(large + piece)).isEqualTo(0x20_0000L + piece);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropEveryPieceOfAGigabytePageOnInvlpg(Any any) {
    mmu.setPolicy(any.policy);
    long large = 0x4000_0000L;
    tables.map(large, 0, 3, ALL);
    read(large + 0x1000);
    fetch(large + 0x2000);
    read(large + 0x20_1000);
    fetch(large + 0x30_0000);
    tables.set(large, 3, 0);
    mmu.invlpg(large + 0x3000_0000L);
    assertThat(read(large + 0x1000)).isEqualTo(Status.FAULT);
    assertThat(fetch(large + 0x2000)).isEqualTo(Status.FAULT);
    assertThat(read(large + 0x20_1000)).isEqualTo(Status.FAULT);
    assertThat(fetch(large + 0x30_0000)).isEqualTo(Status.FAULT);
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropTheAddressOfAPageFault(Any any) {
    mmu.setPolicy(any.policy);
    tables.map(GVA, OLD, PageTables.P | PageTables.US | PageTables.A);
    assertThat(read(GVA)).isEqualTo(OLD);
    tables.map(GVA, NEW, ALL);
    long first = mmu.translate(GVA, mmu.dataAccess | Access.WRITE);
    if (any == Any.STALE) {
      assertThat(first).as("the stale entry refuses").isEqualTo(Status.FAULT);
      assertThat(mmu.walk.errorCode).isEqualTo(PageFaultCode.P | PageFaultCode.W);
      first = mmu.translate(GVA, mmu.dataAccess | Access.WRITE);
    }
    assertThat(first).isEqualTo(NEW);
    assertThat(read(GVA)).isEqualTo(NEW);
  }

  @Test
  void shouldCacheNothingWhenForgetful() {
    mmu.setPolicy(TlbPolicy.FORGETFUL);
    cacheThenChange(PageTables.G);
    expect(NEW);
    int generation = mmu.fetchGeneration;
    read(GVA);
    assertThat(mmu.fetchGeneration).as("a remembered fetch is looked up again").isNotEqualTo(generation);
  }

  @Test
  void shouldKeepStalePagingStructuresUntilInvalidated() {
    mmu.setPolicy(TlbPolicy.STALE);
    tables.map(GVA, OLD, ALL);
    tables.map(GVA + 0x1000, OLD + 0x1000, ALL);
    read(GVA);
    long pde = tables.get(GVA, 2);
    tables.set(GVA, 2, 0);
    assertThat(read(GVA + 0x1000)).as("through the cached PDE").isEqualTo(OLD + 0x1000);
    mmu.invlpg(0x7000_0000L);
    assertThat(read(GVA + 0x2000)).as("INVLPG drops all of the PCID's paging-structure caches").isEqualTo(Status.FAULT);
    tables.set(GVA, 2, pde);
    assertThat(read(GVA + 0x1000)).isEqualTo(OLD + 0x1000);
  }

  @Test
  void shouldNotFaultFromAStalePagingStructureUnderTheCountedPolicy() {
    mmu.setPolicy(TlbPolicy.counted(TlbGeometry.SKYLAKE));
    tables.map(GVA, OLD, ALL);
    read(GVA);
    long table = tables.get(GVA, 2);
    // The PDE leads to another table now, where the second page is present; the cached one leads to where it is not.
    long other = tables.table();
    tables.memory.write64(other + 8, NEW | ALL);
    tables.set(GVA, 2, table & 0xFFF | other);
    assertThat(read(GVA + 0x1000)).isEqualTo(NEW);
  }

  // Tags of the hypervisor.

  @ParameterizedTest
  @EnumSource
  void shouldKeepTranslationsOfAnotherVpid(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    mmu.setTags(1, 0);
    cacheThenChange(PageTables.G);
    mmu.setTags(2, 0);
    expect(NEW);
    mmu.flushAll();
    mmu.setTags(1, 0);
    expect(OLD);
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropByEachInvvpidType(Any any) {
    mmu.setPolicy(any.policy);
    mmu.setTags(3, 0);
    for (int type = 0; type < 4; type++) {
      mmu.flushAll();
      cacheThenChange(0);
      assertThat(mmu.invvpid(type, 3, GVA)).isTrue();
      expect(NEW);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldKeepWhatInvvpidDoesNotName(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    mmu.setTags(3, 0);
    cacheThenChange(PageTables.G);
    mmu.invvpid(Mmu.INDIVIDUAL_ADDRESS, 4, GVA);
    mmu.invvpid(Mmu.SINGLE_CONTEXT, 4, 0);
    mmu.invvpid(Mmu.RETAIN_GLOBALS, 3, 0);
    mmu.invept(2, 0);
    mmu.vmTransition();
    expect(OLD);
    mmu.invvpid(Mmu.SINGLE_CONTEXT, 3, 0);
    expect(NEW);
  }

  @ParameterizedTest
  @EnumSource
  void shouldKeepVpid0OnInvvpidOfAllAndDropItOnTransition(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    cacheThenChange(PageTables.G);
    mmu.invvpid(Mmu.ALL_CONTEXTS, 0, 0);
    expect(OLD);
    mmu.vmTransition();
    expect(NEW);
  }

  @Test
  void shouldFailInvvpidAndInveptOnBadOperands() {
    assertThat(mmu.invvpid(4, 1, 0)).isFalse();
    assertThat(mmu.invvpid(-1, 1, 0)).isFalse();
    assertThat(mmu.invvpid(Mmu.INDIVIDUAL_ADDRESS, 1, 1L << 50)).isFalse();
    assertThat(mmu.invvpid(Mmu.SINGLE_CONTEXT, 0, 0)).isFalse();
    assertThat(mmu.invvpid(Mmu.SINGLE_CONTEXT, 0x1_0000, 0)).isFalse();
    assertThat(mmu.invept(0, 0)).isFalse();
    assertThat(mmu.invept(3, 0)).isFalse();
  }

  @ParameterizedTest
  @EnumSource
  void shouldDropCombinedMappingsByInvept(Keeping keeping) {
    mmu.setPolicy(keeping.policy);
    mmu.setTags(1, 0x8000);
    cacheThenChange(PageTables.G);
    mmu.setTags(1, 0x9000);
    expect(NEW);
    tables.map(GVA, OLD, ALL);
    assertThat(mmu.invept(1, 0x9000)).isTrue();
    expect(OLD);
    tables.map(GVA, NEW, ALL);
    mmu.setTags(1, 0x8000);
    expect(OLD);
    assertThat(mmu.invept(2, 0)).isTrue();
    expect(NEW);
  }
}
