package dev.gnomon.vmm.device;

import dev.gnomon.guest.memory.Gpa;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.function.IntFunction;

/**
 * High-precision event timers (IA-PC HPET Specification 1.0a) at FED00000h: a 64-bit counter at 100 MHz and three
 * timers, all of which can be periodic.
 *
 * <pre>
 *  000  capabilities   63..32 period in fs   31..16 vendor   15 legacy   13 64 bits   12..8 timers − 1   7..0 revision
 *  010  configuration  1 LEG_RT   0 ENABLE
 *  020  status         one bit a timer, level-triggered ones only; write 1 to clear
 *  0F0  counter        can be written while ENABLE is 0
 *  100 + 20n  timer n  63..32 routes   13..9 INT_ROUTE   8 32MODE   6 VAL_SET   5 64 bits   4 periodic
 *                      3 TYPE (periodic)   2 INT_ENB   1 INT_TYPE (level)
 *  108 + 20n  comparator
 * </pre>
 *
 * <p>With LEG_RT timer 0 takes the place of the 8254 on IRQ 0, timer 1 that of the real-time clock on IRQ 8.
 */
public final class Hpet implements MmioDevice {
  public static final @Gpa long GPA = 0xFED0_0000L;
  public static final int BYTES = 0x400;
  /** Nanoseconds of a tick. */
  public static final int TICK_NS = 10;

  private static final int VERSION = 1;
  private static final int TIMERS = 3;
  /** The register that says what it is. */
  public static final long CAPABILITIES = (long) TICK_NS * 1_000_000 << 32 | 0x8086L << 16 | 1 << 15 | 1 << 13
      | TIMERS - 1 << 8 | 1;
  private static final int REG_CAPABILITIES = 0x000;
  private static final int REG_CONFIG = 0x010;
  private static final int REG_STATUS = 0x020;
  private static final int REG_COUNTER = 0x0F0;
  private static final int REG_TIMERS = 0x100;
  private static final int TIMER_BYTES = 0x20;
  private static final int TIMER_COMPARATOR = 0x08;

  private static final long ENABLE = 1 << 0;
  private static final long LEG_RT = 1 << 1;

  private static final long INT_TYPE = 1 << 1;
  private static final long INT_ENB = 1 << 2;
  private static final long TYPE = 1 << 3;
  private static final long PERIODIC_CAPABLE = 1 << 4;
  private static final long SIZE_64 = 1 << 5;
  private static final long VAL_SET = 1 << 6;
  private static final long MODE_32 = 1 << 8;
  private static final int ROUTE_SHIFT = 9;
  private static final int ROUTE = 0x1F;
  private static final long TIMER_WRITABLE = INT_TYPE | INT_ENB | TYPE | VAL_SET | MODE_32 | ROUTE << ROUTE_SHIFT;
  /** Inputs 2 and 16 to 23 of the I/O APIC. */
  private static final long ROUTES = 0xFF_0004L;
  private static final long TIMER_FIXED = ROUTES << 32 | PERIODIC_CAPABLE | SIZE_64;
  private static final int LEGACY_TIMER_IRQ = 0;
  private static final int LEGACY_CLOCK_IRQ = 8;
  private static final long NEVER = Long.MAX_VALUE;
  private static final long LOW_HALF = 0xFFFF_FFFFL;

  private final IntFunction<InterruptLine> lines;
  private long config;
  private long status;
  /** Ticks of virtual time. */
  private long ticks;
  /** What the counter is ahead of {@link #ticks} while it runs, and its value while it stands. */
  private long ahead;
  private long standing;
  private final long[] control = new long[TIMERS];
  private final long[] comparator = new long[TIMERS];
  private final long[] period = new long[TIMERS];
  /** The tick of virtual time of the next match. */
  private final long[] next = new long[TIMERS];

  /** @param lines gives the wire of each global system interrupt, 0 to 23 */
  public Hpet(IntFunction<InterruptLine> lines) {
    this.lines = lines;
    reset();
  }

  @Override
  public String name() {
    return "hpet";
  }

  @Override
  public MmioRange range() {
    return new MmioRange(GPA, BYTES);
  }

  @Override
  public void reset() {
    config = 0;
    status = 0;
    standing = 0;
    for (int i = 0; i < TIMERS; i++) {
      control[i] = 0;
      comparator[i] = -1;
      period[i] = 0;
      next[i] = NEVER;
    }
  }

  /** Whether timers 0 and 1 have taken the interrupts of the 8254 and the real-time clock. */
  public boolean replacesLegacy() {
    return (config & LEG_RT) != 0;
  }

  private boolean runs() {
    return (config & ENABLE) != 0;
  }

  private long counter() {
    return runs() ? ticks + ahead : standing;
  }

  /** The bits that a timer compares. */
  private long mask(int timer) {
    return (control[timer] & MODE_32) != 0 ? LOW_HALF : -1;
  }

  private void arm(int timer) {
    if (!runs()) {
      next[timer] = NEVER;
      return;
    }
    long distance = comparator[timer] - counter() & mask(timer);
    next[timer] = distance < 0 || distance > NEVER - ticks - 1 ? NEVER : ticks + distance;
  }

  private void armAll() {
    for (int i = 0; i < TIMERS; i++) {
      arm(i);
    }
  }

  @Override
  public boolean hasTimer() {
    return true;
  }

