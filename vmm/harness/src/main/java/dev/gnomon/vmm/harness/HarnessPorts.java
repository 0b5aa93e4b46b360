package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.device.MmioRange;
import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.function.LongConsumer;

/**
 * How the guest of a harness speaks to it: doorbells, and marks for the history. User programs reach no ports, so there
 * is a page too:
 * <pre>
 *  +0  a request begins: its number, 32 bits
 *  +4  a request has been found completed: its number
 *  +8  rings a doorbell: the index of the device
 *  +C  the guest is where schedules begin
 *  +10 the driver is ready: devices may touch what it has named
 * </pre>
 */
final class HarnessPorts implements PortDevice, MmioDevice {
  /** A page in the hole below 4 GiB that no PC device uses. */
  static final @Gpa long PAGE = 0xFEDE_2000L;
  /** Offsets in the page. */
  static final int BEGIN = 0;
  static final int END = 4;
  static final int DOORBELL = 8;
  static final int START = 0xC;
  static final int READY = 0x10;
  private static final int PAGE_BYTES = 20;

  private IntConsumer doorbell = index -> { };
  private LongConsumer begin = id -> { };
  private LongConsumer end = id -> { };
  private Runnable ready = () -> { };
  private Runnable start = () -> { };

  /**
   * Who hears of doorbells, by the device's index, of requests that begin and end, by their numbers, and of the
   * driver's being ready.
   */
  void connect(IntConsumer doorbells, LongConsumer begins, LongConsumer ends, Runnable readies) {
    doorbell = doorbells;
    begin = begins;
    end = ends;
    ready = readies;
  }

  /** What happens when the guest is where schedules begin. */
  void atStart(Runnable action) {
    start = action;
  }

  @Override
  public String name() {
    return "harness";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(GuestCode.DOORBELL_PORT, GuestCode.READY_PORT + 4 - GuestCode.DOORBELL_PORT));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public MmioRange range() {
    return new MmioRange(PAGE, PAGE_BYTES);
  }

  @Override
  public int mmioWidth() {
    return 4;
  }

  @Override
  public void reset() {}

  @Override
  public int in(int port, int size, long nowNs) {
    return 0;
  }

  @Override
  public int peek(int port, int size) {
    return 0;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    if (port == GuestCode.BEGIN_PORT) {
      begin.accept(value & 0xFFFF_FFFFL);
    } else if (port == GuestCode.END_PORT) {
      end.accept(value & 0xFFFF_FFFFL);
    } else if (port == GuestCode.READY_PORT) {
      ready.run();
    } else {
      doorbell.accept((port - GuestCode.DOORBELL_PORT) / 4);
    }
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return 0;
  }

  @Override
  public long peek(long offset, int size) {
    return 0;
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    switch ((int) offset) {
      case BEGIN -> begin.accept(value);
      case END -> end.accept(value);
      case DOORBELL -> doorbell.accept((int) value);
      case START -> start.run();
      case READY -> ready.run();
      default -> { }
    }
  }

  @Override
  public void save(DataOutput out) {}

  @Override
  public void load(DataInput in) {}
}
