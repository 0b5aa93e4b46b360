package dev.gnomon.vmm.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.HostMemory;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MemoryLayoutTest {
  private static final long MIB = 1 << 20;

  @Test
  void shouldLayOutAPc() {
    assertThat(MemoryLayout.pc(8 * MIB).slots()).containsExactly(
        new MemorySlot(MemorySlot.Kind.RAM, 0, 0xA0000, "low RAM"),
        new MemorySlot(MemorySlot.Kind.READ_ONLY, 0xC0000, 0x40000, "ROM"),
        new MemorySlot(MemorySlot.Kind.RAM, MIB, 7 * MIB, "RAM"));
  }

  @ParameterizedTest
  @CsvSource({"4096, 4096", "655360, 655360", "1048576, 655360"})
  void shouldKeepSmallMemoryBelowTheHole(long size, long ramEnd) {
    assertThat(MemoryLayout.pc(size).ramEnd()).isEqualTo(ramEnd);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, -1, 4095, 4097, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 40, HostMemory.MAX_BYTES + 4096})
  void shouldRefuseAbsurdSizesWithOneLine(long size) {
    assertThatThrownBy(() -> MemoryLayout.pc(size)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(Long.toString(size)).hasMessageContaining("expected").message().doesNotContain("\n");
  }

  @Test
  void shouldNameBothSlotsThatOverlap() {
    MemoryLayout pc = MemoryLayout.pc(8 * MIB);
    assertThatThrownBy(() -> pc.with(new MemorySlot(MemorySlot.Kind.MMIO, 7 * MIB, 2 * MIB, "frame buffer")))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("RAM (RAM")
        .hasMessageContaining("frame buffer");
  }

  @Test
  void shouldRefuseTwoSlotsOfOneName() {
    assertThatThrownBy(() -> MemoryLayout.pc(MIB).with(new MemorySlot(MemorySlot.Kind.MMIO, 8 * MIB, 4096, "ROM")))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("different names");
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "0, 100", "0, -4096", "100, 4096", "-4096, 4096", "70368744173568, 8192"})
  void shouldRefuseSlotsThatAreNotPages(long gpa, long size) {
    assertThatThrownBy(() -> new MemorySlot(MemorySlot.Kind.RAM, gpa, size, "x"))
        .isInstanceOf(IllegalArgumentException.class).hasMessageStartingWith("x: ");
  }

  @Test
  void shouldTellTheGuestOfRamAndReservedMemoryButNotOfDevices() {
    MemoryLayout layout = MemoryLayout.pc(8 * MIB)
        .with(new MemorySlot(MemorySlot.Kind.RESERVED, 8 * MIB, 4096, "polled"))
        .with(new MemorySlot(MemorySlot.Kind.MMIO, 0xFEB00000L, 4096, "trapped"));
    assertThat(E820.of(layout).entries()).containsExactly(
        new E820.Entry(0, 0xA0000, 1), new E820.Entry(0xC0000, 0x40000, 2), new E820.Entry(MIB, 7 * MIB, 1),
        new E820.Entry(8 * MIB, 4096, 2));
  }

  @Test
  void shouldJoinNeighboursOfOneType() {
    MemoryLayout layout = new MemoryLayout(List.of(new MemorySlot(MemorySlot.Kind.RAM, 0, 4096, "a"),
        new MemorySlot(MemorySlot.Kind.RAM, 4096, 4096, "b"),
        new MemorySlot(MemorySlot.Kind.RESERVED, 8192, 4096, "c")));
    assertThat(E820.of(layout).entries()).containsExactly(new E820.Entry(0, 8192, 1), new E820.Entry(8192, 4096, 2));
    assertThat(E820.of(layout).isRam(100, 8092)).isTrue();
    assertThat(E820.of(layout).isRam(100, 8093)).isFalse();
  }

  @Test
  void shouldDivideTheRomAsTheChipsetDoesAndPutFirmwareBelow4Gib() {
    MemoryLayout layout = MemoryLayout.pc(8 * MIB).withAttributeSegments().withFirmware(0x40000);
    assertThat(layout.slots()).hasSize(1 + 13 + 1 + 1);
    assertThat(layout.at(0xEFFFF)).hasToString("ROM ec000 (READ_ONLY, 0xec000-0xeffff)");
    assertThat(layout.at(0xF0000)).hasToString("ROM f0000 (READ_ONLY, 0xf0000-0xfffff)");
    assertThat(layout.at(0xFFFF_FFFFL)).hasToString("firmware (READ_ONLY, 0xfffc0000-0xffffffff)");
    assertThat(layout.backedEnd()).isEqualTo(8 * MIB);
    assertThat(layout.nativeBytes()).isEqualTo(8 * MIB + 0x40000);
    assertThat(E820.of(layout).entries()).containsExactly(new E820.Entry(0, 0xA0000, 1),
        new E820.Entry(0xC0000, 0x40000, 2), new E820.Entry(MIB, 7 * MIB, 1), new E820.Entry(0xFFFC0000L, 0x40000, 2));
  }
}
