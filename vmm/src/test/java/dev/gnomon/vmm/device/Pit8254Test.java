package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class Pit8254Test {
  private static final int COUNTER0 = 0x40;
  private static final int COUNTER1 = 0x41;
  private static final int COUNTER2 = 0x42;
  private static final int CONTROL = 0x43;
  private static final int PORT_B = 0x61;
  private static final long SECOND = 1_000_000_000;

  private final RecordingLine irq0 = new RecordingLine();
  private final Pit8254 pit = new Pit8254(irq0);
  private final Ports io = new Ports(pit);

  private void goToPulse(long pulse) {
    io.runTo(Pit8254.timeOf(pulse));
  }

  private int count(int port) {
    int low = io.inb(port);
    return io.inb(port) << 8 | low;
  }

  private boolean out2() {
    return (io.inb(PORT_B) & 0x20) != 0;
  }

  /** Programs a counter with both bytes at the present time. */
  private void program(int port, int mode, int count) {
    io.outb((port - COUNTER0) << 6 | 0x30 | mode << 1, CONTROL).outb(count & 0xFF, port).outb(count >> 8, port);
  }

  @Test
  void shouldNotDriftInALongTime() {
    assertThat(Pit8254.pulseAt(3600 * SECOND)).isEqualTo(3600 * Pit8254.FREQUENCY_HZ);
    assertThat(Pit8254.pulseAt(Long.MAX_VALUE)).isPositive();
    assertThat(Pit8254.timeOf(Long.MAX_VALUE)).isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void shouldTimeMemtestsFiftyMillisecondOneShot() {
    int pulses = (int) (Pit8254.FREQUENCY_HZ / 20);
    io.runTo(12_345_678);
    io.outb(io.inb(PORT_B) & ~0x02 | 0x01, PORT_B);
    io.outb(0xB0, CONTROL).outb(pulses & 0xFF, COUNTER2).outb(pulses >> 8, COUNTER2);
    assertThat(out2()).isFalse();
    long begin = io.now;
    long polls = 0;
    while (!out2()) {
      io.runTo(io.now + 32);
      polls++;
    }
    assertThat(io.now - begin).isBetween(50_000_000L - 838, 50_000_000L + 2 * 838);
    assertThat(polls).isBetween(1_562_000L, 1_563_000L);
  }

  @Test
  void shouldShowANewCountToTheReadThatFollowsItsWrite() {
    io.outb(io.inb(PORT_B) & ~0x02 | 0x01, PORT_B);
    program(COUNTER2, 0, 0xFFFF);
    assertThat(count(COUNTER2)).isEqualTo(0xFFFF);
    goToPulse(1000);
    program(COUNTER2, 0, 0x1234);
    assertThat(count(COUNTER2)).isEqualTo(0x1234);
    goToPulse(1001);
    assertThat(count(COUNTER2)).isEqualTo(0x1234);
    goToPulse(1002);
    assertThat(count(COUNTER2)).isEqualTo(0x1233);
  }

  @Test
  void shouldCountDownForLinuxQuickTscCalibration() {
    io.outb(io.inb(PORT_B) & ~0x02 | 0x01, PORT_B);
    io.outb(0xB0, CONTROL).outb(0xFF, COUNTER2).outb(0xFF, COUNTER2);
    io.now += 2000;
    io.inb(COUNTER2);
    assertThat(io.inb(COUNTER2)).isEqualTo(0xFF);
    long[] msbGone = new long[4];
    for (int i = 0; i < msbGone.length; i++) {
      int expected = 0xFF - i;
      do {
        io.now += 500;
        io.inb(COUNTER2);
      } while (io.inb(COUNTER2) == expected);
      msbGone[i] = io.now;
    }
    for (int i = 1; i < msbGone.length; i++) {
      assertThat(msbGone[i] - msbGone[i - 1]).isBetween(256 * 838L - 1000, 256 * 839L + 1000);
    }
  }

  @Test
  void shouldFinishLinuxFullCalibrationAfterItsLatch() {
    int latch = (int) (Pit8254.FREQUENCY_HZ / 20);
    io.outb(io.inb(PORT_B) & ~0x02 | 0x01, PORT_B).outb(0xB0, CONTROL);
    io.outb(latch & 0xFF, COUNTER2).outb(latch >> 8, COUNTER2);
    goToPulse(latch);
    assertThat(out2()).isFalse();
    goToPulse(latch + 1);
    assertThat(out2()).isTrue();
  }

  @Test
  void shouldTickPeriodicallyAtExactTimesAsLinuxPeriodicMode() {
    int latch = 4773;
    program(COUNTER0, 2, latch);
    for (int i = 1; i <= 250; i++) {
      assertThat(pit.nextDeadline()).isEqualTo(Pit8254.timeOf(1 + (long) i * latch));
      io.runTo(pit.nextDeadline());
      assertThat(irq0.rises).isEqualTo(1 + i);
    }
    io.runTo(1000 * SECOND);
    assertThat(irq0.rises).isEqualTo((int) (1 + (Pit8254.pulseAt(1000 * SECOND) - 1) / latch));
  }

  @Test
  void shouldTickInSquareWaveModeOnceAPeriod() {
    program(COUNTER0, 3, 5);
    goToPulse(1 + 5 * 1000);
    assertThat(irq0.rises).isEqualTo(1 + 1000);
  }

  @Test
  void shouldRaiseOneEdgeForManyPeriodsPassedAtOnce() {
    program(COUNTER0, 2, 1000);
    int before = irq0.rises;
    pit.advanceTo(10 * SECOND);
    assertThat(irq0.rises).isEqualTo(before + 1);
    pit.advanceTo(10 * SECOND);
    assertThat(irq0.rises).isEqualTo(before + 1);
    long pulse = Pit8254.pulseAt(10 * SECOND);
    assertThat(pit.nextDeadline()).isEqualTo(Pit8254.timeOf(1 + ((pulse - 1) / 1000 + 1) * 1000));
  }

  @Test
  void shouldFireLinuxOneShotOnceForEachProgramming() {
    io.outb(0x38, CONTROL);
    assertThat(pit.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    int before = irq0.rises;
    for (int i = 0; i < 375; i++) {
      long pulse = Pit8254.pulseAt(io.now);
      io.outb(0x88, COUNTER0).outb(0x13, COUNTER0);
      assertThat(pit.nextDeadline()).isEqualTo(Pit8254.timeOf(pulse + 1 + 0x1388 + 1));
      io.runTo(pit.nextDeadline());
      assertThat(irq0.rises).isEqualTo(before + i + 1);
      assertThat(pit.nextDeadline()).isEqualTo(Long.MAX_VALUE);
      io.runTo(io.now + 12_345);
    }
  }

  @Test
  void shouldRestartOneShotThatIsReprogrammedBeforeItFires() {
    program(COUNTER0, 4, 100);
    goToPulse(90);
    io.outb(100, COUNTER0).outb(0, COUNTER0);
    assertThat(pit.nextDeadline()).isEqualTo(Pit8254.timeOf(90 + 1 + 100 + 1));
    goToPulse(191);
    assertThat(irq0.rises).isEqualTo(1);
    goToPulse(192);
    assertThat(irq0.rises).isEqualTo(2);
  }

  @Test
  void shouldStayQuietAfterLinuxShutdownOfTheTimerButForTheTerminalCount() {
    program(COUNTER0, 2, 4773);
    io.outb(0x30, CONTROL).outb(0, COUNTER0).outb(0, COUNTER0);
    assertThat(irq0.level).isFalse();
    assertThat(pit.nextDeadline()).isEqualTo(Pit8254.timeOf(1 + 0x10000));
    io.runTo(SECOND);
    assertThat(irq0.rises).isEqualTo(2);
    assertThat(pit.nextDeadline()).isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void shouldReloadNewPeriodOnlyAtTheEndOfTheOldOne() {
    program(COUNTER0, 2, 100);
    goToPulse(50);
    io.outb(200, COUNTER0).outb(0, COUNTER0);
    assertThat(pit.nextDeadline()).isEqualTo(Pit8254.timeOf(101));
    goToPulse(101);
    assertThat(pit.nextDeadline()).isEqualTo(Pit8254.timeOf(301));
  }

  @Test
  void shouldReadLatchedCountWhateverTimePasses() {
    program(COUNTER1, 2, 1000);
    goToPulse(101);
    io.outb(0x40, CONTROL);
    goToPulse(500);
    io.outb(0x40, CONTROL);
    assertThat(count(COUNTER1)).as("a second latch is ignored until the first is read").isEqualTo(900);
    assertThat(count(COUNTER1)).isEqualTo(501);
  }

  @Test
  void shouldReadOneByteWithOneByteAccess() {
    io.outb(0x54, CONTROL).outb(200, COUNTER1);
    goToPulse(11);
    assertThat(io.inb(COUNTER1)).isEqualTo(190);
    assertThat(io.inb(COUNTER1)).isEqualTo(190);
    io.outb(0x64, CONTROL).outb(0x10, COUNTER1);
    goToPulse(12);
    assertThat(io.inb(COUNTER1)).isEqualTo(0x10);
    goToPulse(13);
    assertThat(io.inb(COUNTER1)).isEqualTo(0x0F);
  }

  @Test
  void shouldLatchStatusAndCountByReadBack() {
    program(COUNTER0, 3, 20);
    io.outb(0xC2, CONTROL);
    assertThat(io.inb(COUNTER0)).as("OUT, null count, both bytes, mode 3").isEqualTo(0xF6);
    count(COUNTER0);
    goToPulse(1 + 10 + 3);
    io.outb(0xC2, CONTROL);
    goToPulse(40);
    assertThat(io.inb(COUNTER0)).as("OUT low, count loaded").isEqualTo(0x36);
    assertThat(count(COUNTER0)).isEqualTo(20 - 2 * 3);
    io.outb(0xEE, CONTROL);
    assertThat(io.inb(COUNTER0) & 0x3F).isEqualTo(0x36);
    assertThat(io.inb(COUNTER1) & 0x3F).as("never programmed").isEqualTo(0x36);
    assertThat(io.inb(COUNTER2) & 0x3F).isEqualTo(0x36);
  }

  @Test
  void shouldCountInBcd() {
    io.outb(0x71, CONTROL).outb(0x00, COUNTER1).outb(0x10, COUNTER1);
    goToPulse(1);
    assertThat(count(COUNTER1)).isEqualTo(0x1000);
    goToPulse(2);
    assertThat(count(COUNTER1)).isEqualTo(0x0999);
    goToPulse(1 + 1001);
    assertThat(count(COUNTER1)).isEqualTo(0x9999);
    io.outb(0x71, CONTROL).outb(0, COUNTER1).outb(0, COUNTER1);
    goToPulse(1004);
    assertThat(count(COUNTER1)).as("0 is 10000").isEqualTo(0x9999);
  }

  @Test
  void shouldHoldCounter2WhileItsGateIsLow() {
    io.outb(0, PORT_B);
    program(COUNTER2, 0, 100);
    goToPulse(500);
    assertThat(count(COUNTER2)).isEqualTo(100);
    assertThat(out2()).isFalse();
    io.outb(1, PORT_B);
    goToPulse(550);
    assertThat(count(COUNTER2)).isEqualTo(50);
    io.outb(0, PORT_B);
    goToPulse(1000);
    io.outb(1, PORT_B);
    goToPulse(1049);
    assertThat(out2()).isFalse();
    goToPulse(1050);
    assertThat(out2()).isTrue();
  }

  @Test
  void shouldTriggerOneShotByGateInMode1() {
    program(COUNTER2, 1, 50);
    goToPulse(100);
    assertThat(out2()).isTrue();
    io.outb(1, PORT_B);
    goToPulse(101);
    assertThat(out2()).isFalse();
    goToPulse(150);
    assertThat(out2()).isFalse();
    goToPulse(151);
    assertThat(out2()).isTrue();
  }

  @Test
  void shouldToggleRefreshBitEveryEighteenPulses() {
    int changes = 0;
    int last = io.inb(PORT_B) & 0x10;
    for (int i = 1; i <= 1800; i++) {
      goToPulse(i);
      int bit = io.inb(PORT_B) & 0x10;
      changes += bit != last ? 1 : 0;
      last = bit;
    }
    assertThat(changes).isEqualTo(100);
  }

  @Test
  void shouldReadBackOnlyWritableBitsOfPortB() {
    io.outb(0xFF, PORT_B);
    assertThat(io.inb(PORT_B) & 0xCF).isEqualTo(0x0F);
    assertThat(io.inb(CONTROL)).isEqualTo(0xFF);
  }

  @Test
  void shouldIgnoreTimeThatRunsBackwards() {
    program(COUNTER1, 2, 1000);
    goToPulse(101);
    io.now = 0;
    assertThat(count(COUNTER1)).isEqualTo(900);
  }

  @Test
  void shouldPeekWithoutSideEffects() {
    program(COUNTER0, 2, 1000);
    goToPulse(100);
    io.outb(0xC2, CONTROL);
    byte[] before = DeviceFixtures.save(pit);
    for (int port : new int[] {COUNTER0, COUNTER1, COUNTER2, CONTROL, PORT_B}) {
      io.bus().peekIn(port, 1);
    }
    assertThat(DeviceFixtures.save(pit)).isEqualTo(before);
    assertThat(io.bus().peekIn(COUNTER0, 1)).isEqualTo(io.inb(COUNTER0));
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    program(COUNTER0, 2, 1000);
    program(COUNTER2, 3, 77);
    io.outb(3, PORT_B);
    goToPulse(1234);
    RecordingLine line = new RecordingLine();
    Pit8254 copy = new Pit8254(line);
    DeviceFixtures.load(copy, DeviceFixtures.save(pit));

    for (int i = 0; i < 50; i++) {
      assertThat(copy.nextDeadline()).isEqualTo(pit.nextDeadline());
      io.runTo(pit.nextDeadline());
      copy.advanceTo(io.now);
      assertThat(copy.in(PORT_B, 1, io.now)).isEqualTo(io.inb(PORT_B));
      assertThat(copy.in(COUNTER2, 1, io.now)).isEqualTo(io.inb(COUNTER2));
    }
    assertThat(line.rises).isEqualTo(1 + 50);
  }

  @Test
  void shouldSaveCountOfOneThatAControlWordStopped() throws IOException {
    program(COUNTER1, 0, 100);
    goToPulse(100);
    io.outb(0x74, CONTROL);
    assertThat(count(COUNTER1)).isEqualTo(1);
    Pit8254 copy = new Pit8254(InterruptLine.NONE);
    DeviceFixtures.load(copy, DeviceFixtures.save(pit));
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(pit));
    assertThat(copy.in(COUNTER1, 1, io.now)).isEqualTo(1);
  }

  @Test
  void shouldDriveThePicWithoutFirmware() {
    Pic8259 pic = new Pic8259();
    Pit8254 timer = new Pit8254(pic.line(Pit8254.IRQ));
    Ports both = new Ports(pic, timer);
    both.outb(0x11, 0x20).outb(0x30, 0x21).outb(4, 0x21).outb(1, 0x21).outb(0xFE, 0x21);
    both.outb(0x34, CONTROL).outb(0xA9, COUNTER0).outb(0x04, COUNTER0);
    assertThat(pic.pending()).as("no edge before the first period").isFalse();
    for (int i = 0; i < 10; i++) {
      both.runTo(timer.nextDeadline());
      assertThat(pic.pending()).isTrue();
      assertThat(pic.acknowledge()).isEqualTo(0x30);
      both.outb(0x60, 0x20);
      assertThat(pic.pending()).isFalse();
    }
  }
}
