package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which EPT violations may become virtualization exceptions: SDM vol. 3C, "Convertible EPT Violations". */
class ConvertibleViolationTest {
  private static final @Gpa long GPA = 0x1_2345_6788L;

  private final EptFixture tables = new EptFixture();

  private EptWalker walker(boolean control) {
    EptWalker walker = tables.walker(EptCapabilities.ALL, false);
    EptControls controls = EptControls.of(tables.pointer(false));
    walker.setControls(control ? controls.withExceptions(HostMemory.VM_DRAM_BASE) : controls);
    return walker;
  }

  /**
   * The walk ends at {@code level}, by an entry not present or by a leaf without W; suppress #VE is set in the entries
   * of the levels named, of which only the last one counts.
   */
  @ParameterizedTest
  @CsvSource({
      "true,  1, leaf,   none, true",
      "true,  1, leaf,   1,    false",
      "true,  1, leaf,   432,  true",
      "true,  2, leaf,   none, true",
      "true,  2, leaf,   2,    false",
      "true,  2, leaf,   43,   true",
      "true,  3, leaf,   3,    false",
      "true,  3, leaf,   4,    true",
      "true,  1, absent, none, true",
      "true,  1, absent, 1,    false",
      "true,  1, absent, 432,  true",
      "true,  2, absent, 2,    false",
      "true,  2, absent, 43,   true",
      "true,  3, absent, 3,    false",
      "true,  4, absent, none, true",
      "true,  4, absent, 4,    false",
      "false, 1, leaf,   none, false",
      "false, 1, absent, none, false"})
  void shouldGoByTheEntryAtWhichTheWalkEnds(boolean control, int level, String end, String suppressed,
      boolean convertible) {
    int shift = EptEntry.shift(level);
    tables.put(GPA, level, end.equals("leaf")
        ? EptEntry.leaf(HostMemory.VM_DRAM_BASE, shift, EptEntry.READ, EptMemoryType.WB) : 0);
    for (int l = EptEntry.LEVELS; l >= level; l--) {
      tables.change(GPA, l, 0, suppressed.contains(Integer.toString(l)) ? EptEntry.SUPPRESS_VE : 0);
    }
    EptWalker walker = walker(control);
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(tables.out.convertible).isEqualTo(convertible);
    assertThat(walker.peek(GPA, 0, Access.WRITE, tables.out, null)).isEqualTo(Status.EXIT);
    assertThat(tables.out.convertible).isEqualTo(convertible);
  }

  @Test
  void shouldNeverConvertMisconfigurationsAndAddressesTooWide() {
    tables.put(GPA, 1, EptEntry.WRITE);
    EptWalker walker = walker(true);
    tables.out.convertible = true;
    assertThat(tables.translate(walker, GPA, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(tables.out.convertible).isFalse();
    tables.out.convertible = true;
    assertThat(tables.translate(walker, 1L << 48, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(tables.out.convertible).isFalse();
  }
}
