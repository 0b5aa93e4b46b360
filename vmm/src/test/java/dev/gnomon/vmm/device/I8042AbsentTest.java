package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class I8042AbsentTest {
  private final List<ResetRequest.Source> resets = new ArrayList<>();
  private final Ports io = new Ports(new I8042Absent(resets::add));

  @Test
  void shouldEndLinuxFlushAsNoController() {
    int drained = 0;
    while ((io.inb(0x64) & 0x01) != 0 && drained < 17) {
      io.inb(0x60);
      drained++;
    }
    assertThat(drained).as("more than a controller's buffer of 16").isEqualTo(17);
  }

  @Test
  void shouldLookAbsentToLinuxA20Code() {
    assertThat(io.inb(0x64)).isEqualTo(0xFF);
  }

  @Test
  void shouldGiveMemtestNoKnownKey() {
    assertThat(io.inb(0x64) & 1).isEqualTo(1);
    assertThat(io.inb(0x60)).isEqualTo(0xFF);
  }

  @Test
  void shouldAskForResetOnPulseCommandsWithLineZeroOnly() {
    io.outb(0xFE, 0x60).outb(0xFF, 0x64).outb(0xD1, 0x64).outb(0xAE, 0x64);
    assertThat(resets).isEmpty();
    io.outb(0xFE, 0x64).outb(0xF0, 0x64);
    assertThat(resets).containsExactly(
        ResetRequest.Source.KEYBOARD_CONTROLLER, ResetRequest.Source.KEYBOARD_CONTROLLER);
  }

  @Test
  void shouldLeavePort61ToTheTimer() {
    io.bus().register(new Pit8254(InterruptLine.NONE));
    assertThat(io.bus().portOwner(0x61).name()).isEqualTo("pit");
  }
}
