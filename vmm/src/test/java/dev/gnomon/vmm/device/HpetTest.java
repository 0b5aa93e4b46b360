package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Registers and timers by the tables of the HPET specification. */
class HpetTest {
  private static final long BASE = 0xFED0_0000L;
  private static final int LEVEL = 1 << 1;
  private static final int ENABLED = 1 << 2;
  private static final int PERIODIC = 1 << 3;
  private static final int VALUE_SET = 1 << 6;
  private static final int NARROW = 1 << 8;
  private static final int ROUTE_16 = 16 << 9;

  private final RecordingLine[] lines = new RecordingLine[24];
  private final Hpet hpet = new Hpet(i -> lines[i]);
  private final Ports io = new Ports(hpet);

  HpetTest() {
    for (int i = 0; i < lines.length; i++) {
      lines[i] = new RecordingLine();
    }
  }

  private long read(int offset, int size) {
    return io.bus().mmioRead(BASE + offset, size, io.now);
  }

  private void write(int offset, int size, long value) {
    io.bus().mmioWrite(BASE + offset, size, value, io.now);
  }

  /** Offset, size, value after a reset. */
  @ParameterizedTest
  @CsvSource({"000,8,009896808086A201", "000,4,8086A201", "004,4,00989680", "010,8,0", "020,8,0", "0F0,8,0",
      "100,8,00FF000400000030", "120,4,30", "144,4,00FF0004", "108,8,FFFFFFFFFFFFFFFF", "160,8,0", "3F8,8,0"})
  void shouldShowItsRegisters(String offset, int size, String value) {
    assertThat(read(Integer.parseInt(offset, 16), size)).isEqualTo(Long.parseUnsignedLong(value, 16));
  }

  @Test
  void shouldCountWhileEnabled() {
    io.runTo(1000);
    assertThat(read(0xF0, 8)).isZero();
    write(0xF0, 8, 0x1_0000_0000L - 10);
    write(0x10, 4, 1);
    io.runTo(1500);
    assertThat(read(0xF0, 8)).isEqualTo(0x1_0000_0000L + 40);
    assertThat(read(0xF4, 4)).isEqualTo(1);
    write(0xF0, 8, 5);
    assertThat(read(0xF0, 8)).as("writes while it runs are ignored").isEqualTo(0x1_0000_0000L + 40);
    write(0x10, 4, 0);
    io.runTo(9000);
    assertThat(read(0xF0, 8)).isEqualTo(0x1_0000_0000L + 40);
  }

  @Test
  void shouldFireOnce() {
    write(0x10, 4, 1);
    write(0x100, 4, ENABLED | ROUTE_16);
    write(0x108, 8, 100);
    io.runTo(999);
    assertThat(lines[16].rises).isZero();
    io.runTo(1000);
    assertThat(lines[16].rises).isEqualTo(1);
    assertThat(lines[16].level).isFalse();
    assertThat(read(0x20, 8)).as("edges leave no status").isZero();
    io.runTo(1_000_000);
    assertThat(lines[16].rises).isEqualTo(1);
    assertThat(io.bus().nextDeadline()).isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void shouldFirePeriodically() {
    write(0x10, 4, 1);
    write(0x120, 4, ENABLED | PERIODIC | VALUE_SET | 17 << 9);
    write(0x128, 8, 50);
    write(0x128, 8, 30);
    io.runTo(500);
    assertThat(lines[17].rises).isEqualTo(1);
    io.runTo(500 + 4 * 300);
    assertThat(lines[17].rises).isEqualTo(5);
    assertThat(read(0x128, 8)).isEqualTo(50 + 5 * 30);
  }

  @Test
  void shouldHoldALevelUntilItsStatusIsCleared() {
    write(0x10, 4, 1);
    write(0x100, 4, ENABLED | LEVEL | ROUTE_16);
    write(0x108, 8, 10);
    io.runTo(100);
    assertThat(lines[16].level).isTrue();
    assertThat(read(0x20, 4)).isEqualTo(1);
    write(0x20, 4, 2);
    assertThat(lines[16].level).isTrue();
    write(0x20, 4, 1);
    assertThat(lines[16].level).isFalse();
    assertThat(read(0x20, 4)).isZero();
  }

  @Test
  void shouldCompareThirtyTwoBitsWhenToldTo() {
    write(0xF0, 8, 0x5_FFFF_FF00L);
    write(0x100, 4, ENABLED | NARROW | ROUTE_16);
    write(0x108, 4, 0x10);
    write(0x10, 4, 1);
    io.runTo(0x110 * 10 - 1);
    assertThat(lines[16].rises).isZero();
    io.runTo(0x110 * 10);
    assertThat(lines[16].rises).isEqualTo(1);
    io.runTo((0x110 + (1L << 32)) * 10);
    assertThat(lines[16].rises).as("again once around").isEqualTo(2);
  }

  @Test
  void shouldTakeTheLegacyInterrupts() {
    write(0x100, 4, ENABLED | ROUTE_16);
    write(0x120, 4, ENABLED | ROUTE_16);
    write(0x140, 4, ENABLED | ROUTE_16);
    write(0x108, 8, 10);
    write(0x128, 8, 10);
    write(0x148, 8, 10);
    write(0x10, 4, 3);
    assertThat(hpet.replacesLegacy()).isTrue();
    io.runTo(100);
    assertThat(new int[] {lines[0].rises, lines[8].rises, lines[16].rises}).containsExactly(1, 1, 1);
  }

  @Test
  void shouldStaySilentWithoutEnableOrRoute() {
    write(0x10, 4, 1);
    write(0x100, 4, ROUTE_16);
    write(0x108, 8, 10);
    write(0x120, 4, ENABLED | 3 << 9);
    write(0x128, 8, 10);
    io.runTo(1000);
    for (RecordingLine line : lines) {
      assertThat(line.rises).isZero();
    }
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    write(0x10, 4, 1);
    write(0x100, 4, ENABLED | PERIODIC | VALUE_SET | ROUTE_16);
    write(0x108, 8, 30);
    io.runTo(450);
    Hpet copy = new Hpet(i -> lines[i]);
    DeviceFixtures.load(copy, DeviceFixtures.save(hpet));
    assertThat(copy.nextDeadline()).isEqualTo(600);
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(hpet));
  }
}
