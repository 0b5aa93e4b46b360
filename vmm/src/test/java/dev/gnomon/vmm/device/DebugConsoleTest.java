package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingSink;
import org.junit.jupiter.api.Test;

class DebugConsoleTest {
  private final RecordingSink sink = new RecordingSink();
  private final Ports io = new Ports(new DebugConsole(sink));

  @Test
  void shouldBeFoundByItsSignature() {
    assertThat(io.inb(0xE9)).isEqualTo(0xE9);
    assertThat(io.inb(0x402)).as("where SeaBIOS looks").isEqualTo(0xE9);
  }

  @Test
  void shouldPassCharactersOn() {
    "ok\n".chars().forEach(c -> io.outb(c, 0xE9));
    io.bus().out(0xE9, 2, 'x' << 8 | '!', 0);
    io.outb('.', 0x402);
    assertThat(sink.text()).isEqualTo("ok\n!.");
  }
}
