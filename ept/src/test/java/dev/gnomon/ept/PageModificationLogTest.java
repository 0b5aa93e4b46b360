package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** SDM vol. 3C, "Page-Modification Logging", row by row. */
class PageModificationLogTest {
  private static final @Gpa long GPA = 0x1_2345_6788L;
  private static final int FULL = 0xFFFF;

  private final EptFixture tables = new EptFixture();
  private final @Hpa long log = tables.frames.allocate();

  private EptWalker walker(boolean accessedDirty) {
    EptWalker walker = tables.walker(EptCapabilities.ALL, accessedDirty);
    walker.startPml(log);
    return walker;
  }

  private long entry(int index) {
    return tables.memory.read64(log + 8L * index);
  }

  @ParameterizedTest
  @CsvSource({"12, 0, false", "12, 2, true", "12, 16, false", "21, 2, true", "30, 2, true", "12, 4096, true",
      "12, 12290, true", "12, 20480, false"})
  void shouldLogThePageWhoseDirtyFlagItSets(int shift, int access, boolean logs) {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, shift);
    EptWalker walker = walker(true);
    assertThat(walker.pmlIndex()).isEqualTo(511);
    assertThat(tables.translate(walker, GPA, access)).isNotNegative();
    assertThat(walker.pmlIndex()).isEqualTo(logs ? 510 : 511);
    assertThat(entry(511)).isEqualTo(logs ? GPA & -4096 : 0);
    tables.translate(walker, GPA, access);
    assertThat(walker.pmlIndex()).as("the flag is set already").isEqualTo(logs ? 510 : 511);
  }

  @Test
  void shouldLogNothingWhileTheFlagsAreOff() {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, 12);
    EptWalker walker = walker(false);
    walker.setPmlIndex(FULL);
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isNotNegative();
    assertThat(walker.pmlIndex()).isEqualTo(FULL);
  }

  @Test
  void shouldWrapTheIndexBehindTheLastEntry() {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, 12);
    EptWalker walker = walker(true);
    walker.setPmlIndex(0);
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isNotNegative();
    assertThat(entry(0)).isEqualTo(GPA & -4096);
    assertThat(walker.pmlIndex()).isEqualTo(FULL);
  }

  @ParameterizedTest
  @CsvSource({"0, false", "2, false", "16, false", "0, true", "2, true"})
  void shouldExitAndSetNothingWhenTheLogIsFullAndAFlagIsMissing(int access, boolean accessedBefore) {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, 12);
    EptWalker walker = walker(true);
    if (accessedBefore) {
      tables.translate(walker, GPA, Access.READ);
      walker.inveptGlobal();
    }
    walker.setPmlIndex(512);
    boolean exits = !accessedBefore || access == Access.WRITE;
    long before = tables.get(GPA, 1);
    long result = tables.translate(walker, GPA, access);
    assertThat(result < 0).isEqualTo(exits);
    if (exits) {
      assertThat(result).isEqualTo(Status.EXIT);
      assertThat(tables.out.exitReason).isEqualTo(ExitReason.PML_FULL);
      assertThat(tables.out.exitQualification).isZero();
      assertThat(tables.get(GPA, 1)).isEqualTo(before);
      walker.setPmlIndex(511);
      assertThat(tables.translate(walker, GPA, access)).isNotNegative();
    }
  }

  @Test
  void shouldRaiseAViolationBeforeItLooksAtTheLog() {
    EptWalker walker = walker(true);
    walker.setPmlIndex(FULL);
    assertThat(tables.translate(walker, GPA, Access.WRITE | SecondStage.NO_LINEAR)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
  }

  @Test
  void shouldLogNothingWhenItOnlyLooks() {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, 12);
    EptWalker walker = walker(true);
    walker.peek(GPA, 0, Access.WRITE, tables.out, null);
    assertThat(walker.pmlIndex()).isEqualTo(511);
  }
}
