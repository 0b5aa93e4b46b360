package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Accesses by the rights of one entry, at each level and page size: SDM vol. 3C, "EPT Misconfigurations" and "EPT
 * Violations".
 */
class EptTruthTableTest {
  private static final @Gpa long GPA = 0x1_2345_6788L;
  private static final String[] ALL_RIGHTS = {"---", "r--", "-w-", "-wx", "rw-", "--x", "r-x", "rwx"};

  /** rights | read | write | fetch; each ok, misconfig, or the access and permission bits of the qualification. */
  private static final String[] TABLE = {
      "--- | RD        | WR              | FETCH",
      "r-- | ok        | WR PERM_RD      | FETCH PERM_RD",
      "-w- | misconfig | misconfig       | misconfig",
      "-wx | misconfig | misconfig       | misconfig",
      "rw- | ok        | ok              | FETCH PERM_RD PERM_WR",
      "--x | RD PERM_EX | WR PERM_EX     | ok",
      "r-x | ok        | WR PERM_RD PERM_EX | ok",
      "rwx | ok        | ok              | ok",
  };

  private static String expected(String rights, int operation, EptCapabilities capabilities) {
    if (rights.equals("--x") && !capabilities.executeOnly()) {
      return "misconfig";
    }
    for (String row : TABLE) {
      String[] cells = row.split("\\|");
      if (cells[0].trim().equals(rights)) {
        return cells[1 + operation].trim();
      }
    }
    throw new AssertionError(rights);
  }

  static long qualification(String names) {
    long bits = EptViolation.GVA_IS_VALID | EptViolation.GVA_TRANSLATED;
    for (String name : names.split(" ")) {
      bits |= switch (name) {
        case "RD" -> EptViolation.ACC_READ;
        case "WR" -> EptViolation.ACC_WRITE;
        case "FETCH" -> EptViolation.ACC_INSTR;
        case "PERM_RD" -> EptViolation.PROT_READ;
        case "PERM_WR" -> EptViolation.PROT_WRITE;
        case "PERM_EX" -> EptViolation.PROT_EXEC;
        default -> throw new AssertionError(name);
      };
    }
    return bits;
  }

  record Row(String rights, int level, int shift, boolean executeOnly, boolean accessedDirty) {}

  static Stream<Row> rows() {
    List<Row> rows = new ArrayList<>();
    for (String rights : ALL_RIGHTS) {
      for (int shift : EptFixture.SHIFTS) {
        for (int level = EptEntry.level(shift); level <= EptEntry.LEVELS; level++) {
          for (int flags = 0; flags < 4; flags++) {
            rows.add(new Row(rights, level, shift, (flags & 1) != 0, (flags & 2) != 0));
          }
        }
      }
    }
    return rows.stream();
  }

  @ParameterizedTest
  @MethodSource("rows")
  void shouldAllowOrExitByRightsOfOneEntry(Row row) {
    EptCapabilities capabilities = new EptCapabilities(row.executeOnly, true, true, true, false);
    for (int operation = 0; operation < 3; operation++) {
      EptFixture tables = new EptFixture();
      tables.map(GPA, HostMemory.VM_DRAM_BASE, row.shift);
      tables.change(GPA, row.level, EptEntry.RIGHTS, EptFixture.rights(row.rights));
      EptWalker walker = tables.walker(capabilities, row.accessedDirty);
      int access = new int[] {Access.READ, Access.WRITE, Access.FETCH}[operation];
      long hpa = tables.translate(walker, GPA, access);
      String expected = expected(row.rights, operation, capabilities);
      if (expected.equals("ok")) {
        assertThat(hpa).isEqualTo(HostMemory.VM_DRAM_BASE + (GPA & (1L << row.shift) - 1));
        assertThat(tables.out.pageShift).isEqualTo(row.shift);
        assertThat(tables.out.references).isEqualTo(EptEntry.LEVELS - EptEntry.level(row.shift) + 1);
        assertThat((tables.out.rights & Translation.READABLE) != 0).isEqualTo(row.rights.charAt(0) == 'r');
        assertThat((tables.out.rights & Translation.STAGE_WRITABLE) != 0).isEqualTo(row.rights.charAt(1) == 'w');
        assertThat((tables.out.rights & Translation.EXECUTABLE) != 0).isEqualTo(row.rights.charAt(2) == 'x');
        continue;
      }
      assertThat(hpa).isEqualTo(Status.EXIT);
      assertThat(tables.out.exitGpa).isEqualTo(GPA);
      if (expected.equals("misconfig")) {
        assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
      } else {
        assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
        assertThat(EptViolation.toString(tables.out.exitQualification))
            .isEqualTo(EptViolation.toString(qualification(expected)));
      }
      for (int level = EptEntry.LEVELS; level >= row.level; level--) {
        assertThat(tables.get(GPA, level) & (EptEntry.ACCESSED | EptEntry.DIRTY))
            .as("no flag is set by a walk that fails").isZero();
      }
    }
  }

