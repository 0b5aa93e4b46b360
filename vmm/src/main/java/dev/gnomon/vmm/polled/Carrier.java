package dev.gnomon.vmm.polled;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/**
 * A thread that makes the calls of one device for a caller who waits for each, but not for ever: a thread cannot be
 * ended from outside, but one that does not come back can be left where it is. Both sides spin before they park, as
 * calls come often; a thread without calls ends, and another takes its place when there is one.
 */
final class Carrier implements Runnable {
  /** How long each side looks for the other without pause. */
  private static final long SPIN_NS = 50_000;
  private static final int LOOKS = 64;
  private static final long LIFE_WITHOUT_CALLS_NS = 5_000_000_000L;
  /** What a call gets to end after an interrupt. */
  private static final long GRACE_NS = 100_000_000;

  private final String name;
  private final Gate gate;
  private final long limitNs;
  private final boolean spins = Runtime.getRuntime().availableProcessors() > 1;
  /** Null if there is none, as it is when a call has returned: what it came to is written before. */
  private volatile DeviceCode code;
  private volatile Thread caller;
  private volatile boolean parked;
  private volatile boolean ended;
  /** Null before the first call and after a long time without one; under the monitor. */
  private Thread thread;
  private Poll result;
  private String problem;
  private final Condition returned = () -> code == null;
  private final Condition wanted = () -> code != null || ended;

  /** Something to look for. */
  @FunctionalInterface
  private interface Condition {
    boolean holds();
  }

  /** @param gate whose owner the thread is in a call */
  Carrier(String device, Gate gate, Duration limit) {
    this.name = "device " + device;
    this.gate = gate;
    this.limitNs = limit.toNanos();
  }

  /** The thread ends when it comes back from what it does. */
  synchronized void end() {
    ended = true;
    LockSupport.unpark(thread);
  }

  /** What the last call gave, if it gave something. */
  Poll result() {
    return result;
  }

  /** What the last call threw, null if it returned. */
  String problem() {
    return problem;
  }

  /**
   * Calls and waits.
   *
   * @return null if that returned in time, else where the thread was when time was up; after an interrupt it may have
   *     come back
   */
  String call(DeviceCode what) {
    handOver(what);
    if (await(limitNs)) {
      return null;
    }
    Thread late = gate.owner();
    String place = DeviceFailure.place(late);
    late.interrupt();
    await(GRACE_NS);
    return place;
  }

  private synchronized void handOver(DeviceCode what) {
    code = what;
    if (thread == null) {
      thread = new Thread(this, name);
      thread.setDaemon(true);
      gate.setOwner(thread);
      thread.start();
    } else if (parked) {
      LockSupport.unpark(thread);
    }
  }

  private boolean await(long ns) {
    if (spins && lookForAWhile(returned)) {
      return true;
    }
    long begin = System.nanoTime();
    caller = Thread.currentThread();
    boolean interrupted = false;
    for (long rest = ns; code != null && rest > 0; rest = ns - (System.nanoTime() - begin)) {
      LockSupport.parkNanos(this, rest);
      interrupted |= Thread.interrupted();
    }
    caller = null;
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return code == null;
  }

  @Override
  public void run() {
    while (!ended) {
      DeviceCode what = code;
      if (what != null) {
        carry(what);
      } else if ((!spins || !lookForAWhile(wanted)) && !rest()) {
        return;
      }
    }
  }

  /** Parks until there is something to do. @return false if nobody called for a long time */
  private boolean rest() {
    long begin = System.nanoTime();
    parked = true;
    for (long rest = LIFE_WITHOUT_CALLS_NS; !wanted.holds() && rest > 0;
        rest = LIFE_WITHOUT_CALLS_NS - (System.nanoTime() - begin)) {
      // What the device left there would keep the thread from parking.
      Thread.interrupted();
      LockSupport.parkNanos(this, rest);
    }
    parked = false;
    synchronized (this) {
      if (!wanted.holds()) {
        thread = null;
        return false;
      }
      return true;
    }
  }

  private void carry(DeviceCode what) {
    gate.setOwner(Thread.currentThread());
    result = null;
    problem = null;
    try {
      result = what.call();
    } catch (Throwable e) {
      problem = DeviceFailure.describe(e);
    }
    // A stack overflow may have kept it from leaving.
    gate.leave();
    code = null;
    LockSupport.unpark(caller);
  }

  private static boolean lookForAWhile(Condition condition) {
    long begin = System.nanoTime();
    do {
      for (int i = 0; i < LOOKS; i++) {
        if (condition.holds()) {
          return true;
        }
        Thread.onSpinWait();
      }
      // The other side may wait for this processor.
      Thread.yield();
    } while (System.nanoTime() - begin < SPIN_NS);
    return false;
  }
}
