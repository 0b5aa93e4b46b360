package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.Mc146818Bits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.time.LocalDateTime;
import java.util.List;

/**
 * The PC's real-time clock with its memory, at 70h (index; bit 7, the NMI mask, is ignored) and 71h (data), on IRQ 8
 * (Motorola MC146818 data sheet). It runs on the virtual clock from a date that it is given, so that a guest sees the
 * same date in every run.
 *
 * <p>The divider counts pulses of 32768 Hz, computed from the absolute time. Updates happen every 32768 pulses, the
 * first 16384 after the divider leaves its reset. Periodic flags come from the same pulses. Where the data sheet leaves
 * room: an update takes no time, and UIP is up during the 8 pulses (244 µs) before it, as in QEMU; a divider setting
 * other than 32768 Hz or reset counts the same; daylight saving does nothing; day 0 or month 13 count on from where
 * they would lie; the century at 32h follows the year; the index port reads all ones.
 *
 * <p>Flags are worked out when somebody looks; the deadline is the next moment at which an enabled one would raise IRQ
 * 8.
 */
public final class Mc146818 implements PortDevice {
  /** The IRQ that flags raise. */
  public static final int IRQ = 8;
  /** Pulses of the time base a second. */
  static final long FREQUENCY_HZ = 32_768;

  private static final int VERSION = 1;
  private static final int PORT_INDEX = 0x70;
  private static final int PORTS = 2;
  private static final int BYTES = 128;
  private static final long NS_PER_SECOND = 1_000_000_000;
  private static final long FIRST_UPDATE = FREQUENCY_HZ / 2;
  private static final long UIP_PULSES = 8;
  private static final int A_RESET = 0x26;
  private static final int SECONDS_A_DAY = 86_400;
  /** Times behind it are taken for it, lest pulses overflow. */
  private static final long LATEST = Long.MAX_VALUE - 2 * NS_PER_SECOND;

  private final InterruptLine irq;
  private final byte[] ram = new byte[BYTES];
  private int index;
  private int flags;
  /** Virtual time at which the divider left its reset; negative for one that did before the machine was switched on. */
  private long dividerStart = -NS_PER_SECOND / 2;
  /** Pulses since then of which the registers know. */
  private long pulse = FIRST_UPDATE;
  private long now;
  private long deadline = Long.MAX_VALUE;

  /**
   * A clock in 24-hour BCD mode.
   *
   * @param irq the wire to IRQ 8
   * @param start the date at virtual time 0, years 0 to 9999
   */
  public Mc146818(InterruptLine irq, LocalDateTime start) {
    this.irq = irq;
    ram[REG_A] = A_RESET;
    ram[REG_B] = B_24;
    store(start, start.getDayOfWeek().getValue() % 7 + 1);
  }

