package dev.gnomon.vmm.polled;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** When a device is polled, in virtual time. */
public sealed interface PollPolicy {
  /**
   * Virtual time (ns, absolute) of the poll after one at {@code now} that came to {@code result};
   * {@link Long#MAX_VALUE} for none.
   */
  long next(long now, Poll result);

  /** Writes what the policy remembers. */
  default void save(DataOutput out) throws IOException {}

  default void load(DataInput in) throws IOException {}

  /** Virtual nanoseconds from a doorbell to the poll that it brings: what waking the poller takes. */
  default long wakeNs() {
    return 0;
  }

  /** Once a period, at its multiples. */
  static PollPolicy period(long ns) {
    return new Period(ns);
  }

  /** At seeded random distances. */
  static PollPolicy random(long seed, long minNs, long maxNs) {
    return new Random(seed, minNs, maxNs);
  }

  /** Only when the host of the machine says so, as by a doorbell, a trap or a test. */
  static PollPolicy never() {
    return new Never();
  }

  /**
   * Only when the doorbell rings, and then after the time that waking a sleeping thread takes.
   *
   * @param wakeNs at least 0
   */
  static PollPolicy doorbell(long wakeNs) {
    return new OnDoorbell(wakeNs);
  }

  /**
   * As QEMU's I/O threads: polls without pause for as long as that has paid lately, then waits for the doorbell or a
   * fallback period.
   */
  static PollPolicy adaptive(long stepNs, long maxNs, long fallbackNs) {
    return new Adaptive(stepNs, maxNs, fallbackNs);
  }

  /** {@link #period}. */
  record Period(long ns) implements PollPolicy {
    public Period {
      if (ns < 1) {
        throw new IllegalArgumentException("poll period of " + ns + " ns: expected at least 1");
      }
    }

    /**
     * After time has jumped, one poll stands for all that the jump passed over: nothing can have changed between them.
     */
    @Override
    public long next(long now, Poll result) {
      return (now / ns + 1) * ns;
    }
  }

  /** {@link #never}. */
  record Never() implements PollPolicy {
    @Override
    public long next(long now, Poll result) {
      return Long.MAX_VALUE;
    }
  }

  /** {@link #doorbell}. */
  record OnDoorbell(long wakeNs) implements PollPolicy {
    public OnDoorbell {
      if (wakeNs < 0) {
        throw new IllegalArgumentException("wake-up of " + wakeNs + " ns: expected at least 0");
      }
    }

    @Override
    public long next(long now, Poll result) {
      return Long.MAX_VALUE;
    }
  }

  /** {@link #random}. */
  final class Random implements PollPolicy {
    private final long minNs;
    private final long maxNs;
    private long state;

    Random(long seed, long minNs, long maxNs) {
      if (minNs < 1 || maxNs < minNs) {
        throw new IllegalArgumentException("polls every " + minNs + " to " + maxNs
            + " ns: expected at least 1 and an ascending range");
      }
      this.minNs = minNs;
      this.maxNs = maxNs;
      this.state = seed;
    }

    @Override
    public long next(long now, Poll result) {
      state += 0x9E37_79B9_7F4A_7C15L;
      return now + minNs + Long.remainderUnsigned(SplitMix.mix(state), maxNs - minNs + 1);
    }

    @Override
    public void save(DataOutput out) throws IOException {
      out.writeLong(state);
    }

    @Override
    public void load(DataInput in) throws IOException {
      state = in.readLong();
    }
  }

  /**
   * {@link #adaptive}. QEMU's rule ({@code aio_poll} in util/aio-posix.c): the polling time doubles, from 4 µs up to
   * the greatest, when a wait was shorter than the greatest and polling would have caught it, and begins again at none
   * when a wait was longer.
   */
  final class Adaptive implements PollPolicy {
    private static final long FIRST_NS = 4000;

    private final long stepNs;
    private final long maxNs;
    private final long fallbackNs;
    private long pollNs;
    private long idleSince = -1;

    Adaptive(long stepNs, long maxNs, long fallbackNs) {
      if (stepNs < 1 || maxNs < stepNs || fallbackNs < stepNs) {
        throw new IllegalArgumentException("adaptive polls every " + stepNs + " ns for at most " + maxNs
            + " ns, then every " + fallbackNs
            + " ns: expected at least 1 ns, and the others no less than the first");
      }
      this.stepNs = stepNs;
      this.maxNs = maxNs;
      this.fallbackNs = fallbackNs;
    }

    @Override
    public long next(long now, Poll result) {
      if (result == Poll.BUSY) {
        long waited = idleSince < 0 ? 0 : now - idleSince;
        if (waited > pollNs) {
          pollNs = waited > maxNs ? 0 : Math.min(maxNs, Math.max(FIRST_NS, 2 * pollNs));
        }
        idleSince = -1;
        return now + stepNs;
      }
      if (idleSince < 0) {
        idleSince = now;
      }
      return now - idleSince < pollNs ? now + stepNs : now + fallbackNs;
    }

    @Override
    public void save(DataOutput out) throws IOException {
      out.writeLong(pollNs);
      out.writeLong(idleSince);
    }

    @Override
    public void load(DataInput in) throws IOException {
      pollNs = in.readLong();
      idleSince = in.readLong();
    }
  }
}
