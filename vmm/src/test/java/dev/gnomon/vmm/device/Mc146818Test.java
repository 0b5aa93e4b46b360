package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import java.time.LocalDateTime;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class Mc146818Test {
  private static final long SECOND = 1_000_000_000;
  private static final LocalDateTime START = LocalDateTime.of(2023, 12, 31, 23, 59, 58);

  private final RecordingLine irq = new RecordingLine();
  private final Mc146818 rtc = new Mc146818(irq, START);
  private final Ports io = new Ports(rtc);

  private static int read(Ports io, int register) {
    return io.outb(register, 0x70).inb(0x71);
  }

  private int read(int register) {
    return read(io, register);
  }

  private void write(int register, int value) {
    io.outb(register, 0x70).outb(value, 0x71);
  }

  private String registers() {
    return String.format("%02x%02x-%02x-%02x %02x:%02x:%02x day %x", read(0x32), read(9), read(8), read(7), read(4),
        read(2), read(0), read(6));
  }

  @Test
  void shouldShowItsStartInBcdAnd24Hours() {
    assertThat(registers()).isEqualTo("2023-12-31 23:59:58 day 1");
    assertThat(read(0xA)).isEqualTo(0x26);
    assertThat(read(0xB)).isEqualTo(0x02);
    assertThat(read(0xD)).isEqualTo(0x80);
  }

  @Test
  void shouldCarryIntoTheNextYear() {
    io.runTo(2 * SECOND - 1);
    assertThat(registers()).isEqualTo("2023-12-31 23:59:59 day 1");
    io.runTo(2 * SECOND);
    assertThat(registers()).isEqualTo("2024-01-01 00:00:00 day 2");
  }

  @Test
  void shouldKnowLeapDays() {
    io.runTo((2 + 59 * 86_400L) * SECOND);
    assertThat(registers()).isEqualTo("2024-02-29 00:00:00 day 5");
  }

  @ParameterizedTest
  @CsvSource({"0,12,0C", "1,01,01", "11,11,0B", "12,92,8C", "13,81,81", "23,91,8B"})
  void shouldCountTwelveHoursAsTheDataSheetsTable(int hour, String bcd, String binary) {
    write(0xB, 0x80);
    write(4, 0x12);
    write(2, 0);
    write(0, 0);
    write(0xB, 0);
    io.runTo(hour * 3600 * SECOND);
    assertThat(read(4)).isEqualTo(Integer.parseInt(bcd, 16));
    write(0xB, 0x84);
    write(4, 12);
    write(2, 0);
    write(0, 0);
    write(0xB, 4);
    io.runTo(2 * hour * 3600 * SECOND);
    assertThat(read(4)).isEqualTo(Integer.parseInt(binary, 16));
  }

  @Property(tries = 300)
  void shouldAgreeWithTheCalendar(@ForAll @IntRange(min = 1970, max = 2099) int year,
      @ForAll @IntRange(min = 1, max = 365) int day, @ForAll @IntRange(min = 0, max = 86_399) int second,
      @ForAll @LongRange(min = 0, max = 4_000_000_000L) long seconds) {
    LocalDateTime start = LocalDateTime.of(year, 1, 1, 0, 0).plusDays(day).plusSeconds(second);
    Ports ports = new Ports(new Mc146818(InterruptLine.NONE, start));
    ports.now = seconds * SECOND + 7;
    LocalDateTime end = start.plusSeconds(seconds);
    int[] expected = {end.getSecond(), end.getMinute(), end.getHour(), end.getDayOfMonth(), end.getMonthValue(),
        end.getYear() % 100,
        end.getYear() / 100, end.getDayOfWeek().getValue() % 7 + 1};
    int[] registers = {0, 2, 4, 7, 8, 9, 0x32, 6};
    for (int i = 0; i < registers.length; i++) {
      assertThat(read(ports, registers[i])).as("register " + registers[i]).isEqualTo(bcd(expected[i]));
    }
  }

  private static int bcd(int number) {
    return number / 10 << 4 | number % 10;
  }

  @Test
  void shouldHoldTheTimeWhileItIsSet() {
    write(0xB, 0x82);
    io.runTo(10 * SECOND);
    assertThat(read(0)).isEqualTo(0x58);
    assertThat(read(0xC)).as("the divider goes on").isEqualTo(0x40);
    write(0, 0x30);
    write(0xB, 0x02);
    io.runTo(11 * SECOND);
    assertThat(read(0)).isEqualTo(0x31);
  }

  @Test
  void shouldClearTheUpdateInterruptWhenSet() {
    write(0xB, 0x92);
    assertThat(read(0xB)).isEqualTo(0x82);
  }

  @Test
  void shouldUpdateHalfASecondAfterTheDividerStarts() {
    io.runTo(SECOND / 4);
    write(0xA, 0x66);
    io.runTo(20 * SECOND);
    assertThat(read(0)).as("in reset").isEqualTo(0x58);
    write(0xA, 0x26);
    io.runTo(20 * SECOND + SECOND / 2 - 1);
    assertThat(read(0)).isEqualTo(0x58);
    io.runTo(20 * SECOND + SECOND / 2);
    assertThat(read(0)).isEqualTo(0x59);
  }

  @Test
  void shouldWarnOfAnUpdate244MicrosecondsAhead() {
    io.runTo(SECOND - 244_141);
    assertThat(read(0xA) & 0x80).isZero();
    io.runTo(SECOND - 244_140);
    assertThat(read(0xA) & 0x80).isEqualTo(0x80);
    io.runTo(SECOND);
    assertThat(read(0xA) & 0x80).isZero();
    write(0xB, 0x82);
    io.runTo(2 * SECOND - 1000);
    assertThat(read(0xA) & 0x80).as("no update while SET").isZero();
  }

  @ParameterizedTest
  @CsvSource({"1,3906250", "2,7812500", "3,122070", "4,244141", "5,488281", "6,976563", "7,1953125", "8,3906250",
      "9,7812500", "10,15625000",
      "11,31250000", "12,62500000", "13,125000000", "14,250000000", "15,500000000"})
  void shouldInterruptPeriodicallyAtTheRatesOfTheTable(int rate, long period) {
    write(0xA, 0x20 | rate);
    write(0xB, 0x42);
    for (int i = 1; i <= 4; i++) {
      assertThat(irq.level).isFalse();
      long deadline = io.bus().nextDeadline();
      assertThat(deadline).isBetween(i * period - 8, i * period + 8);
      io.runTo(deadline);
      assertThat(irq.level).isTrue();
      assertThat(io.bus().nextDeadline()).as("nothing more to tell until C is read").isEqualTo(Long.MAX_VALUE);
      assertThat(read(0xC) & 0xC0).isEqualTo(0xC0);
    }
    assertThat(irq.rises).isEqualTo(4);
  }

  @Test
  void shouldHaveNoPeriodAtRateZero() {
    write(0xA, 0x20);
    write(0xB, 0x42);
    assertThat(io.bus().nextDeadline()).isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void shouldInterruptAfterEachUpdate() {
    write(0xB, 0x12);
    assertThat(io.bus().nextDeadline()).isEqualTo(SECOND);
    io.runTo(SECOND);
    assertThat(irq.level).isTrue();
    assertThat(read(0xC) & 0x90).isEqualTo(0x90);
    assertThat(irq.level).isFalse();
    assertThat(read(0xC)).isZero();
    assertThat(io.bus().nextDeadline()).isEqualTo(2 * SECOND);
  }

  @Test
  void shouldSetFlagsWithoutInterruptsWhenDisabled() {
    assertThat(io.bus().nextDeadline()).isEqualTo(Long.MAX_VALUE);
    io.now = 5 * SECOND;
    assertThat(read(0xC)).isEqualTo(0x70);
    assertThat(irq.rises).isZero();
  }

  @ParameterizedTest
  @CsvSource({"00,00,00,2", "FF,FF,FF,1", "FF,FF,00,2", "FF,00,FF,2", "FF,FF,57,59", "01,02,03,3725",
      "23,59,58,86400", "C0,00,30,32"})
  void shouldMatchAlarms(String hour, String minute, String second, long after) {
    write(5, Integer.parseInt(hour, 16));
    write(3, Integer.parseInt(minute, 16));
    write(1, Integer.parseInt(second, 16));
    write(0xB, 0x22);
    assertThat(io.bus().nextDeadline()).isEqualTo(after * SECOND);
    io.runTo(after * SECOND - 1);
    assertThat(read(0xC) & 0x20).isZero();
    io.runTo(after * SECOND);
    assertThat(irq.level).isTrue();
    assertThat(read(0xC) & 0xA0).isEqualTo(0xA0);
  }

  @Test
  void shouldNeverMatchAnImpossibleAlarm() {
    write(5, 0x25);
    write(0xB, 0x22);
    assertThat(io.bus().nextDeadline()).isEqualTo(Long.MAX_VALUE);
    io.now = 1_000_000 * SECOND;
    assertThat(read(0xC) & 0x20).isZero();
  }

  @ParameterizedTest
  @ValueSource(ints = {0x0E, 0x0F, 0x10, 0x7F})
  void shouldKeepMemoryThroughReset(int at) {
    write(at, 0xA5);
    rtc.reset();
    assertThat(read(at)).isEqualTo(0xA5);
    assertThat(read(at | 0x80)).as("bit 7 is the NMI mask").isEqualTo(0xA5);
  }

  @Test
  void shouldDropInterruptEnablesAndFlagsByReset() {
    write(0xB, 0x72);
    io.runTo(SECOND);
    assertThat(irq.level).isTrue();
    rtc.reset();
    assertThat(irq.level).isFalse();
    assertThat(read(0xB)).isEqualTo(2);
  }

  @Test
  void shouldIgnoreWritesToFlagRegisters() {
    write(0xC, 0xFF);
    write(0xD, 0);
    write(0xA, 0xFF);
    assertThat(read(0xC)).isZero();
    assertThat(read(0xD)).isEqualTo(0x80);
    assertThat(read(0xA)).isEqualTo(0x7F);
    assertThat(io.inb(0x70)).isEqualTo(0xFF);
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    write(0xB, 0x52);
    io.runTo(SECOND / 3);
    RecordingLine line = new RecordingLine();
    Mc146818 copy = new Mc146818(line, LocalDateTime.of(1999, 1, 1, 0, 0));
    DeviceFixtures.load(copy, DeviceFixtures.save(rtc));
    assertThat(line.rises).isZero();
    assertThat(copy.nextDeadline()).isEqualTo(rtc.nextDeadline());
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(rtc));
    byte[] other = DeviceFixtures.save(rtc);
    other[3]++;
    assertThatThrownBy(() -> DeviceFixtures.load(copy, other)).isInstanceOf(IOException.class)
        .hasMessageContaining("version");
  }

  @Test
  void shouldRefuseMemoryBytesThatAreRegisters() {
    assertThatThrownBy(() -> rtc.setMemory(0xD, 0)).isInstanceOf(IllegalArgumentException.class);
    rtc.setMemory(0x15, 0x80);
    assertThat(read(0x15)).isEqualTo(0x80);
  }
}
