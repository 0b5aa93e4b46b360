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
    bus.register(new ResetPort(resets::add, pci, new AddressLine20()));
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
      "8000080C,CFE,1,80", "8000002C,CFC,4,11001AF4", "80000900,CFC,4,FFFFFFFF",
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

  /** Function, register, value. */
  @ParameterizedTest
  @CsvSource({"9,00,70108086", "9,08,01010000", "9,40,8000", "9,20,0", "11,00,71138086", "11,08,06800003", "11,40,B001",
      "11,58,02000000", "11,80,1", "8,0C,800000"})
  void shouldHaveFunctionsForDiskAndPower(int function, String register, String value) {
    pci.withIde().withPowerManagement();
    address(0x8000_0000 | function << 8 | Integer.parseInt(register, 16));
    assertThat(bus.in(0xCFC, 4, 0)).isEqualTo(Integer.parseUnsignedInt(value, 16));
  }

  /** Attribute registers as written to 58h and 5Ch, then the segments that change: number, read and write enable. */
  @ParameterizedTest
  @CsvSource({"00003000,00000000,12rw", "00001000,00000000,12r-", "00002000,00000000,12-w", "00030000,00000000,0rw",
      "00300000,00000000,1rw", "03000000,0,2rw", "10000000,0,3r-", "0,00000001,4r-", "0,00000020,5-w", "0,00000300,6rw",
      "0,00003000,7rw", "0,00030000,8rw", "0,00300000,9rw", "0,01000000,10r-", "0,30000000,11rw",
      "00000F00,CCCCCCCC,''"})
  void shouldPassTheAttributeMapOn(String low, String high, String changed) {
    List<String> seen = new ArrayList<>();
    PciHost host = new PciHost((segment, read, write) -> seen.add(segment + (read ? "r" : "-") + (write ? "w" : "-")));
    host.setAddress(0x8000_0058);
    host.out(0xCFC, 4, Integer.parseUnsignedInt(low, 16), 0);
    host.setAddress(0x8000_005C);
    host.out(0xCFC, 4, Integer.parseUnsignedInt(high, 16), 0);
    assertThat(String.join(" ", seen)).isEqualTo(changed);
    host.reset();
    assertThat(seen).as("a reset takes it back").hasSize(changed.isEmpty() ? 0 : 2);
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
