package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** SDM vol. 3C, "Sub-Page Write Permissions for EPT", row by row. */
class SubPagePermissionsTest {
  private static final @Gpa long GPA = 0x1_2345_6000L;
  private static final int SUB_PAGE = 128;

  private final EptFixture tables = new EptFixture();
  private final @Hpa long top = tables.frames.allocate();

  private EptWalker walker(int cache) {
    EptWalker walker = tables.walker(EptCapabilities.ALL, true, cache == 2 ? new NestedTlb() : null, cache == 1);
    walker.setControls(EptControls.of(tables.pointer(true)).withSubPages(top));
    return walker;
  }

  private void map(String rights, int shift, boolean spp) {
    tables.put(GPA, EptEntry.level(shift), EptEntry.leaf(HostMemory.VM_DRAM_BASE, shift, EptFixture.rights(rights),
        EptMemoryType.WB) | (spp ? EptEntry.SUB_PAGE_WRITE : 0));
  }

  /** Puts an entry of the sub-page permission table, with valid tables above it. */
  private void permit(int level, long entry) {
    @Hpa long table = top;
    for (int l = SubPageTable.LEVELS; l > level; l--) {
      @Hpa long at = table + 8L * EptEntry.index(GPA, l);
      if (tables.memory.read64(at) == 0) {
        tables.memory.write64(at, SubPageTable.table(tables.frames.allocate()));
      }
      table = tables.memory.read64(at) & SubPageTable.ADDRESS_MASK;
    }
    tables.memory.write64(table + 8L * EptEntry.index(GPA, level), entry);
  }

  /** Which accesses ask the table, which grants everything here: only then a write to a page without W succeeds. */
  @ParameterizedTest
  @CsvSource({
      "r--, 12, true,  true,  write,  granted",
      "r-x, 12, true,  true,  write,  granted",
      "r--, 12, false, true,  write,  violation",
      "r--, 12, true,  false, write,  violation",
      "r--, 21, true,  true,  write,  violation",
      "r--, 30, true,  true,  write,  violation",
      "--x, 12, true,  true,  write,  violation",
      "rw-, 12, true,  true,  write,  writable",
      "r--, 12, true,  true,  read,   read",
      "r--, 12, true,  true,  fetch,  violation",
      "r--, 12, true,  true,  table,  violation",
      "r--, 12, true,  true,  update, violation"})
  void shouldAskForFinalWritesThatOnlyWriteAccessForbids(String rights, int shift, boolean spp, boolean control,
      String access, String expected) {
    for (int cache = 0; cache < 3; cache++) {
      map(rights, shift, spp);
      permit(1, SubPageTable.vector(-1));
      EptWalker walker = control ? walker(cache) : tables.walker(EptCapabilities.ALL, true);
      int bits = switch (access) {
        case "write" -> Access.WRITE;
        case "fetch" -> Access.FETCH;
        case "table" -> SecondStage.TABLE;
        case "update" -> SecondStage.TABLE | SecondStage.TABLE_UPDATE | Access.WRITE;
        default -> Access.READ;
      };
      for (int i = 0; i < 2; i++) {
        long hpa = tables.translate(walker, GPA, bits);
        boolean granted = expected.equals("granted");
        if (expected.equals("violation")) {
          assertThat(hpa).isEqualTo(Status.EXIT);
          assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
          continue;
        }
        assertThat(hpa).isEqualTo(HostMemory.VM_DRAM_BASE + (GPA & (1L << shift) - 1));
        assertThat((tables.out.rights & Translation.STAGE_WRITABLE) != 0).as("no grant may be kept as a right")
            .isEqualTo(expected.equals("writable"));
        assertThat(tables.get(GPA, 1) & EptEntry.DIRTY)
            .isEqualTo(granted || expected.equals("writable") ? EptEntry.DIRTY : 0);
        if (granted) {
          assertThat(tables.out.references).as("four of EPT, four of the table, each time").isEqualTo(8);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 0x8000_0000, 0x1234_5678, -1})
  void shouldGrantWritesBySubPage(int writable) {
    map("r--", 12, true);
    permit(1, SubPageTable.vector(writable));
    EptWalker walker = walker(1);
    for (int offset = 0; offset < 4096; offset += 64) {
      boolean granted = (writable >>> offset / SUB_PAGE & 1) != 0;
      assertThat(tables.translate(walker, GPA + offset, Access.READ)).isNotNegative();
      assertThat(tables.translate(walker, GPA + offset, Access.WRITE))
          .isEqualTo(granted ? HostMemory.VM_DRAM_BASE + offset : Status.EXIT);
      if (!granted) {
        assertThat(tables.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
        assertThat(tables.out.exitQualification & 0x3F).isEqualTo(EptViolation.ACC_WRITE | EptViolation.PROT_READ);
        assertThat(tables.out.exitGpa).isEqualTo(GPA + offset);
      }
      assertThat(walker.peek(GPA + offset, 0, Access.WRITE, tables.out, null) >= 0).isEqualTo(granted);
    }
  }

  @ParameterizedTest
  @CsvSource({
      // Level, entry in hexadecimal, miss or misconfiguration.
      "4, 0, miss", "3, 0, miss", "2, 0, miss",
      "4, FFFFFFFFFFFFFFFE, miss",
      "4, 3, misconfig", "3, 801, misconfig", "2, 0000400000000001, misconfig", "2, 0008000000000001, misconfig",
      "3, 8000000000000001, misconfig",
      "1, 2, misconfig", "1, 8000000000000000, misconfig", "1, AAAAAAAAAAAAAAAA, misconfig"})
  void shouldExitWhenTheTableHasNoAnswer(int level, String entry, String kind) {
    map("r--", 12, true);
    permit(level, Long.parseUnsignedLong(entry, 16));
    EptWalker walker = walker(1);
    assertThat(tables.translate(walker, GPA + 8, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.SPP);
    assertThat(tables.out.exitQualification).isEqualTo(kind.equals("miss") ? SubPageTable.MISS : 0);
    assertThat(tables.out.exitGpa).isEqualTo(GPA + 8);
    assertThat(tables.out.convertible).isFalse();
    assertThat(tables.out.references).isEqualTo(4 + 5 - level);
    assertThat(tables.get(GPA, 1) & (EptEntry.ACCESSED | EptEntry.DIRTY)).isZero();
    assertThat(walker.peek(GPA, 0, Access.WRITE, tables.out, null)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.SPP);
  }

  @Test
  void shouldLogGrantedWritesToThePageModificationLog() {
    map("r--", 12, true);
    permit(1, SubPageTable.vector(-1));
    EptWalker walker = walker(0);
    walker.startPml(tables.frames.allocate());
    tables.translate(walker, GPA, Access.WRITE);
    assertThat(walker.pmlIndex()).isEqualTo(510);
    tables.change(GPA, 1, EptEntry.DIRTY, 0);
    walker.setPmlIndex(0xFFFF);
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(tables.out.exitReason).isEqualTo(ExitReason.PML_FULL);
  }
}
