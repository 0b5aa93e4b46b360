package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** SDM vol. 3C, "Accessed and Dirty Flags for EPT". */
class EptAccessedDirtyTest {
  private static final @Gpa long GPA = 0x1_2345_6788L;
  private static final int TABLE_UPDATE = SecondStage.TABLE | SecondStage.TABLE_UPDATE | Access.WRITE;

  record Row(int shift, String kind, int access, boolean dirties) {}

  static Stream<Row> rows() {
    return IntStream.of(EptFixture.SHIFTS).boxed().flatMap(shift -> Stream.of(
        new Row(shift, "read", Access.READ, false),
        new Row(shift, "write", Access.WRITE, true),
        new Row(shift, "fetch", Access.FETCH, false),
        new Row(shift, "table walk", SecondStage.TABLE, true),
        new Row(shift, "table update", TABLE_UPDATE, true),
        new Row(shift, "PDPTE load", SecondStage.TABLE | SecondStage.NO_LINEAR, false)));
  }

  @ParameterizedTest
  @MethodSource("rows")
  void shouldSetAccessedEverywhereAndDirtyInTheLeafOfWrites(Row row) {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, row.shift);
    tables.translate(tables.walker(EptCapabilities.ALL, true), GPA, row.access);
    for (int level = EptEntry.LEVELS; level > EptEntry.level(row.shift); level--) {
      assertThat(flags(tables, level)).isEqualTo(EptEntry.ACCESSED);
    }
    assertThat(flags(tables, EptEntry.level(row.shift)))
        .isEqualTo(EptEntry.ACCESSED | (row.dirties ? EptEntry.DIRTY : 0));
    assertThat((tables.out.rights & Translation.DIRTY) != 0).isEqualTo(row.dirties);
  }

  @ParameterizedTest
  @MethodSource("rows")
  void shouldSetNothingWhenTheFlagsAreOff(Row row) {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, row.shift);
    tables.translate(tables.walker(EptCapabilities.ALL, false), GPA, row.access);
    for (int level = EptEntry.LEVELS; level >= EptEntry.level(row.shift); level--) {
      assertThat(flags(tables, level)).isZero();
    }
    assertThat(tables.out.rights & Translation.DIRTY).as("a write needs no further walk").isNotZero();
  }

  @ParameterizedTest
  @MethodSource("rows")
  void shouldLeaveFlagsThatAreSet(Row row) {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, row.shift);
    tables.change(GPA, EptEntry.level(row.shift), 0, EptEntry.ACCESSED | EptEntry.DIRTY);
    tables.translate(tables.walker(EptCapabilities.ALL, true), GPA, row.access);
    assertThat(flags(tables, EptEntry.level(row.shift))).isEqualTo(EptEntry.ACCESSED | EptEntry.DIRTY);
    assertThat(tables.out.rights & Translation.DIRTY).isNotZero();
  }

  @Test
  void shouldNeedWriteRightForGuestTablesOnlyWhenTheFlagsAreOn() {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, EptEntry.SHIFT_4K);
    tables.change(GPA, 1, EptEntry.WRITE, 0);
    assertThat(tables.translate(tables.walker(EptCapabilities.ALL, false), GPA, SecondStage.TABLE)).isPositive();
    assertThat(tables.translate(tables.walker(EptCapabilities.ALL, false), GPA, TABLE_UPDATE)).isEqualTo(Status.EXIT);
    assertThat(tables.translate(tables.walker(EptCapabilities.ALL, true), GPA, SecondStage.TABLE))
        .isEqualTo(Status.EXIT);
    assertThat(tables.translate(tables.walker(EptCapabilities.ALL, true), GPA, SecondStage.TABLE
        | SecondStage.NO_LINEAR)).isPositive();
  }

  @Test
  void shouldCountNoReferencesForTheUpdateOfAnEntryInHand() {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, EptEntry.SHIFT_4K);
    EptWalker walker = tables.walker(EptCapabilities.ALL, false);
    tables.translate(walker, GPA, TABLE_UPDATE);
    assertThat(tables.out.references).isZero();
    tables.translate(walker, GPA, SecondStage.TABLE);
    assertThat(tables.out.references).isEqualTo(4);
  }

  @Test
  void shouldSetFlagsThroughTheWriteSeam() {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, EptEntry.SHIFT_2M);
    int[] heard = {0};
    for (int frame = 0; frame < tables.memory.frames(); frame++) {
      tables.memory.setFrameFlags(frame, HostMemory.FRAME_WATCHED);
    }
    tables.memory.setWriteListener((offset, size) -> heard[0]++);
    EptWalker walker = tables.walker(EptCapabilities.ALL, true);
    tables.translate(walker, GPA, Access.READ);
    assertThat(heard[0]).as("three entries").isEqualTo(3);
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(heard[0]).as("and D").isEqualTo(4);
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(heard[0]).as("nothing is left to set").isEqualTo(4);
  }

  @Test
  void shouldWalkAgainWhenAnEntryChangesBeforeItsFlagIsSet() {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, EptEntry.SHIFT_4K);
    for (int frame = 0; frame < tables.memory.frames(); frame++) {
      tables.memory.setFrameFlags(frame, HostMemory.FRAME_WATCHED);
    }
    boolean[] changed = {false};
    tables.memory.setWriteListener((offset, size) -> {
      if (!changed[0]) {
        changed[0] = true;
        tables.map(GPA, HostMemory.VM_DRAM_BASE + 0x3000, EptEntry.SHIFT_4K);
        tables.change(GPA, 4, 0, EptEntry.SUPPRESS_VE);
      }
    });
    long hpa = tables.translate(tables.walker(EptCapabilities.ALL, true), GPA, Access.WRITE);
    assertThat(hpa).isEqualTo(HostMemory.VM_DRAM_BASE + 0x3788);
    assertThat(flags(tables, 1)).isEqualTo(EptEntry.ACCESSED | EptEntry.DIRTY);
    assertThat(tables.out.references).isEqualTo(4);
  }

  @ParameterizedTest
  @MethodSource("rows")
  void shouldPeekWithTheSameResultAndNoEffect(Row row) {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, row.shift);
    EptWalker walker = tables.walker(EptCapabilities.ALL, true, new NestedTlb(), false);
    StringBuilder steps = new StringBuilder();
    Translation peeked = new Translation();
    long hpa = walker.peek(GPA, 0, row.access, peeked, (dimension, level, entryGpa, entryHpa, entry) -> {
      assertThat(entryGpa).isEqualTo(GPA);
      assertThat(tables.memory.read64(entryHpa)).isEqualTo(entry);
      steps.append(dimension).append(level).append(' ');
    });
    assertThat(steps.toString().trim()).isEqualTo("EPT4 EPT3 EPT2 EPT1".substring(0,
        5 * (5 - EptEntry.level(row.shift)) - 1));
    for (int level = EptEntry.LEVELS; level >= EptEntry.level(row.shift); level--) {
      assertThat(flags(tables, level)).isZero();
    }
    assertThat(walker.nestedTlb().misses() + walker.nestedTlb().hits()).isZero();
    assertThat(tables.translate(walker, GPA, row.access)).isEqualTo(hpa);
    assertThat(peeked.references).isEqualTo(tables.out.references);
    assertThat(peeked.pageShift).isEqualTo(tables.out.pageShift);
    assertThat(peeked.memoryType).isEqualTo(tables.out.memoryType);
  }

  private static long flags(EptFixture tables, int level) {
    return tables.get(GPA, level) & (EptEntry.ACCESSED | EptEntry.DIRTY);
  }
}