  static Stream<Row> notPresentRows() {
    return rows().filter(row -> row.rights.equals("---"));
  }

  @ParameterizedTest
  @MethodSource("notPresentRows")
  void shouldReportViolationWhenNotPresentEntryHasReservedBits(Row row) {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, row.shift);
    tables.change(GPA, row.level, -1L, ~EptEntry.RIGHTS);
    EptWalker walker = tables.walker(EptCapabilities.ALL, row.accessedDirty);
    assertThat(tables.translate(walker, GPA, Access.READ)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
    assertThat(tables.out.exitQualification & 0x3F).isEqualTo(EptViolation.ACC_READ);
  }

  record Pair(String upper, String lower) {}

  static Stream<Pair> pairs() {
    List<String> usable = List.of("r--", "rw-", "--x", "r-x", "rwx");
    return usable.stream().flatMap(upper -> usable.stream().map(lower -> new Pair(upper, lower)));
  }

  @ParameterizedTest
  @MethodSource("pairs")
  void shouldAndRightsOverLevelsAndReportAfterTheLeaf(Pair pair) {
    EptFixture tables = new EptFixture();
    tables.map(GPA, HostMemory.VM_DRAM_BASE, EptEntry.SHIFT_4K);
    tables.change(GPA, 4, EptEntry.RIGHTS, EptFixture.rights(pair.upper));
    tables.change(GPA, 1, EptEntry.RIGHTS, EptFixture.rights(pair.lower));
    EptWalker walker = tables.walker(EptCapabilities.ALL, false);
    long both = EptFixture.rights(pair.upper) & EptFixture.rights(pair.lower);
    int[] accesses = {Access.READ, Access.WRITE, Access.FETCH};
    for (int operation = 0; operation < 3; operation++) {
      long hpa = tables.translate(walker, GPA, accesses[operation]);
      assertThat(tables.out.references).as("the whole walk is made").isEqualTo(4);
      if ((both >>> operation & 1) != 0) {
        assertThat(hpa).isEqualTo(HostMemory.VM_DRAM_BASE + (GPA & 0xFFF));
      } else {
        assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
        assertThat(tables.out.exitQualification >>> EptViolation.PROT_SHIFT & 7).isEqualTo(both);
        assertThat(tables.out.exitQualification & 7).isEqualTo(1L << operation);
      }
    }
  }

  record Kind(String name, int access, boolean accessedDirty, long accessAndLinear) {}

