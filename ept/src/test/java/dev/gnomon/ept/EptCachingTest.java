package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** SDM vol. 3C, "Caching Translation Information": what stays, and what takes it away. */
class EptCachingTest {
  private static final @Gpa long GPA = 0x1_2345_6788L;
  private static final @Hpa long PAGE = HostMemory.VM_DRAM_BASE;

  enum Cache {
    SOFT, COUNTED;

    EptWalker walker(EptFixture tables, boolean accessedDirty) {
      return tables.walker(EptCapabilities.ALL, accessedDirty, this == COUNTED ? new NestedTlb() : null, true);
    }
  }

  private final EptFixture tables = new EptFixture();

  @ParameterizedTest
  @EnumSource(Cache.class)
  void shouldKeepMappingUntilInvept(Cache cache) {
    for (int shift : EptFixture.SHIFTS) {
      EptWalker walker = cache.walker(tables, false);
      @Gpa long gpa = (long) shift << 33;
      tables.map(gpa, PAGE, shift);
      long before = tables.translate(walker, gpa, Access.READ);
      tables.put(gpa, EptEntry.level(shift), 0);
      assertThat(tables.translate(walker, gpa, Access.READ)).as("stale").isEqualTo(before);
      walker.inveptSingle(walker.eptPointer() + 0x1000);
      assertThat(tables.translate(walker, gpa, Access.READ)).as("another EP4TA").isEqualTo(before);
      walker.inveptSingle(walker.eptPointer());
      assertThat(tables.translate(walker, gpa, Access.READ)).isEqualTo(Status.EXIT);
      tables.map(gpa, PAGE, shift);
      tables.translate(walker, gpa, Access.READ);
      tables.put(gpa, EptEntry.level(shift), 0);
      walker.inveptGlobal();
      assertThat(tables.translate(walker, gpa, Access.READ)).isEqualTo(Status.EXIT);
    }
  }

