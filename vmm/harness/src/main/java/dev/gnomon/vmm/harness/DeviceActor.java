package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.dma.DmaMemory;
import java.util.Arrays;

/** A device under test, and the memory behind its port: at each access others may act first. */
final class DeviceActor extends Actor implements DmaMemory {
  /** Grain of bulk transfers in a store buffer. */
  private static final int WORD = 8;

  private final Rig rig;
  DeviceHost host;
  private boolean stepping;
  private boolean draining;
  boolean crashRequested;
  boolean down;
  boolean kicked;
  private long downFor;
  /** Virtual time from which on another process can take over. */
  private long upAt;
  private Poll last = Poll.BUSY;
  /** What the device does that is no step, null if it does one. */
  private String doing;
  private int idle;
  private long seenVersion;
  private long notBefore;

  // What the step has read and written, for the judges.
  private @Gpa long[] starts = new @Gpa long[16];
  private int[] lengths = new int[16];
  private boolean[] written = new boolean[16];
  private int accesses;
  /** Bytes written outside of windows since the last completion. */
  long bufferBytes;

  DeviceActor(String name, Rig rig, int agent) {
    super(name);
    this.rig = rig;
    this.agent = agent;
  }

  String waiting() {
    return down ? "is down" : host.state() != DeviceHost.State.RUNNING ? host.failure()
        : last == Poll.SLEEP ? "sleeps until its doorbell rings"
        : "polls in vain";
  }

  @Override
  boolean enabled() {
    if (stepping) {
      return rig.innermostStep() == this && !draining;
    }
    if (down) {
      return rig.scheduler().now >= upAt;
    }
    if (host.state() != DeviceHost.State.RUNNING) {
      return false;
    }
    if (kicked) {
      return true;
    }
    if (notBefore > rig.scheduler().now) {
      return false;
    }
    return last == Poll.BUSY || last == Poll.IDLE
        && (idle < rig.idleSteps() || rig.memory().version(agent) != seenVersion);
  }

  /** Virtual time at which it can act though nothing else happens, {@link Long#MAX_VALUE} if none. */
  long wakesAt() {
    if (down) {
      return upAt;
    }
    boolean waits = host.state() == DeviceHost.State.RUNNING && notBefore > rig.scheduler().now
        && (last != Poll.IDLE || idle < rig.idleSteps() || rig.memory().version(agent) != seenVersion
            || host.notBefore() == notBefore);
    return waits ? notBefore : Long.MAX_VALUE;
  }

  @Override
  String call() {
    return "device " + name + ", " + (host == null ? "attach" : doing != null ? doing : "step " + host.steps());
  }

  @Override
  void act() {
    stepping = true;
    draining = false;
    Actor outerActor = rig.watch().enter(this);
    DeviceActor outer = rig.enterStep(this);
    accesses = 0;
    long before = rig.memory().version(agent);
    try {
      if (down) {
        down = false;
        rig.trace().say(this, "starts again");
        last = Poll.BUSY;
        restart();
      } else {
        kicked = false;
        last = host.stepUnguarded(rig.scheduler().now);
        idle = last == Poll.IDLE ? seenVersion == before ? idle + 1 : 1 : 0;
      }
      seenVersion = before;
      notBefore = Math.max(host.notBefore(), rig.mischief().delay());
      rig.witness().stepDone(this);
    } catch (Control control) {
      if (control != Control.CRASHED) {
        throw control;
      }
      crashed();
    } finally {
      stepping = false;
      rig.leaveStep(outer);
      rig.watch().leave(outerActor);
    }
  }

  /**
   * The process dies where it is; its stores have retired and become visible.
   *
   * @param restartNs virtual time until another can take over
   */
  void crash(long restartNs) {
    downFor = restartNs;
    if (stepping) {
      crashRequested = true;
    } else {
      crashed();
    }
  }

  private void crashed() {
    crashRequested = false;
    down = true;
    upAt = rig.scheduler().now + downFor;
    rig.trace().say(this, "dies");
    rig.memory().drain(agent);
  }

  /** The guest is reset. */
  void reset() {
    rig.memory().drain(agent);
    last = Poll.BUSY;
    idle = 0;
    kicked = false;
    notBefore = 0;
    Actor outerActor = rig.watch().enter(this);
    if (down) {
      down = false;
      restart();
    }
    doing = "reset";
    host.reset();
    doing = null;
    rig.watch().leave(outerActor);
  }

  private void restart() {
    doing = "restart";
    try {
      host.restart();
    } finally {
      doing = null;
    }
  }

  @Override
  void look() {
    if (!stepping) {
      op = down || kicked ? ANYTHING : LOCAL;
    }
  }

  private void point(int kind, @Gpa long gpa, int length) {
    op = kind;
    opGpa = gpa;
    opSize = length;
    while (true) {
      if (crashRequested) {
        throw Control.CRASHED;
      }
      Actor next = rig.scheduler().next(this);
      if (next == this) {
        return;
      }
      next.act();
    }
  }

