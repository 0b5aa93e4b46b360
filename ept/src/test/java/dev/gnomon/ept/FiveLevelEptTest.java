package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** EPT tables of five levels: guest-physical addresses of 57 bits, one reference more. */
class FiveLevelEptTest {
  private static final @Gpa long GPA = 0x155_0000_1234_5678L;

  private final EptFixture tables = new EptFixture();

  FiveLevelEptTest() {
    tables.levels = EptEntry.MAX_LEVELS;
  }

  @ParameterizedTest
  @ValueSource(ints = {12, 21, 30})
  void shouldTranslateByFiveLevels(int shift) {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, shift);
    for (int cache = 0; cache < 3; cache++) {
      EptWalker walker = tables.walker(EptCapabilities.ALL, true, cache == 2 ? new NestedTlb() : null, cache == 1);
      for (int i = 0; i < 2; i++) {
        assertThat(tables.translate(walker, GPA, Access.WRITE))
            .isEqualTo(HostMemory.VM_DRAM_BASE + (GPA & (1L << shift) - 1));
        assertThat(tables.out.references).isEqualTo(cache == 2 && i > 0 ? 0 : 6 - EptEntry.level(shift));
        assertThat(tables.translate(walker, GPA ^ 1L << 48, Access.READ)).as("another half of the top table")
            .isEqualTo(Status.EXIT);
      }
    }
    for (int level = EptEntry.MAX_LEVELS; level >= EptEntry.level(shift); level--) {
      assertThat(tables.get(GPA, level) & EptEntry.ACCESSED).as("A of level " + level).isNotZero();
    }
  }

  @ParameterizedTest
  @CsvSource({"0, violation", "2, misconfig", "9F, misconfig", "87, misconfig", "0F, misconfig",
      "0000400000000007, misconfig"})
  void shouldCheckTheTopEntryAsOneOfLevelFour(String entry, String expected) {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, 12);
    tables.change(GPA, 5, 0xFFFL, 0);
    tables.change(GPA, 5, 0, Long.parseLong(entry, 16));
    EptWalker walker = tables.walker(EptCapabilities.ALL, true);
    assertThat(tables.translate(walker, GPA, Access.READ)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason)
        .isEqualTo(expected.equals("violation") ? ExitReason.EPT_VIOLATION : ExitReason.EPT_MISCONFIG);
    assertThat(tables.out.references).isEqualTo(1);
  }

  @Test
  void shouldReportViolationWithoutReadingAboveBit56() {
    EptWalker walker = tables.walker(EptCapabilities.ALL, true);
    assertThat(tables.translate(walker, 1L << 57, Access.READ)).isEqualTo(Status.EXIT);
    assertThat(tables.out.references).isZero();
    assertThat(tables.translate(walker, 1L << 56, Access.READ)).isEqualTo(Status.EXIT);
    assertThat(tables.out.references).isEqualTo(1);
  }

  @Test
  void shouldAndRightsOverAllFiveLevels() {
    tables.map(GPA, HostMemory.VM_DRAM_BASE, 12);
    tables.change(GPA, 5, EptEntry.WRITE, 0);
    EptWalker walker = tables.walker(EptCapabilities.ALL, true);
    assertThat(tables.translate(walker, GPA, Access.READ)).isNotNegative();
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitQualification & 0x38).isEqualTo(EptViolation.PROT_READ | EptViolation.PROT_EXEC);
  }
}
