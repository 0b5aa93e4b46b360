package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.Pit8254Bits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The PC's 8254 interval timer at 40h to 43h with system control port B at 61h (Intel 8254 data sheet).
 *
 * <p>Counter 0 drives IRQ 0, counter 2 is gated by bit 0 of port 61h and read back at its bit 5. The CLK pulse reached
 * at a time is {@code floor(ns * 1193182 / 10^9)}, computed from the absolute time, so that nothing ever drifts. The
 * only deadline is the next rising edge of counter 0; if several pass before anybody looks, IRQ 0 rises once, as its
 * latch could hold no more.
 *
 * <p>Bit 4 of port 61h follows the memory refresh that firmware sets up on counter 1, one toggle in 18 pulses (15.085
 * µs), whatever counter 1 is programmed to. Port 43h reads all ones, as nothing drives the bus there.
 */
public final class Pit8254 implements PortDevice {
  /** CLK pulses a second. */
  public static final long FREQUENCY_HZ = 1_193_182;
  /** The IRQ of counter 0. */
  public static final int IRQ = 0;

  private static final int VERSION = 1;
  private static final long NS_PER_SECOND = 1_000_000_000;
  private static final int PORT_COUNTER0 = 0x40;
  private static final int PORT_CONTROL = 0x43;
  private static final int PORT_B = 0x61;
  private static final int REFRESH_PULSES = 18;
  private static final int COUNTERS = 3;

  private final InterruptLine irq0;
  private final Pit8254Channel[] counters = {
    new Pit8254Channel(true), new Pit8254Channel(true), new Pit8254Channel(false)
  };
  private int portB;
  private boolean irq0Level;
  private long clk;
  /** Virtual time of counter 0's next rising edge. */
  private long deadline;

  /** @param irq0 the wire from counter 0's OUT, high at first */
  public Pit8254(InterruptLine irq0) {
    this.irq0 = irq0;
    driveIrq0();
  }

  @Override
  public String name() {
    return "pit";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT_COUNTER0, COUNTERS + 1), new PortRange(PORT_B, 1));
  }

  @Override
  public void reset() {
    for (int i = 0; i < COUNTERS; i++) {
      counters[i].reset(i != 2);
    }
    portB = 0;
    driveIrq0();
  }

  /** The last CLK pulse at or before a virtual time (ns). */
  static long pulseAt(long ns) {
    return ns / NS_PER_SECOND * FREQUENCY_HZ + ns % NS_PER_SECOND * FREQUENCY_HZ / NS_PER_SECOND;
  }

  /** The first virtual time (ns) at which a CLK pulse has happened, {@link Long#MAX_VALUE} if it lies past all time. */
  static long timeOf(long pulse) {
    long seconds = pulse / FREQUENCY_HZ;
    if (seconds >= Long.MAX_VALUE / NS_PER_SECOND) {
      return Long.MAX_VALUE;
    }
    return seconds * NS_PER_SECOND + (pulse % FREQUENCY_HZ * NS_PER_SECOND + FREQUENCY_HZ - 1) / FREQUENCY_HZ;
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
    clk = Math.max(clk, pulseAt(nowNs));
    counters[0].advance(clk);
    driveIrq0();
  }

  private void driveIrq0() {
    deadline = timeOf(counters[0].nextRise());
    boolean level = counters[0].out();
    if (counters[0].takeRise()) {
      if (irq0Level) {
        irq0.set(false);
      }
      irq0.set(true);
      irq0Level = true;
    }
    if (irq0Level != level) {
      irq0Level = level;
      irq0.set(level);
    }
  }

  /** The level of counter 2's OUT at the latest time seen; with bit 1 of port 61h it drives the speaker. */
  public boolean out2() {
    counters[2].advance(clk);
    return counters[2].out();
  }

  @Override
  public int in(int port, int size, long nowNs) {
    advanceTo(nowNs);
    if (port == PORT_B || port == PORT_CONTROL) {
      return peek(port, size);
    }
    Pit8254Channel counter = counters[port - PORT_COUNTER0];
    counter.advance(clk);
    return counter.readData(clk);
  }

  @Override
  public int peek(int port, int size) {
    if (port == PORT_CONTROL) {
      return 0xFF;
    }
    // Counter 0 stands at the latest time always; the others drive no line, so nobody can tell when they get there.
    Pit8254Channel counter = counters[port == PORT_B ? 2 : port - PORT_COUNTER0];
    counter.advance(clk);
    return port == PORT_B ? portB() : counter.peekData(clk);
  }

  private int portB() {
    boolean refresh = (clk / REFRESH_PULSES & 1) != 0;
    return portB | (refresh ? PORT_B_REFRESH : 0) | (counters[2].out() ? PORT_B_OUT2 : 0);
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    advanceTo(nowNs);
    counters[1].advance(clk);
    counters[2].advance(clk);
    switch (port) {
      case PORT_B -> {
        portB = value & PORT_B_WRITABLE;
        counters[2].setGate((value & PORT_B_GATE2) != 0, clk);
      }
      case PORT_CONTROL -> writeControl(value & 0xFF);
      default -> counters[port - PORT_COUNTER0].writeData(value, clk);
    }
    driveIrq0();
  }

  private void writeControl(int value) {
    int selected = value >> CONTROL_COUNTER_SHIFT;
    if (selected == CONTROL_READ_BACK) {
      for (int i = 0; i < COUNTERS; i++) {
        if ((value >> READ_BACK_COUNTER_SHIFT + i & 1) != 0) {
          readBack(counters[i], value);
        }
      }
    } else if ((value >> CONTROL_ACCESS_SHIFT & CONTROL_ACCESS) == ACCESS_LATCH) {
      counters[selected].latchCount(clk);
    } else {
      counters[selected].writeControl(value, clk);
    }
  }

  private void readBack(Pit8254Channel counter, int value) {
    if ((value & READ_BACK_NO_COUNT) == 0) {
      counter.latchCount(clk);
    }
    if ((value & READ_BACK_NO_STATUS) == 0) {
      counter.latchStatus();
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeLong(clk);
    for (Pit8254Channel counter : counters) {
      counter.save(out);
    }
    out.writeByte(portB);
    out.writeBoolean(irq0Level);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    clk = in.readLong();
    if (clk < 0 || clk > pulseAt(Long.MAX_VALUE)) {
      throw new IOException("pit: saved state stands at pulse " + clk + ", expected a time of at most 2^63 ns");
    }
    for (Pit8254Channel counter : counters) {
      counter.load(in, clk);
    }
    portB = in.readUnsignedByte() & PORT_B_WRITABLE;
    irq0Level = in.readBoolean();
    deadline = timeOf(counters[0].nextRise());
  }
}
