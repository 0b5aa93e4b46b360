package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlots;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FwCfgTest {
  private static final int REQUEST = 0x1000;
  private static final int TARGET = 0x2000;

  private final GuestPhysicalMemory memory = memory();
  private final FwCfg device = new FwCfg(memory).add(FwCfg.RAM_SIZE, 0x1234_5678_9ABCL, 8).add(FwCfg.NB_CPUS, 1, 2)
      .addFile("zz/last", new byte[] {9}).addFile("etc/e820", "abcdefgh".getBytes(StandardCharsets.US_ASCII));
  private final DeviceBus bus = new DeviceBus();

  FwCfgTest() {
    bus.register(device);
  }

  private static GuestPhysicalMemory memory() {
    HostMemory host = new HostMemory(0, 1 << 20, 0);
    return new GuestPhysicalMemory(host, MemorySlots.identity(host, MemoryLayout.pc(1 << 20)));
  }

  private String read(int count) {
    StringBuilder hex = new StringBuilder();
    for (int i = 0; i < count; i++) {
      hex.append(String.format("%02x", bus.in(0x511, 1, 0)));
    }
    return hex.toString();
  }

  private void select(int key) {
    bus.out(0x510, 2, key, 0);
  }

  /** Key and first bytes, zeros behind the end. */
  @ParameterizedTest
  @CsvSource({"0000,51454d550000", "0001,030000000000", "0003,bc9a78563412000000", "0005,01000000", "0019,00000002",
      "0020,616263646566676800", "0021,0900", "0022,0000", "1234,0000"})
  void shouldGiveItems(String key, String bytes) {
    select(Integer.parseInt(key, 16));
    assertThat(read(bytes.length() / 2)).isEqualTo(bytes);
  }

  @Test
  void shouldListFilesByName() {
    select(0x19);
    read(4);
    assertThat(read(8)).as("8 bytes, item 20h").isEqualTo("0000000800200000");
    assertThat(read(10)).isEqualTo("6574632f653832300000");
    read(46);
    assertThat(read(8)).isEqualTo("0000000100210000");
  }

  @Test
  void shouldBeginAnewWhenSelectedAgain() {
    select(0x20);
    read(3);
    select(0x20);
    assertThat(read(2)).isEqualTo("6162");
    bus.out(0x511, 1, 0xFF, 0);
    assertThat(read(1)).as("writes have no effect").isEqualTo("63");
  }

  @Test
  void shouldSayThatItHasDma() {
    assertThat(bus.in(0x514, 4, 0)).isEqualTo(0x554D4551);
    assertThat(bus.in(0x518, 4, 0)).isEqualTo(0x47464320);
    assertThat(bus.in(0x515, 1, 0)).isEqualTo('E');
  }

  private int request(int control, int length, long target) {
    memory.write(REQUEST, ByteBuffer.allocate(16).putInt(control).putInt(length).putLong(target).array());
    bus.out(0x514, 4, 0, 0);
    bus.out(0x518, 4, Integer.reverseBytes(REQUEST), 0);
    return ByteBuffer.wrap(memory.read(REQUEST, 4, 4)).getInt();
  }

  /** Control word, length, target, control word left, then what comes next at the data port. */
  @ParameterizedTest
  @CsvSource({"0020000A,4,2000,0,65", "0020000C,3,0,0,64", "00200008,0,0,0,61", "00200018,1,2000,1,61",
      "0020000A,4,F0000,1,61", "0020000A,4,A0000,1,61", "0020000A,2000000,2000,1,61", "0020000A,20,2000,0,00",
      "0020000C,FFFFFFFF,0,0,00"})
  void shouldCarryOutRequestsInMemory(String control, String length, String target, int left, String next) {
    assertThat(request(Integer.parseUnsignedInt(control, 16), Integer.parseUnsignedInt(length, 16),
        Long.parseLong(target, 16))).isEqualTo(left);
    assertThat(read(1)).isEqualTo(next);
  }

  @Test
  void shouldReadOnFromWhereItStood() {
    memory.write(TARGET, 8, -1);
    assertThat(request(0x0020_000C, 2, 0)).isZero();
    assertThat(request(0x2, 3, TARGET + 1)).isZero();
    assertThat(memory.read(TARGET, 8)).isEqualTo(0xFFFF_FFFF_6564_63FFL);
    assertThat(request(0x2, 5, TARGET)).isZero();
    assertThat(memory.read(TARGET, 8)).as("zeros behind the end").isEqualTo(0xFFFF_FF00_0068_6766L);
  }

  @Test
  void shouldIgnoreARequestOutsideMemory() {
    bus.out(0x518, 4, Integer.reverseBytes(0xFFFF_0000), 0);
    bus.out(0x514, 4, -1, 0);
    bus.out(0x518, 4, -1, 0);
    select(0);
    assertThat(read(1)).isEqualTo("51");
  }

  @Test
  void shouldRefuseItemsThatAreTaken() {
    assertThatThrownBy(() -> device.add(FwCfg.NB_CPUS, 2, 2)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> device.addFile("etc/e820", new byte[1])).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    select(0x20);
    read(2);
    byte[] saved = DeviceFixtures.save(device);
    read(5);
    DeviceFixtures.load(device, saved);
    assertThat(read(1)).isEqualTo("63");
  }
}