  static Stream<Kind> kinds() {
    long valid = EptViolation.GVA_IS_VALID;
    long readWrite = EptViolation.ACC_READ | EptViolation.ACC_WRITE;
    return Stream.of(
        new Kind("table walk, A/D off", SecondStage.TABLE, false, EptViolation.ACC_READ | valid),
        new Kind("table walk, A/D on", SecondStage.TABLE, true, readWrite | valid),
        new Kind("table update, A/D off", SecondStage.TABLE | SecondStage.TABLE_UPDATE | Access.WRITE, false, readWrite
            | valid),
        new Kind("table update, A/D on", SecondStage.TABLE | SecondStage.TABLE_UPDATE | Access.WRITE, true, readWrite
            | valid),
        new Kind("PDPTE load, A/D off", SecondStage.TABLE | SecondStage.NO_LINEAR, false, EptViolation.ACC_READ),
        new Kind("PDPTE load, A/D on", SecondStage.TABLE | SecondStage.NO_LINEAR, true, EptViolation.ACC_READ),
        new Kind("final read", Access.READ, true, EptViolation.ACC_READ | valid | EptViolation.GVA_TRANSLATED),
        new Kind("final write", Access.WRITE, true, EptViolation.ACC_WRITE | valid | EptViolation.GVA_TRANSLATED),
        new Kind("final fetch", Access.FETCH, true, EptViolation.ACC_INSTR | valid | EptViolation.GVA_TRANSLATED));
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void shouldQualifyViolationByKindOfAccess(Kind kind) {
    EptFixture tables = new EptFixture();
    EptWalker walker = tables.walker(new EptCapabilities(true, true, true, true, false), kind.accessedDirty);
    assertThat(tables.translate(walker, GPA, kind.access)).isEqualTo(Status.EXIT);
    assertThat(EptViolation.toString(tables.out.exitQualification))
        .isEqualTo(EptViolation.toString(kind.accessAndLinear));
  }

  static Stream<Integer> guestRights() {
    return Stream.iterate(0, bits -> bits < 8, bits -> bits + 1);
  }

  @ParameterizedTest
  @MethodSource("guestRights")
  void shouldReportGuestRightsAsAdvancedInformationForFinalAccessOnly(int rights) {
    EptFixture tables = new EptFixture();
    EptWalker walker = tables.walker(EptCapabilities.ALL, false);
    long expected = ((rights & Translation.USER) != 0 ? 1L << 9 : 0)
        | ((rights & Translation.WRITABLE) != 0 ? 1L << 10 : 0)
        | ((rights & Translation.EXECUTABLE) != 0 ? 0 : 1L << 11);
    tables.out.rights = rights;
    tables.translate(walker, GPA, Access.READ);
    assertThat(tables.out.exitQualification & 0xE00).isEqualTo(expected);
    tables.out.rights = rights;
    tables.translate(walker, GPA, SecondStage.TABLE);
    assertThat(tables.out.exitQualification & 0xE00).isZero();
    EptWalker older = tables.walker(new EptCapabilities(true, true, true, true, false), false);
    tables.out.rights = rights;
    tables.translate(older, GPA, Access.READ);
    assertThat(tables.out.exitQualification & 0xE00).isZero();
  }

  @Test
  void shouldReportViolationWithoutReadingWhenAddressIsWiderThanTheWalk() {
    EptFixture tables = new EptFixture();
    tables.map(0, HostMemory.VM_DRAM_BASE, EptEntry.SHIFT_4K);
    tables.map(1L << 30, HostMemory.VM_DRAM_BASE, EptEntry.SHIFT_1G);
    for (boolean soft : new boolean[] {false, true}) {
      EptWalker walker = tables.walker(EptCapabilities.ALL, true, null, soft);
      for (int i = 0; i < 8; i++) {
        walker.inveptGlobal();
        assertThat(tables.translate(walker, 0, Access.READ)).isPositive();
        assertThat(tables.translate(walker, 1L << 30, Access.READ)).isPositive();
        for (@Gpa long gpa : new long[] {1L << 48, 1L << 51, 1L << 48 | 1L << 30, 1L << 57 | 1L << 30, -4096L}) {
          assertThat(tables.translate(walker, gpa, Access.READ)).isEqualTo(Status.EXIT);
          assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
          assertThat(tables.out.references).isZero();
        }
      }
    }
  }
}
