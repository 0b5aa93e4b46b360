package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PciHostTest {
  private final List<ResetRequest.Source> resets = new ArrayList<>();
  private final PciHost pci = new PciHost();
  private final DeviceBus bus = new DeviceBus();

  @BeforeEach
  void plugIn() {
    bus.register(new ResetPort(resets::add, pci));
    bus.register(pci);
  }

  private void address(int value) {
    bus.out(0xCF8, 4, value, 0);
  }

  /** Address, port, size, value. */
  @ParameterizedTest
  @CsvSource({"80000000,CFC,4,12378086", "80000000,CFC,2,8086", "80000000,CFE,2,1237", "80000000,CFD,1,80",
      "80000004,CFC,2,6", "80000008,CFC,4,06000002",
      "80000008,CFF,1,06", "8000000C,CFE,1,00", "80000800,CFC,4,70008086", "80000808,CFC,4,06010000",
      "8000080C,CFE,1,80", "80000900,CFC,4,FFFFFFFF",
      "80001000,CFC,2,FFFF", "8000F800,CFC,4,FFFFFFFF", "80010000,CFC,4,FFFFFFFF", "00000000,CFC,4,FFFFFFFF"})
  void shouldReadConfigurationSpace(String address, String port, int size, String value) {
    address(Integer.parseUnsignedInt(address, 16));
    assertThat(bus.in(Integer.parseInt(port, 16), size, 0)).isEqualTo(Integer.parseUnsignedInt(value, 16));
  }

  /** As Linux probes for mechanism #1: the address reads back, byte writes do not touch it. */
  @Test
  void shouldLookLikeMechanismOne() {
    bus.out(0xCFB, 1, 1, 0);
    address(0x8000_0000);
    assertThat(bus.in(0xCF8, 4, 0)).isEqualTo(0x8000_0000);
    bus.out(0xCF9, 1, 0x02, 0);
    bus.out(0xCF8, 2, 0xFFFF, 0);
    assertThat(bus.in(0xCF8, 4, 0)).isEqualTo(0x8000_0000);
    assertThat(resets).isEmpty();
    bus.out(0xCF9, 1, 0x06, 0);
    assertThat(resets).containsExactly(ResetRequest.Source.CF9_HARD);
    address(-1);
    assertThat(bus.in(0xCF8, 4, 0)).as("reserved bits").isEqualTo(0x80FF_FFFC);
  }

  @Test
  void shouldKeepWhatCanBeWritten() {
    address(0x8000_0000);
    bus.out(0xCFC, 4, -1, 0);
    assertThat(bus.in(0xCFC, 4, 0)).isEqualTo(0x12378086);
    address(0x8000_0860);
    bus.out(0xCFD, 1, 0x0B, 0);
    assertThat(bus.in(0xCFC, 4, 0)).isEqualTo(0x0B00);
    address(0x8000_0010);
    bus.out(0xCFC, 4, -1, 0);
    assertThat(bus.in(0xCFC, 4, 0)).as("no base address registers").isZero();
    pci.reset();
    address(0x8000_0860);
    assertThat(bus.in(0xCFC, 4, 0)).isZero();
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    address(0x8000_0860);
    bus.out(0xCFC, 2, 0x0B0A, 0);
    PciHost copy = new PciHost();
    DeviceFixtures.load(copy, DeviceFixtures.save(pci));
    assertThat(copy.peek(0xCFC, 2)).isEqualTo(0x0B0A);
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(pci));
  }
}