  /**
   * When all schedules are wanted a fence waits for the buffer instead of emptying it: that is no schedule more, and
   * tells what happens when.
   */
  private void awaitEmptyBuffer() {
    draining = true;
    while (rig.memory().buffer(agent).count > 0) {
      rig.scheduler().next(null).act();
      if (crashRequested) {
        draining = false;
        throw Control.CRASHED;
      }
    }
    draining = false;
  }

  private void note(@Gpa long gpa, int length, boolean write, boolean again) {
    rig.witness().deviceAccess(this, gpa, length, write);
    if (!write && !again && !rig.witness().isOnlyTheDevices(gpa)) {
      for (int i = accesses - 1; i >= 0; i--) {
        if (gpa < starts[i] + lengths[i] && starts[i] < gpa + length) {
          if (!written[i]) {
            rig.witness().doubleFetch(this, gpa, length);
          }
          break;
        }
      }
    }
    if (again) {
      return;
    }
    if (accesses == starts.length) {
      starts = Arrays.copyOf(starts, 2 * accesses);
      lengths = Arrays.copyOf(lengths, 2 * accesses);
      written = Arrays.copyOf(written, 2 * accesses);
    }
    starts[accesses] = gpa;
    lengths[accesses] = length;
    written[accesses++] = write;
  }

  /** Whether the step has read a byte of a range. */
  boolean hasRead(@Gpa long gpa, int length) {
    if (stepping) {
      for (int i = 0; i < accesses; i++) {
        if (!written[i] && gpa < starts[i] + lengths[i] && starts[i] < gpa + length) {
          return true;
        }
      }
    }
    return false;
  }

  @Override
  public long read(@Gpa long gpa, @Hpa long hpa, int size, boolean again) {
    point(LOAD, gpa, size);
    note(gpa, size, false, again);
    long value = rig.memory().load(agent, gpa, rig.memory().host.offset(hpa), size);
    rig.trace().access(this, again ? "load (poll)" : "load", gpa, size, value);
    return value;
  }

  @Override
  public void write(@Gpa long gpa, @Hpa long hpa, int size, long value) {
    point(rig.memory().storeOp(agent), gpa, size);
    store(gpa, hpa, size, value);
  }

  private void store(@Gpa long gpa, @Hpa long hpa, int size, long value) {
    note(gpa, size, true, false);
    rig.trace().access(this, rig.memory().buffer(agent).depth() == 0 ? "store" : "store (buffered)", gpa, size, value);
    rig.memory().store(agent, gpa, rig.memory().host.offset(hpa), size, value);
  }

  @Override
  public boolean compareAndSet(@Gpa long gpa, @Hpa long hpa, int size, long expected, long value) {
    point(ANYTHING, gpa, size);
    note(gpa, size, true, false);
    boolean done = rig.memory().compareAndSet(agent, gpa, rig.memory().host.offset(hpa), size, expected, value);
    rig.trace().access(this, done ? "cas" : "cas (failed)", gpa, size, value);
    return done;
  }

  @Override
  public void read(@Gpa long gpa, @Hpa long hpa, byte[] into, int from, int length) {
    point(LOAD, gpa, length);
    note(gpa, length, false, false);
    int offset = rig.memory().host.offset(hpa);
    for (int done = 0; done < length; ) {
      int size = grain(gpa + done, length - done, WORD);
      long value = rig.memory().load(agent, gpa + done, offset + done, size);
      for (int i = 0; i < size; i++) {
        into[from + done + i] = (byte) (value >>> 8 * i);
      }
      done += size;
    }
    rig.trace().access(this, "load", gpa, length, 0);
  }

  @Override
  public void write(@Gpa long gpa, @Hpa long hpa, byte[] bytes, int from, int length) {
    int grain = rig.mischief().tearing(gpa, length);
    point(ANYTHING, gpa, length);
    for (int done = 0; done < length; ) {
      int size = grain(gpa + done, length - done, Math.min(grain, WORD));
      long value = 0;
      for (int i = 0; i < size; i++) {
        value |= (bytes[from + done + i] & 0xFFL) << 8 * i;
      }
      if (done > 0 && grain <= WORD) {
        point(ANYTHING, gpa + done, size);
      }
      store(gpa + done, hpa + done, size, value);
      done += size;
    }
  }

  /** The largest naturally aligned piece. */
  private static int grain(@Gpa long gpa, int left, int largest) {
    int size = largest;
    while (size > 1 && (size > left || Addresses.offset(gpa, size) != 0)) {
      size >>= 1;
    }
    return size;
  }

  @Override
  public void fence() {
    if (rig.looksAhead()) {
      awaitEmptyBuffer();
    } else {
      point(ANYTHING, 0, 0);
    }
    rig.trace().say(this, "fence");
    rig.memory().drain(agent);
  }
}
