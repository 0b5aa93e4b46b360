package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.Pit8254Bits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * One counter of the 8254, exact to the CLK pulse and computed only when somebody looks.
 *
 * <p>Times are CLK pulses since power-on. A count written, or a gate trigger seen, after pulse {@code k} and before
 * pulse {@code k + 1} loads the counting element at pulse {@code k + 1}; each later pulse counts. OUT is a function of
 * the pulses passed, so that a caller that comes late finds the same state as one that came at every pulse; all it
 * loses is the number of edges in between, which {@link #takeRise()} reports as one.
 *
 * <p>Modes 2 and 3 cannot count from 1; the data sheet forbids it and this counts from 2 instead. A BCD digit above 9
 * weighs its value.
 */
final class Pit8254Channel {
  static final long NEVER = Long.MAX_VALUE;

  private static final int BINARY_RANGE = 0x10000;
  private static final int BCD_RANGE = 10_000;
  private static final int SHORTEST_PERIOD = 2;
  private static final int RESET_CONTROL = ACCESS_BOTH << CONTROL_ACCESS_SHIFT | 3 << CONTROL_MODE_SHIFT;

  /** Access, mode and BCD bits as written. */
  private int control;
  private int mode;
  private int access;
  private boolean bcd;

  /** CR, as written, and the low byte that waits for its high byte. */
  private int countRegister;
  private int lowByte;
  private boolean highByteNext;
  private boolean written;
  private boolean nullCount;

  /** The count that CE was last loaded with, 1 to 65536, and the pulse at which it had that value. */
  private int initial;
  private long start;
  /** The pulses counted when counting stopped. */
  private long stopped;
  private boolean counting;
  private boolean loaded;
  /** Modes 0, 1, 4, 5: the terminal count is still to come. */
  private boolean armed;
  private long loadAt;
  private long strobeEnd;

  private boolean gate;
  private boolean out;
  private boolean rose;

  private int latchedCount;
  private int latchedBytes;
  private int latchedStatus;
  private boolean statusLatched;
  private boolean readHighNext;

  Pit8254Channel(boolean gate) {
    reset(gate);
  }

  /**
   * The data sheet leaves the state at power-on open; here nothing counts and OUT is high, so that programming any mode
   * but 0 gives no edge.
   */
  void reset(boolean gateLevel) {
    gate = gateLevel;
    countRegister = 0;
    initial = BINARY_RANGE;
    start = 0;
    stopped = 0;
    rose = false;
    counting = false;
    setControl(RESET_CONTROL);
    out = true;
    rose = false;
  }

  private void setControl(int value) {
    control = value & CONTROL_REPEATED;
    int m = control >> CONTROL_MODE_SHIFT & CONTROL_MODE;
    mode = m > 5 ? m - 4 : m;
    access = control >> CONTROL_ACCESS_SHIFT & CONTROL_ACCESS;
    bcd = (control & CONTROL_BCD) != 0;
    highByteNext = false;
    readHighNext = false;
    latchedBytes = 0;
    statusLatched = false;
    written = false;
    loaded = false;
    armed = false;
    nullCount = true;
    loadAt = NEVER;
    strobeEnd = NEVER;
  }

  /** A control word for this counter with an access other than latch. The counter must be advanced to {@code clk}. */
  void writeControl(int value, long clk) {
    int count = count(clk);
    stopCounting(clk);
    initial = count == 0 ? BINARY_RANGE : count;
    stopped = 0;
    setControl(value);
    setOut(mode != 0);
  }

  void writeData(int value, long clk) {
    int v = value & 0xFF;
    if (access == ACCESS_BOTH && !highByteNext) {
      lowByte = v;
      highByteNext = true;
      if (mode == 0) {
        stopCounting(clk);
        loaded = false;
        armed = false;
        loadAt = NEVER;
        setOut(false);
      }
      return;
    }
    countRegister = access == ACCESS_LOW ? v : access == ACCESS_HIGH ? v << 8 : v << 8 | lowByte;
    highByteNext = false;
    written = true;
    nullCount = true;
    switch (mode) {
      case 0 -> {
        setOut(false);
        armed = false;
        loadAt = clk + 1;
      }
      case 4 -> loadAt = clk + 1;
      case 2, 3 -> {
        if (!loaded) {
          loadAt = clk + 1;
        }
      }
      default -> { }
    }
  }

  void setGate(boolean level, long clk) {
    if (level == gate) {
      return;
    }
    gate = level;
    switch (mode) {
      case 1, 5 -> {
        if (level && written) {
          loadAt = clk + 1;
        }
      }
      case 2, 3 -> {
        if (!level) {
          stopCounting(clk);
          setOut(true);
        } else if (written) {
          loadAt = clk + 1;
        }
      }
      default -> {
        if (!level) {
          stopCounting(clk);
        } else if (loaded) {
          start = clk - stopped;
          counting = true;
        }
      }
    }
  }

  private void stopCounting(long clk) {
    if (counting) {
      stopped = clk - start;
      counting = false;
    }
  }

  /** Brings the counter up to a pulse; nothing happens if it is there or past it already. */
  void advance(long clk) {
    for (;;) {
      long terminal = terminal();
      long next = Math.min(Math.min(strobeEnd, loadAt), terminal);
      if (next > clk || next == NEVER) {
        return;
      }
      if (strobeEnd == next) {
        strobeEnd = NEVER;
        setOut(true);
      } else if (loadAt == next) {
        load(next);
      } else {
        reachTerminal(next, clk);
      }
    }
  }

  /** The pulse at which OUT changes by counting, {@link #NEVER} if it will not. */
  private long terminal() {
    if (!counting) {
      return NEVER;
    }
    return switch (mode) {
      case 2 -> start + (out ? initial - 1 : initial);
      case 3 -> start + half(initial, out);
      default -> armed ? start + initial : NEVER;
    };
  }

  private static int half(int period, boolean high) {
    return high ? period + 1 >> 1 : period >> 1;
  }

  private void load(long clk) {
    takeCount(clk);
    loadAt = NEVER;
    loaded = true;
    stopped = 0;
    switch (mode) {
      case 1 -> {
        setOut(false);
        armed = true;
        counting = true;
      }
      case 5 -> {
        armed = true;
        counting = true;
      }
      case 2, 3 -> {
        setOut(true);
        counting = gate;
      }
      default -> {
        armed = true;
        counting = gate;
      }
    }
  }

  private void takeCount(long clk) {
    initial = effectiveCount();
    start = clk;
    nullCount = false;
  }

  private int effectiveCount() {
    int n = bcd ? fromBcd(countRegister) : countRegister;
    if (n == 0) {
      return range();
    }
    return mode == 2 || mode == 3 ? Math.max(SHORTEST_PERIOD, n) : n;
  }

  private void reachTerminal(long at, long clk) {
    switch (mode) {
      case 2 -> {
        setOut(!out);
        if (out) {
          takeCount(at);
          skipPeriods(clk);
        }
      }
      case 3 -> {
        takeCount(at);
        setOut(!out);
        if (out) {
          skipPeriods(clk);
        }
      }
      case 4, 5 -> {
        armed = false;
        strobeEnd = at + 1;
        setOut(false);
      }
      default -> {
        armed = false;
        setOut(true);
      }
    }
  }

  /** Passes over the whole periods up to a pulse in one step, however many they are. */
  private void skipPeriods(long clk) {
    long periods = (clk - start) / initial;
    if (periods > 0) {
      start += periods * initial;
      rose = true;
    }
  }

  private void setOut(boolean level) {
    rose |= level && !out;
    out = level;
  }

  boolean out() {
    return out;
  }

  /** Whether OUT has risen since the last call. */
  boolean takeRise() {
    boolean r = rose;
    rose = false;
    return r;
  }

  /** The pulse of OUT's next rising edge if nothing is written and the gate stays, {@link #NEVER} if there is none. */
  long nextRise() {
    if (strobeEnd != NEVER) {
      return strobeEnd;
    }
    int toRise = mode == 4 || mode == 5 ? 1 : 0;
    if (loadAt != NEVER) {
      boolean counts = gate || mode == 1 || mode == 5;
      return counts ? loadAt + effectiveCount() + toRise : NEVER;
    }
    if (!counting) {
      return NEVER;
    }
    return switch (mode) {
      case 2 -> start + initial;
      case 3 -> out ? start + half(initial, true) + half(effectiveCount(), false) : start + half(initial, false);
      default -> armed ? start + initial + toRise : NEVER;
    };
  }

  /** CE at a pulse to which the counter is advanced, 0 to 65535 or 9999. */
  private int count(long clk) {
    long passed = counting ? clk - start : stopped;
    return (int) Math.floorMod(mode == 3 ? (initial & ~1) - 2 * passed : initial - passed, (long) range());
  }

  private int range() {
    return bcd ? BCD_RANGE : BINARY_RANGE;
  }

  private static int fromBcd(int digits) {
    return (digits >> 12 & 15) * 1000 + (digits >> 8 & 15) * 100 + (digits >> 4 & 15) * 10 + (digits & 15);
  }

  private static int toBcd(int value) {
    return value / 1000 % 10 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
  }

  /**
   * What a read gives. A count that still waits for its pulse is seen already, as under KVM: on a PC's bus the read
   * that follows a write comes more than a pulse later, and Linux' calibration takes an old count for a broken timer.
   */
  private int visibleCount(long clk) {
    int pending = mode == 3 ? effectiveCount() & ~1 : effectiveCount();
    int count = loadAt == NEVER ? count(clk) : pending % range();
    return bcd ? toBcd(count) : count;
  }

  /** Counter latch: ignored while a latched count is unread. */
  void latchCount(long clk) {
    if (latchedBytes == 0) {
      latchedCount = visibleCount(clk);
      latchedBytes = access == ACCESS_BOTH ? 2 : 1;
    }
  }

  /** Status latch: ignored while a latched status is unread. */
  void latchStatus() {
    if (!statusLatched) {
      latchedStatus = (out ? STATUS_OUT : 0) | (nullCount ? STATUS_NULL_COUNT : 0) | control;
      statusLatched = true;
    }
  }

  int readData(long clk) {
    int value = peekData(clk);
    if (statusLatched) {
      statusLatched = false;
    } else if (latchedBytes > 0) {
      latchedBytes--;
    } else if (access == ACCESS_BOTH) {
      readHighNext = !readHighNext;
    }
    return value;
  }

  int peekData(long clk) {
    if (statusLatched) {
      return latchedStatus;
    }
    boolean latched = latchedBytes > 0;
    boolean high = access == ACCESS_HIGH || access == ACCESS_BOTH && (latched ? latchedBytes == 1 : readHighNext);
    int count = latched ? latchedCount : visibleCount(clk);
    return (high ? count >> 8 : count) & 0xFF;
  }

  void save(DataOutput output) throws IOException {
    output.writeByte(control);
    output.writeShort(countRegister);
    output.writeByte(lowByte);
    output.writeBoolean(highByteNext);
    output.writeBoolean(written);
    output.writeBoolean(nullCount);
    output.writeInt(initial);
    output.writeLong(start);
    output.writeLong(stopped);
    output.writeBoolean(counting);
    output.writeBoolean(loaded);
    output.writeBoolean(armed);
    output.writeLong(loadAt);
    output.writeLong(strobeEnd);
    output.writeBoolean(gate);
    output.writeBoolean(out);
    output.writeBoolean(rose);
    output.writeShort(latchedCount);
    output.writeByte(latchedBytes);
    output.writeByte(latchedStatus);
    output.writeBoolean(statusLatched);
    output.writeBoolean(readHighNext);
  }

  /** @throws IOException if a time in it cannot be that of a counter at pulse {@code clk} */
  void load(DataInput input, long clk) throws IOException {
    setControl(input.readUnsignedByte());
    countRegister = input.readUnsignedShort();
    lowByte = input.readUnsignedByte();
    highByteNext = input.readBoolean();
    written = input.readBoolean();
    nullCount = input.readBoolean();
    initial = input.readInt();
    start = input.readLong();
    stopped = input.readLong();
    counting = input.readBoolean();
    int least = counting && (mode == 2 || mode == 3) ? SHORTEST_PERIOD : 1;
    initial = Math.max(least, Math.min(BINARY_RANGE, initial));
    loaded = input.readBoolean();
    armed = input.readBoolean();
    loadAt = input.readLong();
    strobeEnd = input.readLong();
    if (start < 0 || start > clk || stopped < 0 || stopped > clk || !soon(loadAt, clk) || !soon(strobeEnd, clk)) {
      throw new IOException("pit: saved state has a counter time that is not near pulse " + clk);
    }
    gate = input.readBoolean();
    out = input.readBoolean();
    rose = input.readBoolean();
    latchedCount = input.readUnsignedShort();
    latchedBytes = Math.min(2, input.readUnsignedByte());
    latchedStatus = input.readUnsignedByte();
    statusLatched = input.readBoolean();
    readHighNext = input.readBoolean();
  }

  private static boolean soon(long pulse, long clk) {
    return pulse == NEVER || pulse >= 0 && pulse <= clk + 1;
  }
}
