package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.polled.dma.Boundary;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * One instance of a device and the way in which it is called: directly if it is trusted to return, else where it can be
 * given up and cut off. A call tells why the device must be stopped, null if it need not be. What a trusted one throws
 * where it is attached or restarted is its caller's business, as a test's.
 */
final class DeviceInstance {
  private final Boundary boundary;
  private final DmaPort port;
  private final DeviceContext context;
  private final VirtualClock clock;
  /** Null if the device is trusted to return. */
  private final Guard guard;
  private final DeviceCode stepCode = this::makeStep;
  private PolledDevice device;
  private Poll result;

  /**
   * @param device null if {@link #restart} is to make it
   * @param limit host time of a call; zero if the device is trusted to return
   * @param port its port, and {@code host} the rest of what it is given
   */
  DeviceInstance(PolledDevice device, Duration limit, Boundary boundary, DmaPort port, DeviceHost host) {
    this.device = device;
    this.boundary = boundary;
    this.guard = limit.isZero() ? null : new Guard(host.name(), limit, boundary, port, host);
    this.port = guard == null ? port : guard.access();
    this.context = guard == null ? host : guard.access();
    this.clock = guard == null ? host : guard.access();
  }

  PolledDevice device() {
    return device;
  }

  /** What the last step came to, if it came back. */
  Poll result() {
    return result;
  }

  String attach() {
    if (guard == null) {
      device.attach(context);
      return null;
    }
    return guard.call(() -> {
      device.attach(context);
      return Poll.IDLE;
    });
  }

  /** Makes the device and lets it take over. */
  String restart(Supplier<? extends PolledDevice> factory) {
    if (guard == null) {
      device = takeOver(factory);
      return null;
    }
    return guard.call(() -> {
      device = takeOver(factory);
      return Poll.IDLE;
    });
  }

  private PolledDevice takeOver(Supplier<? extends PolledDevice> factory) {
    PolledDevice made = factory.get();
    boundary.enter();
    try {
      made.attach(context);
      made.restart(port);
    } finally {
      boundary.leave();
    }
    return made;
  }

  /** @param here whether on the thread of the caller, which another one watches */
  String step(boolean here) {
    if (guard != null) {
      String problem = here ? guard.callHere(stepCode) : guard.call(stepCode);
      result = guard.result();
      return problem;
    }
    try {
      result = makeStep();
      return null;
    } catch (Throwable e) {
      return DeviceFailure.describe(e);
    }
  }

  /** A step, for a test that wants what the device throws. */
  Poll makeStep() {
    boundary.enter();
    try {
      return device.step(port, clock);
    } finally {
      boundary.leave();
    }
  }

  String reset() {
    DeviceCode code = () -> {
      device.reset();
      return Poll.IDLE;
    };
    if (guard != null) {
      return guard.call(code);
    }
    try {
      code.call();
      return null;
    } catch (Throwable e) {
      return DeviceFailure.describe(e);
    }
  }

  String save(DataOutput out) throws IOException {
    return transfer(() -> device.save(out));
  }

  String load(DataInput in) throws IOException {
    return transfer(() -> device.load(in));
  }

  /** Something that reads or writes. */
  @FunctionalInterface
  private interface Transfer {
    void run() throws IOException;
  }

  private String transfer(Transfer transfer) throws IOException {
    if (guard == null) {
      transfer.run();
      return null;
    }
    IOException[] failed = new IOException[1];
    String problem = guard.call(() -> {
      try {
        transfer.run();
      } catch (IOException e) {
        failed[0] = e;
      }
      return Poll.IDLE;
    });
    if (problem == null && failed[0] != null) {
      throw failed[0];
    }
    return problem;
  }

  /**
   * Begins the host's own business behind a step on the caller's thread, in which the device is not given up.
   *
   * @return false if it has been already
   */
  boolean enter() {
    return guard == null || guard.enter();
  }

  void leave() {
    if (guard != null) {
      guard.leave();
    }
  }

  /**
   * Gives a step on a thread of the device's own up if it takes too long.
   *
   * @param meanwhile what the device may wait for
   */
  String overdue(Runnable meanwhile) {
    return guard == null ? null : guard.overdue(meanwhile);
  }

  /** The step in hand has had to wait for the thread that watches it. */
  void hasWaited() {
    if (guard != null) {
      guard.waited();
    }
  }

  /** Nothing that it does reaches its host any more, if that is to be feared. */
  void cutOff() {
    if (guard != null && !guard.isShut()) {
      guard.close(() -> { });
    }
  }
}
