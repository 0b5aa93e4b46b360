package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.LocalApicBits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * The timer of a local APIC (SDM vol. 3A, "APIC Timer", "TSC-Deadline Mode"). Its clock ticks once a virtual
 * nanosecond, before the divider. Expiries that nobody looked at in time count as one.
 */
final class LocalApicTimer {
  /** Bits of the divide configuration register. */
  static final int DIVIDE_WRITABLE = 0xB;
  private static final long NEVER = Long.MAX_VALUE;
  /** Divide register 1011b is a divider of 1. */
  private static final int LOG2_MASK = 7;

  private int mode;
  private int divide;
  private int initial;
  /** Virtual time at which the count reaches zero; NEVER if it does not run. */
  private long expiry = NEVER;
  /** TSC value, unsigned; 0 if disarmed. */
  private long tscDeadline;
  private long now;

  void reset() {
    mode = 0;
    divide = 0;
    initial = 0;
    expiry = NEVER;
    tscDeadline = 0;
  }

  private int dividerLog2() {
    return (divide >> 1 & 4 | divide & 3) + 1 & LOG2_MASK;
  }

  private long period() {
    return (initial & 0xFFFF_FFFFL) << dividerLog2();
  }

  /** The virtual time at which it expires next, NEVER if it does not. */
  long expiry(long tscOffset) {
    if (mode != TIMER_TSC_DEADLINE) {
      return expiry;
    }
    if (tscDeadline == 0) {
      return NEVER;
    }
    long tsc = now + tscOffset;
    if (Long.compareUnsigned(tscDeadline, tsc) <= 0) {
      return now;
    }
    long ahead = tscDeadline - tsc;
    return ahead < 0 || ahead > NEVER - now ? NEVER : now + ahead;
  }

  /** Moves to a time. @return whether it expired on the way */
  boolean advance(long nowNs, long tscOffset) {
    now = Math.max(now, nowNs);
    long at = expiry(tscOffset);
    if (at > now) {
      return false;
    }
    if (mode == TIMER_TSC_DEADLINE) {
      tscDeadline = 0;
    } else if (mode == TIMER_PERIODIC && initial != 0) {
      long period = period();
      long behind = now - at;
      long next = period - behind % period;
      expiry = next > NEVER - now ? NEVER : now + next;
    } else {
      expiry = NEVER;
    }
    return true;
  }

  /** Changing between counting and TSC-deadline mode disarms the timer. */
  void setMode(int value) {
    if ((value == TIMER_TSC_DEADLINE) != (mode == TIMER_TSC_DEADLINE)) {
      expiry = NEVER;
      initial = 0;
      tscDeadline = 0;
    }
    mode = value;
  }

  /** Starts the count at the time last seen; 0 stops it. In TSC-deadline mode nothing happens. */
  void setInitialCount(int value) {
    if (mode == TIMER_TSC_DEADLINE) {
      return;
    }
    initial = value;
    start(period());
  }

  private void start(long length) {
    expiry = length == 0 || length > NEVER - now ? NEVER : now + length;
  }

  int initialCount() {
    return initial;
  }

  int currentCount() {
    if (expiry == NEVER || mode == TIMER_TSC_DEADLINE) {
      return 0;
    }
    int shift = dividerLog2();
    return (int) (expiry - now + (1L << shift) - 1 >> shift);
  }

  int divideRegister() {
    return divide;
  }

  /** A running count goes on from where it is at the new rate. */
  void setDivide(int value) {
    long left = currentCount() & 0xFFFF_FFFFL;
    divide = value & DIVIDE_WRITABLE;
    start(left << dividerLog2());
  }

  long tscDeadline() {
    return mode == TIMER_TSC_DEADLINE ? tscDeadline : 0;
  }

  /** Arms the timer; 0 disarms it. In other modes nothing happens. */
  void setTscDeadline(long value) {
    if (mode == TIMER_TSC_DEADLINE) {
      tscDeadline = value;
    }
  }

  void save(DataOutput out) throws IOException {
    out.writeByte(mode);
    out.writeByte(divide);
    out.writeInt(initial);
    out.writeLong(expiry);
    out.writeLong(tscDeadline);
    out.writeLong(now);
  }

  void load(DataInput in) throws IOException {
    mode = in.readUnsignedByte() & TIMER_MODE;
    divide = in.readUnsignedByte() & DIVIDE_WRITABLE;
    initial = in.readInt();
    expiry = in.readLong();
    tscDeadline = in.readLong();
    now = in.readLong();
    if (now < 0 || expiry < 0) {
      throw new IOException("local APIC timer: saved state stands at " + now + " ns and expires at " + expiry
          + " ns, expected times from 0 on");
    }
  }
}
