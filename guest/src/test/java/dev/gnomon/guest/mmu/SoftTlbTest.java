package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.memory.HostMemory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SoftTlbTest {
  private final SoftTlb tlb = new SoftTlb();

  @ParameterizedTest
  @ValueSource(longs = {0, 0x1000, 0xFFF_FFFFL, 0x1000_0000L, 0x7FFF_FFFF_FFFFL, 0xFFFF_8000_0000_0000L, -1L})
  void shouldBeEmptyForEveryAddressWhateverIsDenied(long gva) {
    for (int deny : new int[] {0, SoftTlb.DENY_LOAD, SoftTlb.DENY_STORE}) {
      assertThat(SoftTlb.probe(tlb.entries, gva & ~7, 0, deny)).isNegative();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 0x1000, 0xFFF_F000L, 0x1234_5000L, 0xFFFF_8000_0000_0000L, 0xFFFF_FFFF_FFFF_F000L})
  void shouldGiveTheOffsetOfWhatWasFilled(long gva) {
    tlb.fill(gva, 0x7FF_F000, 0);
    assertThat(SoftTlb.probe(tlb.entries, gva | 0xFF8, 7, SoftTlb.DENY_STORE)).isEqualTo(0x7FF_FFF8);
    assertThat(SoftTlb.probe(tlb.entries, gva | 0xFF9, 7, 0)).as("misaligned").isNegative();
    assertThat(SoftTlb.probe(tlb.entries, gva ^ 0x1000, 0, 0)).as("another page").isNegative();
    assertThat(SoftTlb.probe(tlb.entries, gva ^ 0x1000_1000L, 0, 0)).as("another page of the same slot").isNegative();
  }

  @Test
  void shouldReachTheLastFrameOf2GiB() {
    tlb.fill(0x5000, Integer.MAX_VALUE & -4096, 0);
    assertThat(SoftTlb.probe(tlb.entries, 0x5FFF, 0, 0)).isEqualTo(Integer.MAX_VALUE);
  }

  @Test
  void shouldDenyWhatItIsToldToDeny() {
    tlb.fill(0x5000, 0x3000, SoftTlb.DENY_STORE);
    assertThat(SoftTlb.probe(tlb.entries, 0x5000, 0, SoftTlb.DENY_LOAD)).isEqualTo(0x3000);
    assertThat(SoftTlb.probe(tlb.entries, 0x5000, 0, SoftTlb.DENY_STORE)).isNegative();
  }

  @Test
  void shouldTellWhetherAPageWasDisplacedOrDropped() {
    assertThat(tlb.fill(0x5000, 0x3000, 0)).isFalse();
    assertThat(tlb.fill(0x5000, 0x4000, 0)).as("the same page again").isFalse();
    assertThat(tlb.drop(0x1000_4000L)).as("another page of the same slot").isFalse();
    assertThat(tlb.fill(0x1000_4000L, 0x3000, 0)).isTrue();
    assertThat(tlb.drop(0x5000)).isFalse();
    assertThat(tlb.drop(0x1000_4000L)).isTrue();
    assertThat(SoftTlb.probe(tlb.entries, 0x1000_4000L, 0, 0)).isNegative();
  }

  @ParameterizedTest
  @ValueSource(ints = {10, 4096, 4097, 60_000})
  void shouldForgetEverythingOnFlushAndDenyStoresByFrame(int pages) {
    for (int i = 0; i < pages; i++) {
      tlb.fill(0x1000L * i, 0x1000 * (i % 3), 0);
    }
    tlb.denyStores(0x1000);
    for (int i = 0; i < pages; i++) {
      assertThat(SoftTlb.probe(tlb.entries, 0x1000L * i, 0, SoftTlb.DENY_STORE) < 0).isEqualTo(i % 3 == 1);
      assertThat(SoftTlb.probe(tlb.entries, 0x1000L * i, 0, SoftTlb.DENY_LOAD)).isEqualTo(0x1000 * (i % 3));
    }
    tlb.flush();
    for (int i = 0; i < pages; i++) {
      assertThat(SoftTlb.probe(tlb.entries, 0x1000L * i, 0, 0)).isNegative();
    }
  }

  @Test
  void shouldMakeRoomForALargePageByDroppingAnothersPieces() {
    SoftTlbGroup group = new SoftTlbGroup(tlb);
    long first = 0x4000_0000L;
    long second = first + (1L << 31);
    group.record(first + 0x3000, 21);
    tlb.fill(first + 0x3000, 0x3000, 0);
    group.record(second + 0x7000, 21);
    tlb.fill(second + 0x7000, 0x7000, 0);
    assertThat(SoftTlb.probe(tlb.entries, first + 0x3000, 0, 0)).isNegative();
    assertThat(SoftTlb.probe(tlb.entries, second + 0x7000, 0, 0)).isEqualTo(0x7000);
    assertThat(group.dropPage(second)).isTrue();
    assertThat(SoftTlb.probe(tlb.entries, second + 0x7000, 0, 0)).isNegative();
  }

  @Test
  void shouldKeepUserSupervisorAndAcApart() {
    PagingContext c = new PagingContext();
    PageTables tables = PageTables.longMode(c);
    Mmu mmu = new Mmu(tables.memory);
    mmu.paging.mode = PagingContext.LONG4;
    mmu.paging.root = c.root;
    mmu.paging.smap = true;
    mmu.paging.wp = true;
    mmu.setTranslator(new PageWalker(tables.memory, mmu.paging, null));
    tables.map(0x5000, 0x6000, PageTables.P | PageTables.RW | PageTables.US);
    mmu.select(false, true);
    assertThat(mmu.translate(0x5000, mmu.dataAccess | Access.WRITE)).isEqualTo(0x6000);
    assertThat(SoftTlb.probe(mmu.data.entries, 0x5000, 0, SoftTlb.DENY_STORE)).isEqualTo(0x6000);
    mmu.select(false, false);
    assertThat(SoftTlb.probe(mmu.data.entries, 0x5000, 0, SoftTlb.DENY_LOAD)).isNegative();
    assertThat(mmu.translate(0x5000, mmu.dataAccess)).isEqualTo(Status.FAULT);
    mmu.select(true, false);
    assertThat(mmu.translate(0x5000, mmu.dataAccess)).isEqualTo(0x6000);
    mmu.select(false, true);
    long implicit = mmu.translate(0x5000, mmu.dataAccess | Access.IMPLICIT);
    assertThat(implicit).as("AC does not help an implicit access").isEqualTo(Status.FAULT);
  }

  @Test
  void shouldNeverStoreFastToAFlaggedFrameOrWithoutRights() {
    PagingContext c = new PagingContext();
    PageTables tables = PageTables.longMode(c);
    Mmu mmu = new Mmu(tables.memory);
    mmu.paging.mode = PagingContext.LONG4;
    mmu.paging.root = c.root;
    mmu.setTranslator(new PageWalker(tables.memory, mmu.paging, null));
    tables.map(0x5000, 0x6000, PageTables.P | PageTables.RW);
    tables.map(0x7000, 0x8000, PageTables.P | PageTables.RW);
    tables.map(0x9000, 0xA000, PageTables.P);
    tables.memory.setFrameFlags(6, HostMemory.FRAME_WATCHED);
    mmu.translate(0x5000, Access.WRITE);
    mmu.translate(0x7000, Access.READ);
    mmu.translate(0x9000, Access.WRITE);
    assertThat(SoftTlb.probe(mmu.data.entries, 0x5000, 0, SoftTlb.DENY_STORE)).as("watched").isNegative();
    assertThat(SoftTlb.probe(mmu.data.entries, 0x5000, 0, SoftTlb.DENY_LOAD)).isEqualTo(0x6000);
    assertThat(SoftTlb.probe(mmu.data.entries, 0x7000, 0, SoftTlb.DENY_STORE)).as("D is clear").isNegative();
    assertThat(SoftTlb.probe(mmu.data.entries, 0x9000, 0, SoftTlb.DENY_STORE)).as("WP is off").isEqualTo(0xA000);
    mmu.denyStores(0xA000);
    assertThat(SoftTlb.probe(mmu.data.entries, 0x9000, 0, SoftTlb.DENY_STORE)).isNegative();
    mmu.paging.wp = true;
    mmu.softFlush();
    mmu.translate(0x9000, Access.READ);
    assertThat(SoftTlb.probe(mmu.data.entries, 0x9000, 0, SoftTlb.DENY_STORE)).as("WP is on").isNegative();
  }
}
