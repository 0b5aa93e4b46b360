package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.polled.dma.Boundary;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.time.Duration;

/**
 * Stands between a host and one instance of a device that is not trusted to return: makes its calls where they can be
 * given up, and cuts the instance off when they are.
 */
final class Guard {
  private static final long GRACE_NS = 100_000_000;
  private static final double NS_PER_S = 1e9;

  private final Duration limit;
  private final Boundary boundary;
  private final Gate gate = new Gate();
  private final GatedAccess access;
  private final Carrier carrier;
  private Poll result;
  /**
   * Host time at which the call in hand began, as {@link System#nanoTime}, or last had to wait for the processor's
   * thread; meaningful while {@link #calling}.
   */
  private volatile long begun;
  private volatile boolean calling;

  Guard(String device, Duration limit, Boundary boundary, DmaPort port, DeviceHost host) {
    this.limit = limit;
    this.boundary = boundary;
    this.access = new GatedAccess(gate, port, host);
    this.carrier = new Carrier(device, gate, limit);
  }

  /** What the device has of its host. */
  GatedAccess access() {
    return access;
  }

  /** What the last call gave. */
  Poll result() {
    return result;
  }

  /** Whether the device has been cut off. */
  boolean isShut() {
    return gate.isShut();
  }

  /**
   * Makes a call on a thread of its own.
   *
   * @return why the device must be stopped, null if it returned
   */
  String call(DeviceCode code) {
    String late;
    try {
      late = carrier.call(code);
    } catch (OutOfMemoryError e) {
      return "no thread to be had, " + DeviceFailure.describe(e);
    }
    if (late == null) {
      boundary.takeFrom(gate.owner());
      result = carrier.result();
      return carrier.problem();
    }
    return giveUp(late, () -> { });
  }

  /** Makes a call on the thread of the caller, whom another thread watches by {@link #overdue}. */
  String callHere(DeviceCode code) {
    Thread me = Thread.currentThread();
    gate.setOwner(me);
    begun = System.nanoTime();
    calling = true;
    try {
      result = code.call();
      return null;
    } catch (Throwable e) {
      return DeviceFailure.describe(e);
    } finally {
      calling = false;
      // A stack overflow may have kept it from leaving.
      gate.leave();
      boundary.takeFrom(me);
    }
  }

  /**
   * The host's own business behind {@link #callHere}, in which the device is not given up.
   *
   * @return false if that has happened already
   */
  boolean enter() {
    return gate.tryEnter();
  }

  void leave() {
    gate.leave();
  }

  /** The call in hand has had to wait for the thread that watches it. */
  void waited() {
    begun = System.nanoTime();
  }

  /**
   * Gives the call of {@link #callHere} up if it takes too long.
   *
   * @param meanwhile what the device may wait for
   * @return why the device must be stopped, null if there is no reason
   */
  String overdue(Runnable meanwhile) {
    if (!calling || System.nanoTime() - begun < limit.toNanos()) {
      return null;
    }
    String place = DeviceFailure.place(gate.owner());
    gate.owner().interrupt();
    long interrupted = System.nanoTime();
    while (calling && System.nanoTime() - interrupted < GRACE_NS) {
      meanwhile.run();
      Thread.onSpinWait();
    }
    return giveUp(place, meanwhile);
  }

  private String giveUp(String place, Runnable meanwhile) {
    close(meanwhile);
    return "did not return within " + seconds() + " s" + place;
  }

  private String seconds() {
    double seconds = limit.toNanos() / NS_PER_S;
    return seconds == Math.rint(seconds) ? Long.toString(Math.round(seconds)) : Double.toString(seconds);
  }

  /** Cuts the instance off. @param meanwhile what the device may wait for */
  void close(Runnable meanwhile) {
    gate.shut(meanwhile);
    if (gate.owner() != null) {
      boundary.takeFrom(gate.owner());
    }
    carrier.end();
  }
}
