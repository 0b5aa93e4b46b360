package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingSink;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class SerialInputTest {
  private static final int DATA = 0x3F8;
  private static final int FCR = 0x3FA;
  private static final int LSR = 0x3FD;
  private static final int MCR = 0x3FC;

  private final Uart16550 uart = new Uart16550("com1", Uart16550.COM1_PORT, new RecordingLine(), new RecordingSink());
  private final Ports io = new Ports(uart);

  @Test
  void shouldKeepOrderWhateverTheTimesAndHoweverMany() {
    SerialInput input = new SerialInput();
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < 150; i++) {
        input.add(i == 10 ? 3 : 1000 + i, i);
      }
      long before = 0;
      for (int i = 0; i < 150; i++) {
        assertThat(input.nextNs()).isGreaterThanOrEqualTo(before);
        before = input.nextNs();
        assertThat(input.take()).isEqualTo(i);
      }
    }
    assertThat(input.nextNs()).isEqualTo(Long.MAX_VALUE);
    assertThatThrownBy(input::take).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void shouldArriveAtItsTimeAndNotBefore() {
    uart.input().add(500, 'a');
    assertThat(uart.nextDeadline()).isEqualTo(500);
    uart.advanceTo(499);
    assertThat(io.inb(LSR) & 1).isZero();
    uart.advanceTo(500);
    assertThat(io.inb(LSR) & 1).isOne();
    assertThat(io.inb(DATA)).isEqualTo('a');
  }

  @Test
  void shouldWaitForRoomAndLoseNothing() {
    io.outb(1, FCR);
    for (int i = 0; i < 100; i++) {
      uart.input().add(10, i);
    }
    io.now = 10;
    uart.advanceTo(10);
    assertThat(uart.input().size()).isEqualTo(84);
    assertThat(uart.nextDeadline()).as("only the receive timeout").isGreaterThan(10);
    for (int i = 0; i < 100; i++) {
      assertThat(io.inb(LSR) & 3).as("data and no overrun").isOne();
      assertThat(io.inb(DATA)).isEqualTo(i);
    }
    assertThat(io.inb(LSR) & 1).isZero();
  }

  @Test
  void shouldHoldOneByteWithFifosOffAndNoneInLoopback() {
    uart.input().add(3, 'x');
    uart.input().add(3, 'y');
    io.outb(0x10, MCR);
    uart.advanceTo(5);
    assertThat(uart.input().size()).isEqualTo(2);
    assertThat(uart.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    io.now = 5;
    io.outb(0, MCR);
    assertThat(uart.input().size()).isOne();
    assertThat(io.inb(DATA)).isEqualTo('x');
    assertThat(io.inb(DATA)).isEqualTo('y');
  }

  @Test
  void shouldSaveWhatHasNotArrived() throws IOException {
    uart.input().add(7, 'p');
    uart.input().add(9, 'q');
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    uart.save(new DataOutputStream(bytes));
    Uart16550 other = new Uart16550("com1", Uart16550.COM1_PORT, new RecordingLine(), new RecordingSink());
    other.load(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
    assertThat(other.input().size()).isEqualTo(2);
    assertThat(other.nextDeadline()).isEqualTo(7);
  }
}
