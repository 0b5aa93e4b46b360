package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AcpiPmTest {
  private static final long SECOND = 1_000_000_000;

  private final RecordingLine sci = new RecordingLine();
  private int offs;
  private final AcpiPm pm = new AcpiPm(AcpiPm.PORT, sci, () -> offs++);
  private final Ports io = new Ports(pm);

  private int in(int port, int size) {
    return io.bus().in(port, size, io.now);
  }

  private void out(int port, int size, int value) {
    io.bus().out(port, size, value, io.now);
  }

  @Test
  void shouldCountAtItsFrequencyIn24Bits() {
    io.runTo(SECOND);
    assertThat(in(0x608, 4)).isEqualTo(3_579_545);
    assertThat(in(0x608, 2) | in(0x60A, 2) << 16).isEqualTo(3_579_545);
    io.runTo(10 * SECOND);
    assertThat(in(0x608, 4)).isEqualTo(35_795_450 & 0xFF_FFFF);
  }

  @Test
  void shouldInterruptWhenTheHighestBitChanges() {
    assertThat(io.bus().nextDeadline()).isEqualTo(Long.MAX_VALUE);
    out(0x602, 2, 1);
    long first = io.bus().nextDeadline();
    assertThat(first).isBetween((1L << 23) * SECOND / 3_579_545, (1L << 23) * SECOND / 3_579_545 + 1);
    io.runTo(first - 1);
    assertThat(sci.level).isFalse();
    io.runTo(first);
    assertThat(sci.level).isTrue();
    assertThat(in(0x600, 2)).isEqualTo(1);
    out(0x600, 2, 1);
    assertThat(sci.level).isFalse();
    assertThat(io.bus().nextDeadline()).isBetween(2 * first - 300, 2 * first);
  }

  @Test
  void shouldReportThePowerButton() {
    pm.pressPowerButton();
    assertThat(in(0x600, 2)).isEqualTo(0x100);
    assertThat(sci.level).isFalse();
    out(0x602, 2, 0x100);
    assertThat(sci.level).isTrue();
    out(0x601, 1, 1);
    assertThat(sci.level).isFalse();
  }

  /** What is written to which port, whether it switches off. */
  @ParameterizedTest
  @CsvSource({"604,2,3400,true", "604,4,3401,true", "605,1,34,true", "604,2,1400,false", "604,2,2000,false",
      "604,2,2C00,false", "600,4,34003400,false"})
  void shouldSwitchOffBySleepTypeFive(String port, int size, String value, boolean off) {
    out(Integer.parseInt(port, 16), size, Integer.parseInt(value, 16));
    assertThat(offs).isEqualTo(off ? 1 : 0);
  }

  @Test
  void shouldAlwaysBeInAcpiMode() {
    out(0x604, 2, 0);
    assertThat(in(0x604, 2)).isEqualTo(1);
    out(0x604, 2, 0xFFFF & ~0x1400);
    assertThat(in(0x604, 2)).as("SLP_EN reads zero").isEqualTo(0x0803);
  }

  @Test
  void shouldKeepDefinedBitsOnly() {
    out(0x602, 2, 0xFFFF);
    assertThat(in(0x602, 2)).isEqualTo(0x0521);
    pm.reset();
    assertThat(in(0x600, 4)).isZero();
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    io.runTo(3 * SECOND);
    out(0x602, 2, 0x101);
    AcpiPm copy = new AcpiPm(AcpiPm.PORT, InterruptLine.NONE, () -> { });
    DeviceFixtures.load(copy, DeviceFixtures.save(pm));
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(pm));
    assertThat(copy.nextDeadline()).isEqualTo(pm.nextDeadline());
  }
}
