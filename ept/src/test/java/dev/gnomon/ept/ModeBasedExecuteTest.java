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
 * Mode-based execute control, row by row: rights of an entry × level × kind of linear address × access (SDM vol. 3C,
 * "EPT Misconfigurations", "EPT Violations", "Exit Qualification for EPT Violations").
 */
class ModeBasedExecuteTest {
  private static final @Gpa long GPA = 0x1_2345_6788L;
  private static final EptCapabilities NO_EXECUTE_ONLY = new EptCapabilities(false, true, true, true, false, true,
      SecondaryControls.ALL);

  /**
   * R W X XU of the entry | read | write | fetch of a supervisor-mode address | of a user-mode one: ok, misconfig, or a
   * violation, whose PROT bits are the entry's rights. A star: misconfig without execute-only translations.
   */
  private static final String[] TABLE = {
      "---- | violation  | violation | violation | violation",
      "---u | violation* | violation* | violation* | ok*",
      "--x- | violation* | violation* | ok* | violation*",
      "--xu | violation* | violation* | ok* | ok*",
      "-w-- | misconfig | misconfig | misconfig | misconfig",
      "-w-u | misconfig | misconfig | misconfig | misconfig",
      "-wx- | misconfig | misconfig | misconfig | misconfig",
      "-wxu | misconfig | misconfig | misconfig | misconfig",
      "r--- | ok | violation | violation | violation",
      "r--u | ok | violation | violation | ok",
      "r-x- | ok | violation | ok | violation",
      "r-xu | ok | violation | ok | ok",
      "rw-- | ok | ok | violation | violation",
      "rw-u | ok | ok | violation | ok",
      "rwx- | ok | ok | ok | violation",
      "rwxu | ok | ok | ok | ok",
  };

  record Row(String rights, int column, String result, int level, int shift, boolean executeOnly, int caches) {}

  static Stream<Row> rows() {
    List<Row> rows = new ArrayList<>();
    for (String line : TABLE) {
      String[] cells = line.split("\\|");
      for (int column = 1; column < cells.length; column++) {
        for (int shift : EptFixture.SHIFTS) {
          for (int level = EptEntry.level(shift); level <= EptEntry.LEVELS; level++) {
            for (int flags = 0; flags < 6; flags++) {
              rows.add(new Row(cells[0].trim(), column, cells[column].trim(), level, shift, (flags & 1) != 0,
                  flags >> 1));
            }
          }
        }
      }
    }
    return rows.stream();
  }

  private static long rights(String text) {
    return EptFixture.rights(text) | (text.charAt(3) == 'u' ? EptEntry.USER_EXECUTE : 0);
  }

  private static EptWalker walker(EptFixture tables, EptCapabilities capabilities, int caches) {
    EptWalker walker = tables.walker(capabilities, true, caches == 2 ? new NestedTlb() : null, caches == 1);
    walker.setControls(EptControls.of(tables.pointer(true)).withModeBasedExecute(true));
    return walker;
  }

  private static long access(EptFixture tables, EptWalker walker, int access, boolean user) {
    tables.out.rights = Translation.WRITABLE | Translation.EXECUTABLE | (user ? Translation.USER : 0);
    return tables.translate(walker, GPA, access);
  }

