package dev.gnomon.vmm.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.SlotMap;
import java.util.HashMap;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class MemorySlotsTest {
  private static final long MIB = 1 << 20;

  private static MemorySlots vm(MemoryLayout layout, BackingSize backing) {
    HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, backing), 0);
    return MemorySlots.virtual(memory, layout, backing);
  }

  private static MemoryLayout withDevices(long bytes) {
    return MemoryLayout.pc(bytes).with(new MemorySlot(MemorySlot.Kind.RESERVED, 16 * MIB, 8192, "polled"))
        .with(new MemorySlot(MemorySlot.Kind.MMIO, 0xFEB00000L, 4096, "trapped"));
  }

  @ParameterizedTest
  @CsvSource({"0, 1", "9ffff, 1", "a0000, 0", "b8000, 0", "c0000, 2", "fffff, 2", "100000, 1", "7fffff, 1", "800000, 0",
      "1000000, 1", "1001fff, 1", "1002000, 0", "feb00000, 0", "3fffffffffff, 0"})
  void shouldTellWhatLiesAtAnAddress(String gpa, int kind) {
    assertThat(vm(withDevices(8 * MIB), BackingSize.SIZE_4K).kind(Long.parseLong(gpa, 16))).isEqualTo(kind);
  }

  @Test
  void shouldBackOnFirstTouchInTheOrderOfTouches() {
    MemorySlots slots = vm(MemoryLayout.pc(8 * MIB), BackingSize.SIZE_4K);
    int atStart = slots.residentFrames();
    assertThat(atStart).isEqualTo(0x40);
    assertThat(slots.backing(0x5123)).isEqualTo(-1);
    assertThat(slots.back(0x700123)).isEqualTo(HostMemory.VM_DRAM_BASE + 0x123);
    assertThat(slots.back(0x5123)).isEqualTo(HostMemory.VM_DRAM_BASE + 0x1123);
    assertThat(slots.backing(0x5fff)).isEqualTo(HostMemory.VM_DRAM_BASE + 0x1fff);
    assertThat(slots.residentFrames()).isEqualTo(atStart + 2);
  }

  @Test
  void shouldAccountAWholePieceOnItsFirstTouch() {
    MemorySlots slots = vm(MemoryLayout.pc(8 * MIB), BackingSize.SIZE_2M);
    int atStart = slots.residentFrames();
    slots.back(3 * MIB);
    assertThat(slots.residentFrames()).isEqualTo(atStart + 512);
    slots.back(4 * MIB - 1);
    assertThat(slots.residentFrames()).isEqualTo(atStart + 512);
  }

  @Test
  void shouldHaveNoBackingWhereThereIsNoSlot() {
    MemorySlots slots = vm(withDevices(8 * MIB), BackingSize.SIZE_2M);
    assertThat(slots.back(0xB8000)).isEqualTo(-1);
    assertThat(slots.back(0xFEB00000L)).isEqualTo(-1);
    assertThat(slots.back(8 * MIB)).isEqualTo(-1);
  }

  @Test
  void shouldBackReservedAndReadOnlySlotsFromTheStart() {
    MemorySlots slots = vm(withDevices(8 * MIB), BackingSize.SIZE_4K);
    assertThat(slots.backing(16 * MIB)).isPositive();
    assertThat(slots.backing(16 * MIB + 4096)).isEqualTo(slots.backing(16 * MIB) + 4096);
    assertThat(slots.backing(0xF0000)).isPositive();
  }

  @Test
  void shouldReadAbsentRomAsOnes() {
    MemoryLayout layout = MemoryLayout.pc(2 * MIB);
    HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, BackingSize.SIZE_4K), 0);
    MemorySlots slots = MemorySlots.virtual(memory, layout, BackingSize.SIZE_4K);
    GuestPhysicalMemory guest = new GuestPhysicalMemory(memory, slots);
    assertThat(guest.read(0xF0000, 8)).isEqualTo(-1L);
    assertThat(guest.read(0x40E, 2)).isZero();
  }

  @ParameterizedTest
  @CsvSource({"4k, 200000, 12", "2m, 0, 12", "2m, 100000, 12", "2m, 200000, 21", "2m, 5fffff, 21", "2m, 600000, 12",
      "1g, 200000, 21", "1g, 600000, 12", "2m, f0000, 12", "2m, b8000, 12"})
  void shouldMapNoLargerThanSlotAndBackingAllow(String backing, String gpa, int shift) {
    assertThat(vm(MemoryLayout.pc(7 * MIB), BackingSize.parse(backing)).mappingShift(Long.parseLong(gpa, 16)))
        .isEqualTo(shift);
  }

  @Test
  void shouldKeepTheCutLastPieceBehindTheWholeOnes() {
    MemorySlots slots = vm(MemoryLayout.pc(7 * MIB), BackingSize.SIZE_2M);
    assertThat(slots.back(6 * MIB)).isEqualTo(HostMemory.VM_DRAM_BASE + 6 * MIB);
    assertThat(slots.back(4 * MIB)).isEqualTo(HostMemory.VM_DRAM_BASE);
    assertThat(slots.back(0)).isEqualTo(HostMemory.VM_DRAM_BASE + 2 * MIB);
  }

  @Test
  void shouldNeedLittleHostMemoryForASmallVmWithHugeBacking() {
    assertThat(MemorySlots.hostBytes(MemoryLayout.pc(8 * MIB), BackingSize.SIZE_1G)).isEqualTo(8 * MIB + 0x40000);
    assertThat(MemorySlots.hostBytes(MemoryLayout.pc(8 * MIB), BackingSize.SIZE_4K))
        .isEqualTo(8 * MIB - 0x60000 + 0x40000);
  }

  @ParameterizedTest
  @EnumSource(BackingSize.class)
  void shouldGiveEachPageItsOwnFrame(BackingSize backing) {
    MemoryLayout layout = withDevices(5 * MIB + 4096);
    MemorySlots slots = vm(layout, backing);
    Map<Long, Long> owner = new HashMap<>();
    for (MemorySlot slot : layout.slots()) {
      for (long gpa = slot.gpa(); gpa < slot.end() && slot.kind() != MemorySlot.Kind.MMIO; gpa += 4096) {
        assertThat(owner.put(slots.back(gpa), gpa)).isNull();
      }
    }
    long top = HostMemory.VM_DRAM_BASE + MemorySlots.hostBytes(layout, backing);
    assertThat(owner.keySet()).allMatch(hpa -> hpa >= HostMemory.VM_DRAM_BASE && hpa < top);
  }

  @Property(tries = 200)
  void shouldStandByTheMappingSizeItPromises(@ForAll @IntRange(max = 2) int backing,
      @ForAll @IntRange(min = 1, max = 3000) int pages, @ForAll @IntRange(max = 3000) int page) {
    MemorySlots slots = vm(MemoryLayout.pc(pages * 4096L), BackingSize.values()[backing]);
    long gpa = page * 4096L;
    int shift = slots.mappingShift(gpa);
    if (slots.kind(gpa) != SlotMap.NONE) {
      long start = gpa & -(1L << shift);
      long hpa = slots.back(start);
      assertThat(hpa & (1L << shift) - 1).isZero();
      for (long p = start; p < start + (1L << shift); p += 4096) {
        assertThat(slots.kind(p)).isEqualTo(slots.kind(gpa));
        assertThat(slots.back(p)).isEqualTo(hpa + p - start);
      }
    }
  }

  @Test
  void shouldCountGenerationsAsDevicesComeAndGo() {
    MemorySlots slots = vm(withDevices(8 * MIB), BackingSize.SIZE_2M);
    long polled = slots.back(16 * MIB);
    assertThat(slots.generation()).isZero();
    slots.add(new MemorySlot(MemorySlot.Kind.MMIO, 9 * MIB, 4096, "late"));
    assertThat(slots.generation()).isEqualTo(1);
    slots.remove("late");
    assertThat(slots.generation()).isEqualTo(2);
    assertThat(slots.back(16 * MIB)).isEqualTo(polled);
    slots.remove("RAM");
    assertThat(slots.kind(2 * MIB)).isEqualTo(SlotMap.NONE);
    assertThatThrownBy(() -> slots.remove("RAM")).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("RAM");
    assertThatThrownBy(() -> slots.add(new MemorySlot(MemorySlot.Kind.RAM, 20 * MIB, 4096, "more")))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("more");
  }

  @Test
  void shouldBeTheIdentityNatively() {
    MemoryLayout layout = withDevices(8 * MIB);
    MemorySlots slots = MemorySlots.identity(new HostMemory(0, layout.backedEnd(), 0), layout);
    assertThat(slots.back(0x123456)).isEqualTo(0x123456);
    assertThat(slots.backing(16 * MIB)).isEqualTo(16 * MIB);
    assertThat(slots.back(0xB8000)).isEqualTo(-1);
    assertThat(slots.mappingShift(4 * MIB)).isEqualTo(21);
    assertThat(slots.mappingShift(0)).isEqualTo(12);
  }

  @Test
  void shouldRefuseTooLittleHostMemory() {
    HostMemory small = new HostMemory(HostMemory.VM_DRAM_BASE, MIB, 0);
    assertThatThrownBy(() -> MemorySlots.virtual(small, MemoryLayout.pc(8 * MIB), BackingSize.SIZE_4K))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected at least");
  }

  @Test
  void shouldNameTheBackingSizesThatThereAre() {
    assertThatThrownBy(() -> BackingSize.parse("3m")).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("4k, 2m or 1g");
  }
}
