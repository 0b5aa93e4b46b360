package dev.gnomon.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What firmware would have left for guests that are started without one. */
class BiosDataAreaTest {
  private static final long BASE_MEMORY = 0x413;

  private static Vm booted(GuestImage image) {
    Vm vm = new VmBuilder(VmOptions.of(Mode.NATIVE).withMemoryBytes(8 << 20)).build();
    vm.boot(image);
    return vm;
  }

  private static long word(Vm vm, long gpa) {
    return vm.guestMemory().read(gpa, 2);
  }

  /** Offset, what a PC with one serial port, a coprocessor and a colour screen of 80 by 25 has there. */
  @ParameterizedTest
  @CsvSource({"400, 3f8", "402, 0", "408, 0", "40e, 0", "410, 222", "413, 280", "41a, 1e", "41c, 1e", "44a, 50",
      "44c, 1000", "460, d0e", "463, 3d4", "480, 1e", "482, 3e", "484, 1018"})
  void shouldDescribeThePcToKernels(String address, String value) {
    Vm vm = booted(GuestImages.recognize(BootRequest.of("bzImage", Images.linux())));
    assertThat(word(vm, Long.parseLong(address, 16))).isEqualTo(Long.parseLong(value, 16));
    assertThat(word(vm, 0x449) & 0xFF).isEqualTo(3);
  }

  @Test
  void shouldLeaveFlatImagesAndFirmwareAlone() {
    assertThat(word(booted(GuestImages.flat(BootRequest.of("flat", Images.CODE))), BASE_MEMORY)).isZero();
    assertThat(word(booted(GuestImages.firmware(0)), BASE_MEMORY)).isZero();
  }

  @Test
  void shouldDescribeThePcToBootSectors() {
    BootRequest.File disk = new BootRequest.File("disk", bootSector());
    assertThat(word(booted(GuestImages.bootSector(disk)), BASE_MEMORY)).isEqualTo(640);
  }

  private static byte[] bootSector() {
    byte[] sector = new byte[512];
    sector[510] = 0x55;
    sector[511] = (byte) 0xAA;
    return sector;
  }
}