  @ParameterizedTest
  @MethodSource("rows")
  void shouldAllowOrExitByRightsOfOneEntry(Row row) {
    EptFixture tables = new EptFixture();
    tables.put(GPA, EptEntry.level(row.shift),
        EptEntry.leaf(HostMemory.VM_DRAM_BASE, row.shift, EptEntry.RIGHTS_BY_MODE,
        EptMemoryType.WB));
    tables.change(GPA, row.level, EptEntry.RIGHTS_BY_MODE, rights(row.rights));
    EptWalker walker = walker(tables, row.executeOnly ? EptCapabilities.ALL : NO_EXECUTE_ONLY, row.caches);
    int access = new int[] {0, Access.READ, Access.WRITE, Access.FETCH, Access.FETCH}[row.column];
    boolean user = row.column == 4;
    String expected = !row.result.endsWith("*") ? row.result
        : row.executeOnly ? row.result.replace("*", "") : "misconfig";
    // Once more from what was cached.
    for (int i = 0; i < 2; i++) {
      long hpa = access(tables, walker, access, user);
      if (expected.equals("ok")) {
        assertThat(hpa).isEqualTo(HostMemory.VM_DRAM_BASE + (GPA & (1L << row.shift) - 1));
        assertThat((tables.out.rights & Translation.EXECUTABLE) != 0).isEqualTo(row.rights.charAt(user ? 3 : 2) != '-');
        assertThat((tables.out.rights & Translation.STAGE_WRITABLE) != 0).isEqualTo(row.rights.charAt(1) == 'w');
        continue;
      }
      assertThat(hpa).isEqualTo(Status.EXIT);
      assertThat(tables.out.exitReason)
          .isEqualTo(expected.equals("misconfig") ? ExitReason.EPT_MISCONFIG : ExitReason.EPT_VIOLATION);
      if (expected.equals("violation")) {
        long rights = rights(row.rights);
        assertThat(tables.out.exitQualification & 0x7F).isEqualTo(1L << Math.min(row.column - 1, 2)
            | (rights & EptEntry.RIGHTS) << EptViolation.PROT_SHIFT
            | ((rights & EptEntry.USER_EXECUTE) != 0 ? EptViolation.PROT_USER_EXEC : 0));
      }
    }
  }

  @Test
  void shouldCacheOnePageForBothKindsOfLinearAddress() {
    for (int caches = 0; caches < 3; caches++) {
      EptFixture tables = new EptFixture();
      tables.put(GPA, 1,
          EptEntry.leaf(HostMemory.VM_DRAM_BASE, 12, EptEntry.READ | EptEntry.USER_EXECUTE, EptMemoryType.WB));
      EptWalker walker = walker(tables, EptCapabilities.ALL, caches);
      for (int i = 0; i < 4; i++) {
        boolean user = (i & 1) != 0;
        assertThat(access(tables, walker, Access.READ, user)).isNotNegative();
        assertThat((tables.out.rights & Translation.EXECUTABLE) != 0).as("what the TLB would keep").isEqualTo(user);
        assertThat(access(tables, walker, Access.FETCH, user) >= 0).isEqualTo(user);
        assertThat(walker.peek(GPA, 0, Access.READ, tables.out, null)).isNotNegative();
      }
    }
  }

  @Test
  void shouldReadGuestTablesWhateverTheExecuteRights() {
    EptFixture tables = new EptFixture();
    tables.put(GPA, 1, EptEntry.leaf(HostMemory.VM_DRAM_BASE, 12, EptEntry.READ | EptEntry.WRITE, EptMemoryType.WB));
    EptWalker walker = walker(tables, EptCapabilities.ALL, 1);
    assertThat(access(tables, walker, SecondStage.TABLE, true)).isNotNegative();
    assertThat(tables.out.rights & Translation.EXECUTABLE).isZero();
  }

  @Test
  void shouldIgnoreUserExecuteWhileTheControlIsOff() {
    EptFixture tables = new EptFixture();
    tables.put(GPA, 1, EptEntry.leaf(HostMemory.VM_DRAM_BASE, 12, EptEntry.USER_EXECUTE, EptMemoryType.WB));
    EptWalker walker = tables.walker(NO_EXECUTE_ONLY, true);
    assertThat(access(tables, walker, Access.FETCH, true)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).as("not present").isEqualTo(ExitReason.EPT_VIOLATION);
    tables.change(GPA, 1, EptEntry.USER_EXECUTE, EptEntry.READ | EptEntry.EXECUTE);
    assertThat(access(tables, walker, Access.FETCH, true)).isNotNegative();
    assertThat(access(tables, walker, Access.WRITE, true)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitQualification & EptViolation.PROT_USER_EXEC).isZero();
  }
}