  @Override
  public String name() {
    return "rtc";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT_INDEX, PORTS));
  }

  /** Time, memory and register A live on the battery. */
  @Override
  public void reset() {
    ram[REG_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    flags = 0;
    index = 0;
    drive();
  }

  /** A byte of the memory as firmware would leave it. @param at 0Eh to 7Fh */
  public void setMemory(int at, int value) {
    if (at <= REG_D || at >= BYTES) {
      throw new IllegalArgumentException("RTC memory byte " + Integer.toHexString(at) + "h: expected Eh to 7Fh");
    }
    ram[at] = (byte) value;
  }

  private boolean dividerRuns() {
    return (ram[REG_A] >> A_DV_SHIFT & 7) < A_DV_RESET;
  }

  private boolean updates() {
    return dividerRuns() && (ram[REG_B] & B_SET) == 0;
  }

  private long pulseAt(long ns) {
    long elapsed = ns - dividerStart;
    return elapsed / NS_PER_SECOND * FREQUENCY_HZ + elapsed % NS_PER_SECOND * FREQUENCY_HZ / NS_PER_SECOND;
  }

  private long timeOf(long at) {
    long seconds = at / FREQUENCY_HZ;
    if (seconds >= (Long.MAX_VALUE - Math.max(dividerStart, 0)) / NS_PER_SECOND - 1) {
      return Long.MAX_VALUE;
    }
    long fraction = (at % FREQUENCY_HZ * NS_PER_SECOND + FREQUENCY_HZ - 1) / FREQUENCY_HZ;
    return dividerStart + seconds * NS_PER_SECOND + fraction;
  }

  /** Updates up to and including a pulse. */
  private static long updatesAt(long at) {
    return at < FIRST_UPDATE ? 0 : (at - FIRST_UPDATE) / FREQUENCY_HZ + 1;
  }

  /** Pulses between two periodic flags, 0 if there are none. */
  private int period() {
    int rate = ram[REG_A] & A_RS;
    // The two slowest settings would be too fast for the time base and give 256 and 128 Hz.
    return rate == 0 ? 0 : 1 << (rate <= 2 ? rate + 6 : rate - 1);
  }

  @Override
  public boolean hasTimer() {
    return true;
  }

  @Override
  public long nextDeadline() {
    return deadline;
  }

  @Override
  public void advanceTo(long nowNs) {
    catchUp(nowNs);
    drive();
  }

  private void catchUp(long nowNs) {
    now = Math.max(now, Math.min(nowNs, LATEST));
    if (!dividerRuns()) {
      return;
    }
    long reached = pulseAt(now);
    int period = period();
    if (period != 0 && reached / period > pulse / period) {
      flags |= C_PF;
    }
    long seconds = updatesAt(reached) - updatesAt(pulse);
    if (seconds > 0 && updates()) {
      flags |= C_UF;
      if (secondsToAlarm() <= seconds) {
        flags |= C_AF;
      }
      addSeconds(seconds);
    }
    pulse = reached;
  }

  private boolean raised() {
    return (flags & ram[REG_B] & C_FLAGS) != 0;
  }

  private void drive() {
    irq.set(raised());
    schedule();
  }

  /** Sets the deadline to the next flag that would raise the wire. */
  private void schedule() {
    deadline = Long.MAX_VALUE;
    if (raised() || !dividerRuns()) {
      return;
    }
    int enabled = ram[REG_B];
    int period = period();
    if ((enabled & B_PIE) != 0 && period != 0) {
      deadline = timeOf((pulse / period + 1) * period);
    }
    if (updates()) {
      long next = FIRST_UPDATE + updatesAt(pulse) * FREQUENCY_HZ;
      if ((enabled & B_UIE) != 0) {
        deadline = Math.min(deadline, timeOf(next));
      }
      long toAlarm = (enabled & B_AIE) != 0 ? secondsToAlarm() : Long.MAX_VALUE;
      if (toAlarm != Long.MAX_VALUE) {
        deadline = Math.min(deadline, timeOf(next + (toAlarm - 1) * FREQUENCY_HZ));
      }
    }
  }

  /** Updates until the alarm matches, at least 1; {@link Long#MAX_VALUE} if it never does. */
  private long secondsToAlarm() {
    int start = (hours(ram[HOURS]) * 60 + number(ram[MINUTES])) * 60 + number(ram[SECONDS]);
    for (int ahead = 1; ahead <= SECONDS_A_DAY; ) {
      int time = Math.floorMod(start + ahead, SECONDS_A_DAY);
      int second = time % 60;
      if (matches(HOURS_ALARM, hoursByte(time / 3600)) && matches(MINUTES_ALARM, byteOf(time / 60 % 60))) {
        if (matches(SECONDS_ALARM, byteOf(second))) {
          return ahead;
        }
        ahead++;
      } else {
        ahead += 60 - second;
      }
    }
    return Long.MAX_VALUE;
  }

  private boolean matches(int alarm, int value) {
    int wanted = ram[alarm] & 0xFF;
    return wanted >= ALARM_ANY || wanted == value;
  }

  private boolean binary() {
    return (ram[REG_B] & B_DM) != 0;
  }

  private int number(int value) {
    return binary() ? value & 0xFF : (value >> 4 & 15) * 10 + (value & 15);
  }

  private int byteOf(int number) {
    return binary() ? number : number / 10 << 4 | number % 10;
  }

  private int hours(int value) {
    if ((ram[REG_B] & B_24) != 0) {
      return number(value);
    }
    return number(value & ~HOURS_PM) % 12 + ((value & HOURS_PM) != 0 ? 12 : 0);
  }

  private int hoursByte(int hours) {
    if ((ram[REG_B] & B_24) != 0) {
      return byteOf(hours);
    }
    return byteOf((hours + 11) % 12 + 1) | (hours >= 12 ? HOURS_PM : 0);
  }

  private void addSeconds(long seconds) {
    LocalDateTime midnight = LocalDateTime.of(number(ram[CENTURY]) * 100 % 10_000 + number(ram[YEAR]) % 100, 1, 1, 0, 0)
        .plusMonths(number(ram[MONTH]) - 1L).plusDays(number(ram[DAY_OF_MONTH]) - 1L);
    long time = (hours(ram[HOURS]) * 60L + number(ram[MINUTES])) * 60 + number(ram[SECONDS]) + seconds;
    int weekday = (int) Math.floorMod(number(ram[DAY_OF_WEEK]) - 1 + Math.floorDiv(time, SECONDS_A_DAY), 7L) + 1;
    store(midnight.plusSeconds(time), weekday);
  }

  private void store(LocalDateTime time, int weekday) {
    ram[SECONDS] = (byte) byteOf(time.getSecond());
    ram[MINUTES] = (byte) byteOf(time.getMinute());
    ram[HOURS] = (byte) hoursByte(time.getHour());
    ram[DAY_OF_WEEK] = (byte) byteOf(weekday);
    ram[DAY_OF_MONTH] = (byte) byteOf(time.getDayOfMonth());
    ram[MONTH] = (byte) byteOf(time.getMonthValue());
    ram[YEAR] = (byte) byteOf(Math.floorMod(time.getYear(), 100));
    ram[CENTURY] = (byte) byteOf(Math.floorMod(time.getYear(), 10_000) / 100);
  }

  @Override
  public int in(int port, int size, long nowNs) {
    catchUp(nowNs);
    int value = peek(port, size);
    if (port != PORT_INDEX && index == REG_C) {
      flags = 0;
    }
    drive();
    return value;
  }

  @Override
  public int peek(int port, int size) {
    if (port == PORT_INDEX) {
      return 0xFF;
    }
    return switch (index) {
      case REG_A -> ram[REG_A] | (updates() && updatesAt(pulse + UIP_PULSES) != updatesAt(pulse) ? A_UIP : 0);
      case REG_C -> flags | (raised() ? C_IRQF : 0);
      case REG_D -> D_VRT;
      default -> ram[index] & 0xFF;
    };
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    catchUp(nowNs);
    if (port == PORT_INDEX) {
      index = value & BYTES - 1;
      return;
    }
    switch (index) {
      case REG_A -> writeA(value);
      // Setting the time forbids the interrupt that would say it has changed.
      case REG_B -> ram[REG_B] = (byte) ((value & B_SET) != 0 ? value & ~B_UIE : value);
      case REG_C, REG_D -> { }
      default -> ram[index] = (byte) value;
    }
    drive();
  }

  private void writeA(int value) {
    boolean ran = dividerRuns();
    ram[REG_A] = (byte) (value & A_WRITABLE);
    if (!ran && dividerRuns()) {
      dividerStart = now;
      pulse = 0;
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.write(ram);
    out.writeByte(index);
    out.writeByte(flags);
    out.writeLong(dividerStart);
    out.writeLong(pulse);
    out.writeLong(now);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    in.readFully(ram);
    index = in.readUnsignedByte() & BYTES - 1;
    flags = in.readUnsignedByte() & C_FLAGS;
    dividerStart = in.readLong();
    pulse = in.readLong();
    now = in.readLong();
    if (now < 0 || now > LATEST || dividerStart > now || dividerStart < -NS_PER_SECOND || pulse < 0
        || pulse > pulseAt(now)) {
      throw new IOException("rtc: saved state stands at " + now + " ns, pulse " + pulse
          + ", expected a time since the divider's start");
    }
    schedule();
  }
}
