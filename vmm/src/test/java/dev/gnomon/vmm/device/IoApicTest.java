package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IoApicTest {
  private final ApicBus bus = new ApicBus();
  private final DeviceBus memory = new DeviceBus();
  private int nmis;
  private final LocalApic local = new LocalApic(0, bus, () -> 0, () -> nmis++, false);
  private final IoApic io = new IoApic(bus);

  @BeforeEach
  void plugIn() {
    memory.register(io);
    local.write(0xF0, 4, 0x1FF, 0);
  }

  private int read(int register) {
    memory.mmioWrite(IoApic.BASE, 1, register, 0);
    return (int) memory.mmioRead(IoApic.BASE + 0x10, 4, 0);
  }

  private void write(int register, int value) {
    memory.mmioWrite(IoApic.BASE, 4, register, 0);
    memory.mmioWrite(IoApic.BASE + 0x10, 4, value & 0xFFFF_FFFFL, 0);
  }

  private void entry(int input, int low) {
    write(0x10 + 2 * input, low);
  }

  private void endOfInterrupt() {
    local.write(0xB0, 4, 0, 0);
  }

  private void pulse(int input) {
    io.line(input).set(true);
    io.line(input).set(false);
  }

  @ParameterizedTest
  @CsvSource({"00,00000000,0F000000", "01,00170011,00170011", "02,00000000,00000000", "10,00010000,0001AFFF",
      "11,00000000,FF000000", "3E,00010000,0001AFFF",
      "3F,00000000,FF000000", "40,00000000,00000000", "FF,00000000,00000000"})
  void shouldHaveTheDataSheetsRegisters(String register, String reset, String allOnes) {
    int number = Integer.parseInt(register, 16);
    assertThat(read(number)).isEqualTo(Integer.parseUnsignedInt(reset, 16));
    write(number, -1);
    assertThat(read(number)).isEqualTo(Integer.parseUnsignedInt(allOnes, 16));
  }

  @Test
  void shouldReachEveryInput() {
    for (int input = 0; input < 24; input++) {
      entry(input, 0x30 + input);
      pulse(input);
      assertThat(local.acknowledge()).isEqualTo(0x30 + input);
      endOfInterrupt();
    }
    assertThatThrownBy(() -> io.line(24)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldLoseEdgesBehindTheMask() {
    entry(3, 0x1_0041);
    io.line(3).set(true);
    entry(3, 0x41);
    assertThat(local.pending()).isFalse();
    io.line(3).set(false);
    io.line(3).set(true);
    assertThat(local.acknowledge()).isEqualTo(0x41);
    io.line(3).set(true);
    endOfInterrupt();
    assertThat(local.pending()).as("one rise, one interrupt").isFalse();
  }

  @Test
  void shouldRepeatLevelsAfterTheirEnd() {
    entry(9, 0x8041);
    io.line(9).set(true);
    assertThat(read(0x10 + 18)).isEqualTo(0xC041);
    assertThat(local.acknowledge()).isEqualTo(0x41);
    io.line(9).set(false);
    io.line(9).set(true);
    endOfInterrupt();
    assertThat(local.acknowledge()).as("still up").isEqualTo(0x41);
    io.line(9).set(false);
    endOfInterrupt();
    assertThat(local.pending()).isFalse();
    assertThat(read(0x10 + 18)).isEqualTo(0x8041);
  }

  @Test
  void shouldSendLevelsWhenUnmasked() {
    entry(9, 0x1_8041);
    io.line(9).set(true);
    assertThat(local.pending()).isFalse();
    entry(9, 0x8041);
    assertThat(local.pending()).isTrue();
    entry(9, 0x1_8041);
    entry(9, 0x8041);
    assertThat(read(0x10 + 18)).as("remote IRR stays").isEqualTo(0xC041);
  }

  @Test
  void shouldForgetRemoteIrrWhenMadeEdgeTriggered() {
    entry(9, 0x8041);
    io.line(9).set(true);
    entry(9, 0x1_0041);
    assertThat(read(0x10 + 18)).isEqualTo(0x1_0041);
    io.line(9).set(false);
    entry(9, 0x8041);
    assertThat(read(0x10 + 18)).isEqualTo(0x8041);
  }

  @Test
  void shouldSendNmi() {
    entry(2, 0x400);
    pulse(2);
    assertThat(nmis).isEqualTo(1);
    assertThat(local.pending()).isFalse();
  }

  @Test
  void shouldSendToItsDestinationOnly() {
    write(0x11, 0x0500_0000);
    entry(0, 0x41);
    pulse(0);
    assertThat(local.pending()).isFalse();
    local.write(0xD0, 4, 0x0400_0000, 0);
    entry(0, 0x841);
    pulse(0);
    assertThat(local.pending()).as("logical").isTrue();
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    io.setId(1);
    entry(9, 0x8041);
    io.line(9).set(true);
    IoApic copy = new IoApic(new ApicBus());
    DeviceFixtures.load(copy, DeviceFixtures.save(io));
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(io));
  }
}
