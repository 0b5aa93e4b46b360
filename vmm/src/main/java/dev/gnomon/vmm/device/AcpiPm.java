package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The fixed hardware of ACPI at 600h to 60Bh, or where firmware in ROM puts it: PM1a event and control blocks and the
 * power-management timer (ACPI specification 6, "ACPI Hardware Specification"). The machine is always in ACPI mode:
 * SCI_EN is fixed and there is no SMI command port. The sleep type of S5 switches the machine off, others do nothing.
 *
 * <pre>
 *  600 PM1_STS   WAK 15   RTC 10   PWRBTN 8   GBL 5   TMR 0       write 1 to clear
 *  602 PM1_EN             RTC 10   PWRBTN 8   GBL 5   TMR 0
 *  604 PM1_CNT   SLP_EN 13 (reads 0)   SLP_TYP 12..10   BM_RLD 1   SCI_EN 0
 *  608 PM_TMR    24 bits, 3579545 Hz; TMR_STS is set whenever bit 23 changes
 * </pre>
 */
public final class AcpiPm implements PortDevice {
  public static final int PORT = 0x600;
  public static final int PM1_EVENT = PORT;
  public static final int PM1_CONTROL = PORT + 4;
  public static final int PM_TIMER = PORT + 8;
  /** The IRQ and global system interrupt of the SCI, level-triggered. */
  public static final int SCI = 9;
  /** SLP_TYP of soft off, for the {@code _S5} object. */
  public static final int SLEEP_TYPE_S5 = 5;
  /** Ticks a second of the timer. */
  public static final long FREQUENCY_HZ = 3_579_545;

  private static final int FORMAT = 1;
  private static final int PORTS = 12;
  private static final long NS_PER_SECOND = 1_000_000_000;
  private static final int TIMER_BITS = 24;
  private static final long TIMER_MASK = (1L << TIMER_BITS) - 1;
  private static final int HALF_SHIFT = TIMER_BITS - 1;

  private static final int TMR = 1 << 0;
  private static final int GBL = 1 << 5;
  private static final int PWRBTN = 1 << 8;
  private static final int RTC = 1 << 10;
  private static final int WAK = 1 << 15;
  private static final int EVENTS = TMR | GBL | PWRBTN | RTC;
  private static final int SCI_EN = 1 << 0;
  private static final int BM_RLD = 1 << 1;
  private static final int SLP_TYP_SHIFT = 10;
  private static final int SLP_TYP = 7;
  private static final int SLP_EN = 1 << 13;
  private static final int CONTROL_KEPT = SLP_TYP << SLP_TYP_SHIFT | BM_RLD;

  /** Where SeaBIOS puts the registers of a 440FX's power management. */
  public static final int FIRMWARE_PORT = 0xB000;

  private final int base;
  private final InterruptLine sci;
  private final PowerRequest power;
  private int status;
  private int enable;
  private int control;
  /** Ticks of the timer at the latest time seen. */
  private long ticks;

  /**
   * The registers.
   *
   * @param base their first port
   * @param sci the wire of the system control interrupt
   * @param power told when the guest switches off
   */
  public AcpiPm(int base, InterruptLine sci, PowerRequest power) {
    this.base = base;
    this.sci = sci;
    this.power = power;
  }

  @Override
  public String name() {
    return "acpi-pm";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(base, PORTS));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public void reset() {
    status = 0;
    enable = 0;
    control = 0;
    drive();
  }

  private static long ticksAt(long ns) {
    return ns / NS_PER_SECOND * FREQUENCY_HZ + ns % NS_PER_SECOND * FREQUENCY_HZ / NS_PER_SECOND;
  }

  private static long timeOf(long tick) {
    long seconds = tick / FREQUENCY_HZ;
    if (seconds >= Long.MAX_VALUE / NS_PER_SECOND) {
      return Long.MAX_VALUE;
    }
    return seconds * NS_PER_SECOND + (tick % FREQUENCY_HZ * NS_PER_SECOND + FREQUENCY_HZ - 1) / FREQUENCY_HZ;
  }

  @Override
  public boolean hasTimer() {
    return true;
  }

  /** The next change of the timer's highest bit, if that would interrupt. */
  @Override
  public long nextDeadline() {
    return (enable & TMR) != 0 && (status & TMR) == 0 ? timeOf((ticks >> HALF_SHIFT) + 1 << HALF_SHIFT)
        : Long.MAX_VALUE;
  }

  @Override
  public void advanceTo(long nowNs) {
    long reached = Math.max(ticks, ticksAt(nowNs));
    if (reached >> HALF_SHIFT != ticks >> HALF_SHIFT) {
      status |= TMR;
    }
    ticks = reached;
    drive();
  }

  private void drive() {
    sci.set((status & enable & EVENTS) != 0);
  }

  /** Somebody presses the power button. */
  public void pressPowerButton() {
    status |= PWRBTN;
    drive();
  }

  @Override
  public int in(int port, int size, long nowNs) {
    advanceTo(nowNs);
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    int at = port - base;
    int word = switch (at >> 2) {
      case 0 -> enable << 16 | status;
      case 1 -> control | SCI_EN;
      default -> (int) (ticks & TIMER_MASK);
    };
    return word >>> 8 * (at & 3) & -1 >>> 32 - 8 * size;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    advanceTo(nowNs);
    int at = port - base;
    int shift = 8 * (at & 3);
    int written = value << shift;
    int mask = (-1 >>> 32 - 8 * size) << shift;
    if (at >> 2 == 0) {
      status &= ~(written & mask & (EVENTS | WAK));
      int enableMask = mask >>> 16;
      enable = (enable & ~enableMask | written >>> 16 & enableMask) & EVENTS;
      drive();
    } else if (at >> 2 == 1) {
      control = (control & ~mask | written & mask) & CONTROL_KEPT;
      if ((written & mask & SLP_EN) != 0 && (control >> SLP_TYP_SHIFT & SLP_TYP) == SLEEP_TYPE_S5) {
        power.powerOff();
      }
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(FORMAT);
    out.writeShort(status);
    out.writeShort(enable);
    out.writeShort(control);
    out.writeLong(ticks);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), FORMAT);
    status = in.readUnsignedShort() & (EVENTS | WAK);
    enable = in.readUnsignedShort() & EVENTS;
    control = in.readUnsignedShort() & CONTROL_KEPT;
    ticks = in.readLong();
    if (ticks < 0 || ticks > ticksAt(Long.MAX_VALUE)) {
      throw new IOException("acpi-pm: saved state stands at tick " + ticks + ", expected a time of at most 2^63 ns");
    }
  }
}
