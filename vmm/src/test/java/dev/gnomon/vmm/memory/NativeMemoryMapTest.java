package dev.gnomon.vmm.memory;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.Translator;
import dev.gnomon.guest.mmu.WalkObserver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NativeMemoryMapTest {
  private static final long MIB = 1 << 20;
  private static final int ALL_RIGHTS = Translation.READABLE | Translation.WRITABLE | Translation.STAGE_WRITABLE
      | Translation.DIRTY;

  private final Translation out = new Translation();

  private static NativeMemoryMap map(int pageShift) {
    MemoryLayout layout = MemoryLayout.pc(8 * MIB);
    return new NativeMemoryMap(new IdentityWalker(pageShift),
        MemorySlots.identity(new HostMemory(0, layout.backedEnd(), 0), layout));
  }

  @ParameterizedTest
  @CsvSource({"5000, false", "9fff8, false", "a0000, true", "b8000, true", "c0000, false", "100000, false",
      "7ffff8, false", "800000, true", "feb00000, true"})
  void shouldSendAccessesWithoutMemoryToTheDeviceBus(String address, boolean device) {
    long gva = Long.parseLong(address, 16);
    long hpa = map(12).translate(gva, Access.READ, out);
    assertThat(DeviceAddress.is(hpa)).isEqualTo(device);
    assertThat(DeviceAddress.gpa(hpa)).isEqualTo(gva);
  }

  @Test
  void shouldLetReadsOfRomThroughAndWritesVanish() {
    assertThat(map(12).translate(0xF0000, Access.READ, out)).isEqualTo(0xF0000);
    assertThat(out.rights & Translation.STAGE_WRITABLE).isZero();
    assertThat(DeviceAddress.is(map(12).translate(0xF0000, Access.WRITE, out))).isTrue();
  }

  @ParameterizedTest
  @CsvSource({"12, 200000, 12", "21, 0, 12", "21, 100000, 12", "21, 200000, 21", "21, 600000, 21", "22, 0, 12",
      "22, 200000, 21", "22, 400000, 22", "30, 400000, 22", "30, 0, 12"})
  void shouldCutLargePagesWhereMemoryIsNotOfOnePiece(int guest, String address, int shift) {
    map(guest).translate(Long.parseLong(address, 16), Access.READ, out);
    assertThat(out.pageShift).isEqualTo(shift);
  }

  @Test
  void shouldHandOnFaults() {
    assertThat(map(12).translate(-1, Access.READ, out)).isEqualTo(-1);
  }

  /** Maps each address to itself with one page size; faults at negative ones. */
  private record IdentityWalker(int pageShift) implements Translator {
    @Override
    public long translate(long gva, int access, Translation out) {
      out.pageShift = pageShift;
      out.rights = ALL_RIGHTS;
      out.hpa = gva;
      return gva < 0 ? -1 : gva;
    }

    @Override
    public long peek(long gva, int access, Translation out, WalkObserver steps) {
      return translate(gva, access, out);
    }

    @Override
    public void flushAddress(long gva, int pcid) {}

    @Override
    public void flushLinear(int pcid) {}

    @Override
    public void flushAll() {}
  }
}
