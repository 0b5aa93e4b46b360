package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingSink;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class Uart16550Test {
  private static final int DATA = 0x3F8;
  private static final int IER = 0x3F9;
  private static final int IIR = 0x3FA;
  private static final int FCR = 0x3FA;
  private static final int LCR = 0x3FB;
  private static final int MCR = 0x3FC;
  private static final int LSR = 0x3FD;
  private static final int MSR = 0x3FE;
  private static final int SCR = 0x3FF;
  private static final int OUT2 = 0x08;
  /** Four characters of 10 bits at 115200 baud. */
  private static final long TIMEOUT_NS = 4L * 10 * 1_000_000_000 / 115_200;

  private final RecordingLine irq = new RecordingLine();
  private final RecordingSink sink = new RecordingSink();
  private final Uart16550 uart = new Uart16550("com1", Uart16550.COM1_PORT, irq, sink);
  private final Ports io = new Ports(uart);

  private void receive(String text) {
    text.chars().forEach(c -> uart.receive(c, io.now));
  }

  private void setUp115200WithFifos(int trigger) {
    io.outb(0x83, LCR).outb(1, DATA).outb(0, IER).outb(0x03, LCR).outb(trigger << 6 | 0x07, FCR).outb(OUT2 | 3, MCR);
  }

  @Test
  void shouldBeFoundAs16550AByLinuxProbe() {
    int ier = io.inb(IER);
    io.outb(0, IER);
    assertThat(io.inb(IER) & 0x0F).isZero();
    io.outb(0x0F, IER);
    assertThat(io.inb(IER) & 0x0F).isEqualTo(0x0F);
    io.outb(ier, IER);

    int mcr = io.inb(MCR);
    int lcr = io.inb(LCR);
    io.outb(0x10 | 0x0A, MCR);
    assertThat(io.inb(MSR) & 0xF0).isEqualTo(0x90);
    io.outb(mcr, MCR);

    io.outb(0xBF, LCR).outb(0, FCR).outb(0, LCR).outb(0x01, FCR);
    assertThat(io.inb(IIR) >> 6).as("both FIFO bits: 16550A").isEqualTo(3);

    io.outb(0x80, LCR);
    assertThat(io.inb(IIR)).as("no EFR while DLAB is set").isNotZero();
    io.outb(0xBF, LCR);
    assertThat(io.inb(IIR)).as("no EFR behind BFh").isNotZero();

    io.outb(0, LCR).outb(0x21, FCR);
    assertThat(io.inb(IIR) >> 5).as("no 64-byte FIFO").isEqualTo(6);
    io.outb(0x01, FCR).outb(0x80, LCR).outb(0x21, FCR);
    assertThat(io.inb(IIR) >> 5).isEqualTo(6);
    io.outb(0x01, FCR).outb(0, LCR);

    io.outb(0x40, IER);
    assertThat(io.inb(IER)).as("no UART unit enable bit: not an XScale").isZero();
    io.outb(lcr, LCR);
    assertThat(sink.text()).isEmpty();
  }

  @Test
  void shouldPassLinuxStartupTestsForBrokenTransmitInterrupts() {
    io.outb(0x01, FCR).outb(0x07, FCR).outb(0x00, FCR);
    io.inb(LSR);
    io.inb(DATA);
    io.inb(IIR);
    io.inb(MSR);
    assertThat(io.inb(LSR)).isEqualTo(0x60);

    io.outb(0x02, IER);
    assertThat(io.inb(IIR) & 0x0F).isEqualTo(0x02);
    io.outb(0, IER).outb(0x02, IER);
    assertThat(io.inb(IIR) & 0x0F).as("asserted again after a toggle").isEqualTo(0x02);
    io.outb(0, IER).outb(0x03, LCR).outb(OUT2, MCR);
    io.outb(0x02, IER);
    assertThat(io.inb(LSR) & 0x40).isEqualTo(0x40);
    assertThat(io.inb(IIR) & 1).isZero();
  }

  @Test
  void shouldSendPolledOutputAsMemtestDoes() {
    int lcr = io.inb(LCR);
    io.outb(lcr | 0x80, LCR).outb(1, DATA).outb(0, IER).outb(lcr, LCR);
    io.outb(0x03, LCR).outb(0, IER);
    for (char c : "Pass".toCharArray()) {
      assertThat(io.inb(LSR) & 0x60).isEqualTo(0x60);
      io.outb(c, DATA);
    }
    assertThat(sink.text()).isEqualTo("Pass");
    assertThat(irq.rises).isZero();
  }

  @Test
  void shouldShowDivisorOnlyBehindDlab() {
    io.outb(0x80, LCR).outb(0x34, DATA).outb(0x12, IER);
    assertThat(io.inb(DATA)).isEqualTo(0x34);
    assertThat(io.inb(IER)).isEqualTo(0x12);
    io.outb(0, LCR);
    assertThat(io.inb(IER)).isZero();
    assertThat(io.inb(DATA)).isZero();
    assertThat(sink.text()).isEmpty();
  }

  @Test
  void shouldKeepScratchAndIgnoreWritesToStatusRegisters() {
    io.outb(0xA5, SCR).outb(0xFF, LSR).outb(0xFF, MSR).outb(0xFF, MCR).outb(0xFF, IER);
    assertThat(io.inb(SCR)).isEqualTo(0xA5);
    assertThat(io.inb(LSR)).isEqualTo(0x60);
    assertThat(io.inb(MCR)).isEqualTo(0x1F);
    assertThat(io.inb(IER)).isEqualTo(0x0F);
  }

  @Test
  void shouldInterruptOnceForEachByteSentAndClearByReadingIir() {
    io.outb(OUT2, MCR).outb(0x02, IER);
    assertThat(irq.level).isTrue();
    assertThat(io.inb(IIR)).isEqualTo(0x02);
    assertThat(irq.level).isFalse();
    assertThat(io.inb(IIR)).isEqualTo(0x01);

    int before = irq.rises;
    io.outb('a', DATA).outb('b', DATA);
    assertThat(irq.rises).as("an edge for each byte").isEqualTo(before + 2);
    assertThat(irq.level).isTrue();
    io.outb(0, IER);
    assertThat(irq.level).isFalse();
  }

  @Test
  void shouldNotClearTransmitInterruptWhenIirReportsSomethingElse() {
    io.outb(OUT2, MCR).outb(0x03, IER);
    receive("x");
    assertThat(io.inb(IIR)).isEqualTo(0x04);
    io.inb(DATA);
    assertThat(io.inb(IIR)).isEqualTo(0x02);
  }

  @Test
  void shouldReportSourcesInPriorityOrder() {
    io.outb(OUT2, MCR).outb(0x0F, IER);
    uart.setModemLines(0);
    receive("ab");

    assertThat(io.inb(IIR)).isEqualTo(0x06);
    assertThat(io.inb(LSR)).as("overrun and data").isEqualTo(0x63);
    assertThat(io.inb(IIR)).isEqualTo(0x04);
    assertThat(io.inb(DATA)).isEqualTo('b');
    assertThat(io.inb(IIR)).isEqualTo(0x02);
    assertThat(io.inb(IIR)).isEqualTo(0x00);
    assertThat(io.inb(MSR)).isEqualTo(0x0B);
    assertThat(io.inb(IIR)).isEqualTo(0x01);
    assertThat(irq.level).isFalse();
  }

  @Test
  void shouldGateInterruptByOut2() {
    io.outb(0x01, IER);
    receive("x");
    assertThat(io.inb(IIR)).isEqualTo(0x04);
    assertThat(irq.level).isFalse();
    io.outb(OUT2, MCR);
    assertThat(irq.level).isTrue();
    io.outb(OUT2 | 0x10, MCR);
    assertThat(irq.level).as("OUT2 is disconnected in loopback").isFalse();
  }

  @Test
  void shouldInterruptWithoutOut2IfBuiltUngated() {
    RecordingLine line = new RecordingLine();
    Uart16550 ungated = new Uart16550("com2", 0x2F8, line, sink, false);
    ungated.out(0x2F9, 1, 0x01, 0);
    ungated.receive('x', 0);
    assertThat(line.level).isTrue();
  }

  @Test
  void shouldInterruptAtTriggerLevelAndDropBelowIt() {
    int[] levels = {1, 4, 8, 14};
    for (int t = 0; t < levels.length; t++) {
      setUp115200WithFifos(t);
      io.outb(0x01, IER);
      for (int i = 0; i < levels[t]; i++) {
        assertThat(irq.level).as("%d of %d", i, levels[t]).isFalse();
        uart.receive('0' + i, io.now);
      }
      assertThat(io.inb(IIR)).isEqualTo(0xC4);
      assertThat(irq.level).isTrue();
      io.inb(DATA);
      assertThat(irq.level).isFalse();
    }
  }

  @Test
  void shouldRaiseReceiveTimeoutFourCharactersAfterTheLastByte() {
    setUp115200WithFifos(3);
    io.outb(0x01, IER);
    io.now = 1000;
    receive("ab");
    assertThat(uart.nextDeadline()).isEqualTo(1000 + TIMEOUT_NS);
    io.runTo(1000 + TIMEOUT_NS - 1);
    assertThat(irq.level).isFalse();
    io.runTo(1000 + TIMEOUT_NS);
    assertThat(irq.level).isTrue();
    assertThat(io.inb(IIR)).isEqualTo(0xCC);
    assertThat(io.inb(DATA)).isEqualTo('a');
    assertThat(irq.level).isFalse();
    assertThat(uart.nextDeadline()).isEqualTo(1000 + 2 * TIMEOUT_NS);
    assertThat(io.inb(DATA)).isEqualTo('b');
    assertThat(uart.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    assertThat(io.inb(LSR)).isEqualTo(0x60);
  }

  @Test
  void shouldTakeTimeoutFromDivisorAndFrame() {
    io.outb(0x80, LCR).outb(12, DATA).outb(0, IER).outb(0x1F, LCR).outb(0x01, FCR);
    receive("x");
    assertThat(uart.nextDeadline()).as("12 bits at 9600 baud").isEqualTo(4L * 12 * 12 * 1_000_000_000 / 115_200);
  }

  @Test
  void shouldKeepOldBytesOnFifoOverrunAndNewestWithoutFifo() {
    setUp115200WithFifos(0);
    for (int i = 0; i < 16; i++) {
      assertThat(uart.canReceive()).isTrue();
      uart.receive('a' + i, 0);
    }
    assertThat(uart.canReceive()).isFalse();
    uart.receive('!', 0);
    assertThat(io.inb(LSR)).isEqualTo(0x63);
    assertThat(io.inb(LSR)).as("reading cleared the overrun").isEqualTo(0x61);
    for (int i = 0; i < 16; i++) {
      assertThat(io.inb(DATA)).isEqualTo('a' + i);
    }
    assertThat(io.inb(LSR)).isEqualTo(0x60);

    io.outb(0, FCR);
    receive("xy");
    assertThat(uart.canReceive()).isFalse();
    assertThat(io.inb(LSR)).isEqualTo(0x63);
    assertThat(io.inb(DATA)).isEqualTo('y');
  }

  @Test
  void shouldShowBreakWhenItReachesTheTopOfTheFifo() {
    setUp115200WithFifos(0);
    io.outb(0x04, IER);
    receive("a");
    uart.receiveBreak(0);
    assertThat(io.inb(LSR)).as("an error further down").isEqualTo(0xE1);
    assertThat(irq.level).isFalse();
    io.inb(DATA);
    assertThat(io.inb(IIR)).isEqualTo(0xC6);
    assertThat(io.inb(LSR)).isEqualTo(0xF9);
    assertThat(io.inb(LSR)).isEqualTo(0x61);
    assertThat(io.inb(DATA)).isZero();
  }

  @Test
  void shouldEmptyFifosOnResetBitAndOnSwitching() {
    setUp115200WithFifos(0);
    receive("abc");
    io.outb(0x03, FCR);
    assertThat(io.inb(LSR)).isEqualTo(0x60);
    receive("abc");
    io.outb(0x01, FCR);
    assertThat(io.inb(LSR)).isEqualTo(0x61);
    io.outb(0x00, FCR);
    assertThat(io.inb(LSR)).isEqualTo(0x60);
    assertThat(io.inb(IIR)).isEqualTo(0x01);
  }

  @Test
  void shouldLoopDataAndModemLinesBack() {
    io.outb(0x01, FCR).outb(0x10, MCR);
    io.inb(MSR);
    io.outb('L', DATA);
    assertThat(sink.text()).isEmpty();
    assertThat(io.inb(LSR)).isEqualTo(0x61);
    assertThat(io.inb(DATA)).isEqualTo('L');
    assertThat(uart.canReceive()).isFalse();
    uart.receive('!', 0);
    assertThat(io.inb(LSR)).as("the connector is cut off").isEqualTo(0x60);

    int[][] rows = {{0x01, 0x20}, {0x02, 0x10}, {0x04, 0x40}, {0x08, 0x80}, {0x0F, 0xF0}, {0x03, 0x30}};
    for (int[] row : rows) {
      io.outb(0x10 | row[0], MCR);
      assertThat(io.inb(MSR) & 0xF0).as("MCR %x", row[0]).isEqualTo(row[1]);
    }
    io.outb(0x40, LCR);
    assertThat(io.inb(LSR) & 0x19).as("a break comes back").isEqualTo(0x19);
    io.outb(0, MCR);
    assertThat(io.inb(MSR) & 0xF0).isEqualTo(0xB0);
  }

  @Test
  void shouldLatchModemDeltasUntilReadAndRingOnlyOnItsTrailingEdge() {
    io.outb(OUT2, MCR).outb(0x08, IER);
    uart.setModemLines(Uart16550.TERMINAL_READY | 0x40);
    assertThat(irq.level).isFalse();
    uart.setModemLines(Uart16550.TERMINAL_READY & ~0x10);
    assertThat(irq.level).isTrue();
    assertThat(io.inb(IIR)).isZero();
    assertThat(io.inb(MSR)).isEqualTo(0xA5);
    assertThat(irq.level).isFalse();
    assertThat(io.inb(MSR)).isEqualTo(0xA0);
  }

  @Test
  void shouldPeekWithoutSideEffects() {
    setUp115200WithFifos(0);
    io.outb(0x07, IER);
    receive("q");
    uart.receiveBreak(0);
    byte[] before = DeviceFixtures.save(uart);
    for (int port = DATA; port <= SCR; port++) {
      assertThat(io.bus().peekIn(port, 1)).isBetween(0, 0xFF);
    }
    assertThat(DeviceFixtures.save(uart)).isEqualTo(before);
    assertThat(io.bus().peekIn(DATA, 1)).isEqualTo(io.inb(DATA)).isEqualTo('q');
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    setUp115200WithFifos(2);
    io.outb(0x0F, IER);
    receive("abc");
    Uart16550 copy = new Uart16550("com1", Uart16550.COM1_PORT, InterruptLine.NONE, ByteSink.DISCARD);
    DeviceFixtures.load(copy, DeviceFixtures.save(uart));

    assertThat(copy.nextDeadline()).isEqualTo(uart.nextDeadline());
    for (int port : new int[] {IIR, LSR, DATA, DATA, DATA, LSR, MSR, MCR, LCR, IER, IIR}) {
      assertThat(copy.in(port, 1, 5)).isEqualTo(io.inb(port));
    }
    assertThatThrownBy(() -> DeviceFixtures.load(copy, new byte[] {0, 0, 0, 7}))
        .isInstanceOf(IOException.class).hasMessage("com1: saved state has version 7, expected 2");
  }

  @Test
  void shouldResetToQuietRegistersAndLowerTheLine() {
    setUp115200WithFifos(0);
    io.outb(0x01, IER);
    receive("x");
    assertThat(irq.level).isTrue();
    uart.reset();
    assertThat(irq.level).isFalse();
    assertThat(io.inb(IIR)).isEqualTo(0x01);
    assertThat(io.inb(LSR)).isEqualTo(0x60);
    assertThat(io.inb(MSR)).isEqualTo(0xB0);
    assertThat(io.inb(MCR)).isZero();
  }

  @Test
  void shouldRefusePortsThatDoNotFit() {
    assertThatThrownBy(() -> new Uart16550("com9", 0xFFFC, irq, sink)).isInstanceOf(IllegalArgumentException.class);
  }
}
