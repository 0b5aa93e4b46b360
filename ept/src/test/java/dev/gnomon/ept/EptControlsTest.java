package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.HostMemory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** SDM vol. 3C, "Checks on VMX Controls", those that concern EPT, row by row. */
class EptControlsTest {
  private static final long PAGE = HostMemory.TABLES_BASE;
  private static final long POINTER = EptPointer.of(PAGE, true);

  /** Every field bad in itself, so that a field is looked at if its control is on. */
  @ParameterizedTest
  @CsvSource({
      "0x2, ''", "0x0, ''",
      "0x400000, without EPT", "0x800000, without EPT", "0x20000, without EPT", "0x2000, without EPT",
      "0x2002, EPTP-list address", "0x20002, PML address", "0x40002, virtualization-exception information",
      "0x40000, virtualization-exception information", "0x800002, sub-page permission table pointer", "0x400002, ''",
      "0x80, does not have"})
  void shouldCheckFieldsOfControlsThatAreOn(String secondary, String expected) {
    long bad = PAGE | 0x800;
    String reason = new EptControls(Integer.decode(secondary), POINTER, bad, bad, bad, 1, bad)
        .invalidReason(EptCapabilities.ALL);
    if (expected.isEmpty()) {
      assertThat(reason).isNull();
    } else {
      assertThat(reason).contains(expected);
    }
    long wide = 1L << HostMemory.MAXPHYADDR;
    assertThat(new EptControls(Integer.decode(secondary), POINTER, wide, wide, wide, 1, wide)
        .invalidReason(EptCapabilities.ALL) == null).isEqualTo(expected.isEmpty());
  }

  @Test
  void shouldCheckReservedVmFunctionsOnlyWhileTheyAreOn() {
    EptControls controls = new EptControls(SecondaryControls.ENABLE_EPT, POINTER, 0, 0, 0, 2, 0);
    assertThat(controls.invalidReason(EptCapabilities.ALL)).isNull();
    assertThat(new EptControls(SecondaryControls.ENABLE_EPT | SecondaryControls.ENABLE_VM_FUNCTIONS, POINTER,
        0, 0, 0, 2, 0)
        .invalidReason(EptCapabilities.ALL)).contains("VM-function controls 0x2");
    assertThat(new EptControls(SecondaryControls.ENABLE_VM_FUNCTIONS, POINTER, 0, 0, 0, 0, 0)
        .invalidReason(EptCapabilities.ALL)).as("without EPTP switching they need no EPT").isNull();
  }

  @Test
  void shouldLoadNothingInvalid() {
    EptFixture tables = new EptFixture();
    EptWalker walker = tables.walker(EptCapabilities.ALL, true);
    assertThatThrownBy(() -> walker.setControls(EptControls.of(POINTER | 1)))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("memory type 7");
    assertThat(walker.eptPointer()).isEqualTo(tables.pointer(true));
    EptWalker older = tables.walker(EptCapabilities.NEHALEM, false);
    assertThatThrownBy(() -> older.setControls(EptControls.of(tables.pointer(false)).withModeBasedExecute(true)))
        .hasMessageContaining("does not have");
  }
}