  @ParameterizedTest
  @EnumSource(Cache.class)
  void shouldCacheNothingFromEntriesNotPresentOrMisconfigured(Cache cache) {
    EptWalker walker = cache.walker(tables, false);
    assertThat(tables.translate(walker, GPA, Access.READ)).isEqualTo(Status.EXIT);
    tables.map(GPA, PAGE, EptEntry.SHIFT_4K);
    assertThat(tables.translate(walker, GPA, Access.READ)).isEqualTo(PAGE + 0x788);
    walker.inveptGlobal();
    tables.put(GPA, 1, MmioMarker.of(GPA, 1));
    assertThat(tables.translate(walker, GPA, Access.READ)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
    tables.map(GPA, PAGE, EptEntry.SHIFT_4K);
    assertThat(tables.translate(walker, GPA, Access.READ)).isEqualTo(PAGE + 0x788);
  }

  @ParameterizedTest
  @EnumSource(Cache.class)
  void shouldUseWiderRightsWithoutInvept(Cache cache) {
    EptWalker walker = cache.walker(tables, false);
    tables.map(GPA, PAGE, EptEntry.SHIFT_4K);
    tables.change(GPA, 1, EptEntry.WRITE, 0);
    assertThat(tables.translate(walker, GPA, Access.READ)).isPositive();
    tables.change(GPA, 1, 0, EptEntry.WRITE);
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isEqualTo(PAGE + 0x788);
  }

  @ParameterizedTest
  @ValueSource(ints = {Access.WRITE, Access.FETCH})
  void shouldCauseOneSpuriousViolationAtMostWhenCachedRightsAreReported(int access) {
    EptWalker walker = tables.walker(EptCapabilities.ALL, true,
        new NestedTlb(16, 4, NestedTlb.Option.REPORT_CACHED_RIGHTS), true);
    tables.map(GPA, PAGE, EptEntry.SHIFT_2M);
    tables.change(GPA, 2, EptEntry.WRITE | EptEntry.EXECUTE, 0);
    tables.translate(walker, GPA, Access.READ);
    tables.change(GPA, 2, 0, EptEntry.WRITE | EptEntry.EXECUTE);
    assertThat(tables.translate(walker, GPA, access)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
    assertThat(tables.out.exitQualification & 0x38).isEqualTo(EptViolation.PROT_READ);
    assertThat(tables.out.references).as("answered by the cache").isZero();
    assertThat(tables.translate(walker, GPA, access)).isPositive();
  }

  @ParameterizedTest
  @EnumSource(Cache.class)
  void shouldDropMappingOfAddressOnViolation(Cache cache) {
    EptWalker walker = cache.walker(tables, false);
    tables.map(GPA, PAGE, EptEntry.SHIFT_4K);
    tables.change(GPA, 1, EptEntry.WRITE, 0);
    tables.map(GPA + 0x1000, PAGE, EptEntry.SHIFT_4K);
    tables.translate(walker, GPA, Access.READ);
    tables.translate(walker, GPA + 0x1000, Access.READ);
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isEqualTo(Status.EXIT);
    tables.put(GPA, 1, 0);
    tables.put(GPA + 0x1000, 1, 0);
    assertThat(tables.translate(walker, GPA, Access.READ)).as("no longer cached").isEqualTo(Status.EXIT);
    assertThat(tables.translate(walker, GPA + 0x1000, Access.READ)).as("another page stays").isEqualTo(PAGE + 0x788);
  }

  @ParameterizedTest
  @EnumSource(Cache.class)
  void shouldSetDirtyWhenWritingThroughMappingCachedByRead(Cache cache) {
    EptWalker walker = cache.walker(tables, true);
    tables.map(GPA, PAGE, EptEntry.SHIFT_1G);
    tables.translate(walker, GPA, Access.READ);
    assertThat(tables.get(GPA, 3) & EptEntry.DIRTY).isZero();
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(tables.get(GPA, 3) & EptEntry.DIRTY).isNotZero();
    tables.change(GPA, 3, EptEntry.DIRTY, 0);
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(tables.get(GPA, 3) & EptEntry.DIRTY).as("cleared without INVEPT").isZero();
    walker.inveptGlobal();
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(tables.get(GPA, 3) & EptEntry.DIRTY).isNotZero();
  }

  @Test
  void shouldAddReferencesOfTheWalkOnSoftHit() {
    EptWalker walker = Cache.SOFT.walker(tables, false);
    int expected = 4;
    for (int shift : EptFixture.SHIFTS) {
      @Gpa long gpa = (long) shift << 33;
      tables.map(gpa, PAGE, shift);
      for (int i = 0; i < 3; i++) {
        tables.translate(walker, gpa, SecondStage.TABLE);
        assertThat(tables.out.references).isEqualTo(expected);
      }
      expected--;
    }
  }

  @Test
  void shouldAddNoReferenceOnCountedHitUnlessAskedTo() {
    tables.map(GPA, PAGE, EptEntry.SHIFT_4K);
    EptWalker walker = Cache.COUNTED.walker(tables, false);
    tables.translate(walker, GPA, Access.READ);
    assertThat(tables.out.references).isEqualTo(4);
    tables.translate(walker, GPA, Access.READ);
    assertThat(tables.out.references).isZero();
    tables.translate(walker, GPA, SecondStage.TABLE | SecondStage.TABLE_UPDATE | Access.WRITE);
    assertThat(walker.nestedTlb().hits()).as("the update is no access of its own").isEqualTo(1);
    assertThat(walker.nestedTlb().misses()).isEqualTo(1);
    EptWalker counting = tables.walker(EptCapabilities.ALL, false,
        new NestedTlb(64, 4, NestedTlb.Option.COUNT_HIT_REFERENCES), true);
    tables.translate(counting, GPA, Access.READ);
    tables.translate(counting, GPA, Access.READ);
    assertThat(tables.out.references).isEqualTo(4);
  }

  @Test
  void shouldReplaceFirstInFirstOutWithinSet() {
    EptWalker walker = tables.walker(EptCapabilities.ALL, false, new NestedTlb(8, 2), false);
    long stride = 4 * 4096;
    for (int i = 0; i < 3; i++) {
      tables.map(i * stride, PAGE, EptEntry.SHIFT_4K);
    }
    tables.translate(walker, 0, Access.READ);
    tables.translate(walker, stride, Access.READ);
    tables.translate(walker, 0, Access.READ);
    assertThat(walker.nestedTlb().hits()).isEqualTo(1);
    tables.translate(walker, 2 * stride, Access.READ);
    tables.translate(walker, stride, Access.READ);
    assertThat(walker.nestedTlb().hits()).as("the hit did not keep the first in").isEqualTo(2);
    tables.translate(walker, 0, Access.READ);
    assertThat(walker.nestedTlb().misses()).isEqualTo(4);
  }

  @Test
  void shouldCacheTableAccessesOnlyWhenAskedTo() {
    EptWalker walker = tables.walker(EptCapabilities.ALL, false, new NestedTlb(64, 4, NestedTlb.Option.TABLES_ONLY),
        false);
    tables.map(GPA, PAGE, EptEntry.SHIFT_4K);
    for (int i = 0; i < 2; i++) {
      tables.translate(walker, GPA, Access.READ);
      assertThat(tables.out.references).isEqualTo(4);
    }
    tables.translate(walker, GPA, SecondStage.TABLE);
    tables.translate(walker, GPA, SecondStage.TABLE);
    assertThat(tables.out.references).isZero();
  }

  @Test
  void shouldTagCountedMappingsByEp4ta() {
    EptWalker walker = Cache.COUNTED.walker(tables, false);
    long first = walker.eptPointer();
    tables.map(GPA, PAGE, EptEntry.SHIFT_4K);
    tables.translate(walker, GPA, Access.READ);
    walker.setEptPointer(EptPointer.of(tables.frames.allocate(), false));
    assertThat(tables.translate(walker, GPA, Access.READ)).as("other tables").isEqualTo(Status.EXIT);
    walker.setEptPointer(first);
    tables.put(GPA, 1, 0);
    assertThat(tables.translate(walker, GPA, Access.READ)).as("kept meanwhile").isEqualTo(PAGE + 0x788);
  }

  @Test
  void shouldForgetSoftMappingsWhenAnotherPointerIsLoaded() {
    EptWalker walker = Cache.SOFT.walker(tables, false);
    tables.map(GPA, PAGE, EptEntry.SHIFT_2M);
    tables.translate(walker, GPA, Access.READ);
    walker.setEptPointer(EptPointer.of(tables.frames.allocate(), false));
    assertThat(tables.translate(walker, GPA, Access.READ)).isEqualTo(Status.EXIT);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0,1", "4,0", "48,16", "65,4", "24,4", "131072,4", "-8,2"})
  void shouldRejectImpossibleGeometry(String geometry) {
    int entries = Integer.parseInt(geometry.split(",")[0]);
    int ways = Integer.parseInt(geometry.split(",")[1]);
    assertThatThrownBy(() -> new NestedTlb(entries, ways)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("power of two");
  }
}
