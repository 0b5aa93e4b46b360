package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class DebugExitTest {
  private final List<Integer> statuses = new ArrayList<>();
  private final DebugExit exit = new DebugExit(statuses::add);
  private final DeviceBus bus = new Ports(exit).bus();

  @Test
  void shouldExitOnceWithOddStatusForEachSize() {
    bus.out(0xF4, 1, 0x10, 0);
    bus.out(0xF4, 2, 0x1234, 0);
    bus.out(0xF4, 4, 0x0001_0000, 0);
    bus.out(0xF4, 4, 0, 0);
    assertThat(statuses).containsExactly(0x21, 0x2469, 0x20001, 1);
  }

  @Test
  void shouldIgnoreBitsAboveTheAccess() {
    bus.out(0xF4, 1, 0xFFFF_FF00, 0);
    assertThat(statuses).containsExactly(1);
  }

  @Test
  void shouldReadZero() {
    assertThat(bus.in(0xF4, 4, 0)).isZero();
  }
}
