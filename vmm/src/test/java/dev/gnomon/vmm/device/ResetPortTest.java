package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ResetPortTest {
  private final List<ResetRequest.Source> resets = new ArrayList<>();
  private final ResetPort port = new ResetPort(resets::add);
  private final Ports io = new Ports(port);

  @Test
  void shouldResetHardByLinuxCf9Sequence() {
    int cf9 = io.inb(0xCF9) & ~0x06;
    io.outb(cf9 | 0x02, 0xCF9);
    assertThat(resets).isEmpty();
    io.outb(cf9 | 0x06, 0xCF9);
    assertThat(resets).containsExactly(ResetRequest.Source.CF9_HARD);
  }

  @Test
  void shouldResetSoftlyWithoutSysRstAndOnlyOnARisingBit() {
    io.outb(0x04, 0xCF9).outb(0x04, 0xCF9);
    assertThat(resets).containsExactly(ResetRequest.Source.CF9_SOFT);
    assertThat(io.inb(0xCF9)).isEqualTo(0x04);
    io.outb(0x00, 0xCF9).outb(0x06, 0xCF9);
    assertThat(resets).hasSize(2);
  }

  @Test
  void shouldNotTakePciConfigurationAddressForReset() {
    io.bus().out(0xCF8, 4, 0x8000_0604, 0);
    io.bus().out(0xCF8, 2, 0x0600, 0);
    io.outb(0x01, 0xCFB);
    assertThat(resets).isEmpty();
    assertThat(io.bus().in(0xCF8, 4, 0)).as("no PCI").isEqualTo(-1);
    assertThat(io.bus().in(0xCF8, 2, 0)).isEqualTo(0xFFFF);
    assertThat(io.inb(0xCF8)).isEqualTo(0xFF);
    assertThat(io.bus().in(0xCFC, 4, 0)).isEqualTo(-1);
  }

  @Test
  void shouldResetByPort92AndKeepA20Bit() {
    assertThat(io.inb(0x92)).as("A20 on").isEqualTo(0x02);
    io.outb(io.inb(0x92) & ~1 | 2, 0x92);
    assertThat(resets).isEmpty();
    io.outb(0x03, 0x92).outb(0x03, 0x92);
    assertThat(resets).containsExactly(ResetRequest.Source.PORT_92);
    io.outb(0x00, 0x92);
    assertThat(io.inb(0x92)).isZero();
  }

  @Test
  void shouldContinueFromSavedStateAndForgetItOnReset() throws IOException {
    io.outb(0x02, 0xCF9).outb(0x00, 0x92);
    ResetPort copy = new ResetPort(resets::add);
    DeviceFixtures.load(copy, DeviceFixtures.save(port));
    assertThat(copy.peek(0xCF9, 1)).isEqualTo(0x02);
    assertThat(copy.peek(0x92, 1)).isZero();
    copy.reset();
    assertThat(copy.peek(0xCF9, 1)).isZero();
    assertThat(copy.peek(0x92, 1)).isEqualTo(0x02);
  }
}
