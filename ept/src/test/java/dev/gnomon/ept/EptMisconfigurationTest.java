package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each bit of each kind of entry, reserved or ignored: SDM vol. 3C, "EPT Misconfigurations" and the entry formats. */
class EptMisconfigurationTest {
  private static final @Gpa long GPA = 0x1_2345_6788L;
  private static final @Gpa long PAGE_1G = 1L << 32;

  /** level | page? | reserved bits, besides 51:46, which are reserved everywhere. */
  private static final String[] RESERVED = {
      "4 | table | 7:3",
      "3 | table | 6:3",
      "2 | table | 6:3",
      "3 | page  | 29:12",
      "2 | page  | 20:12",
      "1 | page  | none",
  };

  record Bit(int level, boolean page, int bit, boolean reserved) {
    int shift() {
      return page ? EptEntry.shift(level) : EptEntry.SHIFT_4K;
    }
  }

  static Stream<Bit> bits() {
    List<Bit> bits = new ArrayList<>();
    for (String row : RESERVED) {
      String[] cells = row.split("\\|");
      int level = Integer.parseInt(cells[0].trim());
      boolean page = cells[1].trim().equals("page");
      String[] range = cells[2].trim().equals("none") ? new String[] {"0", "0"} : cells[2].trim().split(":");
      int high = Integer.parseInt(range[0]);
      int low = Integer.parseInt(range[1]);
      for (int bit = 3; bit < 64; bit++) {
        // PS turns the entry into the other kind; type and address bits of a page change the translation and are tested
        // elsewhere.
        boolean other = bit == 7 && level != 4 && level != 1 || page && bit <= 6
            || bit >= EptEntry.shift(page ? level : 1) && bit < 46;
        if (!other) {
          bits.add(new Bit(level, page, bit, bit >= low && bit <= high && high > 0 || bit >= 46 && bit <= 51));
        }
      }
    }
    return bits.stream();
  }

  @ParameterizedTest
  @MethodSource("bits")
  void shouldMisconfigureOnReservedBitsAndIgnoreTheRest(Bit row) {
    EptFixture tables = new EptFixture();
    tables.map(GPA, PAGE_1G, row.shift());
    tables.change(GPA, row.level, 0, 1L << row.bit);
    EptWalker walker = tables.walker(EptCapabilities.ALL, false);
    for (int access : new int[] {Access.READ, Access.WRITE, Access.FETCH, SecondStage.TABLE}) {
      long hpa = tables.translate(walker, GPA, access);
      if (row.reserved) {
        assertThat(hpa).isEqualTo(Status.EXIT);
        assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
        assertThat(tables.out.exitQualification).isZero();
        assertThat(tables.out.exitGpa).isEqualTo(GPA);
        assertThat(tables.out.references).as("the walk ends there").isEqualTo(5 - row.level);
      } else {
        assertThat(hpa).isEqualTo(PAGE_1G + (GPA & (1L << row.shift()) - 1));
      }
    }
  }

  record Leaf(int shift, int type) {}

  static Stream<Leaf> leaves() {
    return IntStream.of(EptFixture.SHIFTS).boxed()
        .flatMap(shift -> IntStream.range(0, 8).mapToObj(type -> new Leaf(shift, type)));
  }

  @ParameterizedTest
  @MethodSource("leaves")
  void shouldReportMemoryTypeOrMisconfigureOnUndefinedOne(Leaf leaf) {
    EptFixture tables = new EptFixture();
    EptWalker walker = tables.walker(EptCapabilities.ALL, false);
    for (int ipat : new int[] {0, EptMemoryType.IPAT}) {
      tables.put(GPA, EptEntry.level(leaf.shift), EptEntry.leaf(PAGE_1G, leaf.shift, EptEntry.RIGHTS, leaf.type
          | ipat));
      long hpa = tables.translate(walker, GPA, Access.READ);
      if (leaf.type == 2 || leaf.type == 3 || leaf.type == 7) {
        assertThat(hpa).isEqualTo(Status.EXIT);
        assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
      } else {
        assertThat(hpa).isPositive();
        assertThat(tables.out.memoryType).isEqualTo(leaf.type | ipat);
      }
    }
  }

  @Test
  void shouldMisconfigureOnPageSizeThatTheProcessorLacks() {
    EptFixture tables = new EptFixture();
    tables.map(GPA, PAGE_1G, EptEntry.SHIFT_1G);
    tables.map(GPA + PAGE_1G, PAGE_1G, EptEntry.SHIFT_2M);
    EptCapabilities only4k = new EptCapabilities(true, true, false, false, true);
    assertThat(tables.translate(tables.walker(EptCapabilities.NEHALEM, false), GPA, Access.READ))
        .isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
    assertThat(tables.translate(tables.walker(EptCapabilities.NEHALEM, false), GPA + PAGE_1G, Access.READ))
        .isPositive();
    assertThat(tables.translate(tables.walker(only4k, false), GPA + PAGE_1G, Access.READ)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
  }

  @Test
  void shouldPreferMisconfigurationToMissingRightAboveAndViolationAboveToMisconfigurationBelow() {
    EptFixture tables = new EptFixture();
    tables.map(GPA, PAGE_1G, EptEntry.SHIFT_4K);
    EptWalker walker = tables.walker(EptCapabilities.ALL, false);
    tables.change(GPA, 4, EptEntry.WRITE, 0);
    tables.change(GPA, 1, 0, 1L << 51);
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(tables.out.exitReason).as("rights are checked after the leaf").isEqualTo(ExitReason.EPT_MISCONFIG);
    tables.change(GPA, 3, EptEntry.RIGHTS, 0);
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(tables.out.exitReason).as("the walk ends at a not-present entry").isEqualTo(ExitReason.EPT_VIOLATION);
    assertThat(tables.out.references).isEqualTo(2);
  }

  @Test
  void shouldMisconfigureWhenTablesLieOutsideMemory() {
    EptFixture tables = new EptFixture();
    tables.put(GPA, 3, EptEntry.table(0x10_0000_0000L + (1L << 40)));
    assertThat(tables.translate(tables.walker(EptCapabilities.ALL, true), GPA, Access.READ)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).as("absent memory reads all ones").isEqualTo(ExitReason.EPT_MISCONFIG);
    assertThat(HostMemory.TABLES_BASE).isLessThan(1L << 40);
  }
}
