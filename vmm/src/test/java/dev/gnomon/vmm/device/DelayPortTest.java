package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingSink;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class DelayPortTest {
  private final RecordingSink posts = new RecordingSink();
  private final DelayPort delay = new DelayPort(posts);
  private final Ports io = new Ports(delay);

  @Test
  void shouldAcceptDelaysAtBothPorts() {
    io.outb(0x41, 0x80).outb(0x99, 0xED).outb(0x42, 0x80);
    assertThat(io.inb(0xED)).isEqualTo(0xFF);
    assertThat(posts.text()).isEqualTo("AB");
  }

  @Test
  void shouldKeepTheLastPostCode() throws IOException {
    io.outb(0xA7, 0x80);
    assertThat(io.inb(0x80)).isEqualTo(0xA7);
    assertThat(delay.lastPost()).isEqualTo(0xA7);
    DelayPort copy = new DelayPort(ByteSink.DISCARD);
    DeviceFixtures.load(copy, DeviceFixtures.save(delay));
    assertThat(copy.lastPost()).isEqualTo(0xA7);
    delay.reset();
    assertThat(delay.lastPost()).isZero();
  }
}