  @Override
  public long nextDeadline() {
    long earliest = NEVER;
    for (int i = 0; i < TIMERS; i++) {
      if ((control[i] & INT_ENB) != 0) {
        earliest = Math.min(earliest, next[i]);
      }
    }
    return earliest > NEVER / TICK_NS ? NEVER : earliest * TICK_NS;
  }

  @Override
  public void advanceTo(long nowNs) {
    ticks = Math.max(ticks, nowNs / TICK_NS);
    for (int i = 0; i < TIMERS; i++) {
      if (next[i] <= ticks) {
        match(i);
      }
    }
  }

  /** A match, and those that were missed since. */
  private void match(int i) {
    if ((control[i] & TYPE) != 0 && period[i] != 0) {
      long step = period[i] & mask(i);
      long steps = step <= 0 ? 1 : (ticks - next[i]) / step + 1;
      comparator[i] = comparator[i] + steps * step & mask(i);
      next[i] = step <= 0 || steps * step > NEVER - next[i] - 1 ? NEVER : next[i] + steps * step;
    } else {
      next[i] = (control[i] & MODE_32) != 0 ? next[i] + ((ticks - next[i] >> 32) + 1 << 32) : NEVER;
    }
    if ((control[i] & INT_TYPE) != 0) {
      status |= 1L << i;
    }
    if ((control[i] & INT_ENB) == 0) {
      return;
    }
    InterruptLine line = line(i);
    line.set(true);
    if ((control[i] & INT_TYPE) == 0) {
      line.set(false);
    }
  }

  private InterruptLine line(int timer) {
    if (replacesLegacy() && timer < 2) {
      return lines.apply(timer == 0 ? LEGACY_TIMER_IRQ : LEGACY_CLOCK_IRQ);
    }
    int route = (int) (control[timer] >> ROUTE_SHIFT) & ROUTE;
    return (ROUTES >> route & 1) != 0 ? lines.apply(route) : InterruptLine.NONE;
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    advanceTo(nowNs);
    return peek(offset, size);
  }

  /** The bytes of a register that lie in it; an access across two registers reads zeros behind the first. */
  @Override
  public long peek(long offset, int size) {
    return register((int) offset & ~7) >>> 8 * (offset & 7) & -1L >>> 64 - 8 * size;
  }

  private long register(int at) {
    int timer = (at - REG_TIMERS) / TIMER_BYTES;
    return switch (at) {
      case REG_CAPABILITIES -> CAPABILITIES;
      case REG_CONFIG -> config;
      case REG_STATUS -> status;
      case REG_COUNTER -> counter();
      default -> {
        if (at < REG_TIMERS || timer >= TIMERS) {
          yield 0;
        }
        int part = at % TIMER_BYTES;
        yield part == 0 ? control[timer] | TIMER_FIXED : part == TIMER_COMPARATOR ? comparator[timer] & mask(timer) : 0;
      }
    };
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    advanceTo(nowNs);
    int at = (int) offset & ~7;
    int shift = 8 * ((int) offset & 7);
    long mask = (-1L >>> 64 - 8 * size) << shift;
    long written = value << shift & mask;
    int timer = (at - REG_TIMERS) / TIMER_BYTES;
    switch (at) {
      case REG_CONFIG -> writeConfig(config & ~mask | written);
      case REG_STATUS -> clear(written);
      case REG_COUNTER -> {
        if (!runs()) {
          standing = standing & ~mask | written;
        }
      }
      default -> {
        if (at >= REG_TIMERS && timer < TIMERS) {
          writeTimer(timer, at % TIMER_BYTES, mask, written);
        }
      }
    }
  }

  private void writeConfig(long value) {
    long now = counter();
    config = value & (ENABLE | LEG_RT);
    standing = now;
    ahead = now - ticks;
    armAll();
  }

  private void clear(long bits) {
    for (int i = 0; i < TIMERS; i++) {
      if ((bits & status & 1L << i) != 0) {
        line(i).set(false);
      }
    }
    status &= ~bits;
  }

  private void writeTimer(int timer, int part, long mask, long written) {
    if (part == 0) {
      if ((status & 1L << timer) != 0) {
        line(timer).set(false);
      }
      control[timer] = (control[timer] & ~mask | written) & TIMER_WRITABLE;
      arm(timer);
    } else if (part == TIMER_COMPARATOR) {
      boolean periodic = (control[timer] & TYPE) != 0;
      if (periodic) {
        period[timer] = period[timer] & ~mask | written;
      }
      if (!periodic || (control[timer] & VAL_SET) != 0) {
        comparator[timer] = (comparator[timer] & ~mask | written) & mask(timer);
        arm(timer);
      }
      control[timer] &= ~VAL_SET;
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeLong(config);
    out.writeLong(status);
    out.writeLong(ticks);
    out.writeLong(ahead);
    out.writeLong(standing);
    for (int i = 0; i < TIMERS; i++) {
      out.writeLong(control[i]);
      out.writeLong(comparator[i]);
      out.writeLong(period[i]);
      out.writeLong(next[i]);
    }
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    config = in.readLong() & (ENABLE | LEG_RT);
    status = in.readLong();
    ticks = in.readLong();
    if (ticks < 0 || ticks > NEVER / TICK_NS) {
      throw new IOException("hpet: saved state stands at tick " + ticks + ", expected a time of at most 2^63 ns");
    }
    ahead = in.readLong();
    standing = in.readLong();
    for (int i = 0; i < TIMERS; i++) {
      control[i] = in.readLong() & TIMER_WRITABLE;
      comparator[i] = in.readLong();
      period[i] = in.readLong();
      next[i] = Math.max(0, in.readLong());
    }
  }
}
