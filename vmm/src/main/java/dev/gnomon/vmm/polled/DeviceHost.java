package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.DmaFault;
import dev.gnomon.vmm.polled.dma.DmaMemory;
import dev.gnomon.vmm.polled.dma.DomainPort;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * The hypervisor's side of one device: holds its domain, windows, durable state and counters, decides when it is
 * polled, and lets none of its failures out. A device that throws, oversteps its limits or does not return is stopped;
 * the guest goes on without it. Virtual time stands still in a step, so how long a device takes on the host changes
 * nothing that the guest sees.
 */
public final class DeviceHost implements DeviceContext, VirtualClock {
  /** What has become of the device. */
  public enum State {
    RUNNING,
    /** It gave up, or left a refused access unnoticed; a reset starts it again. */
    ERROR,
    /** It threw, overstepped its limits or did not return; nothing starts it again but {@link #restart}. */
    STOPPED
  }

  /** Puts zeros into a window. */
  @FunctionalInterface
  public interface WindowEraser {
    void zero(Window window);
  }

  /** Lets a device run on a thread of its own. */
  public interface Elsewhere {
    /** The guest has rung. */
    void wake();

    /** Lets the processor's thread do something at an exact point, without waiting for it. */
    void post(Runnable action);

    /** The processor's thread is at such a point. */
    void serve();
  }

  /** Hears of each request that a device says it has completed. */
  @FunctionalInterface
  public interface CompletionListener {
    /** Nobody listens. */
    CompletionListener NONE = (id, written) -> { };

    /** @param written bytes of the guest's buffer that the device says it has written */
    void completed(long id, long written);
  }

  /**
   * What a host is made of.
   *
   * @param factory makes the device, and again after its process died
   * @param windows those of the device, placed
   * @param policy when it is polled
   * @param domain what it may reach; the windows are granted already
   * @param memory what its port leads to
   * @param limits of one step
   * @param eraser of windows
   * @param interrupt where its interrupts go; {@link InterruptSink#NONE} if they can wake nobody
   * @param tscOffset added to virtual nanoseconds to give the TSC
   * @param completions hears of completed requests
   * @param report takes the one line that is said of a failure
   */
  public record Parts(Supplier<? extends PolledDevice> factory, List<Window> windows, PollPolicy policy,
      DmaDomain domain, DmaMemory memory, StepLimits limits, WindowEraser eraser, InterruptSink interrupt,
      LongSupplier tscOffset, CompletionListener completions, Consumer<String> report) {
  }

  private static final int VERSION = 2;
  /** A device that runs elsewhere is served so often, in virtual nanoseconds. */
  private static final long SERVE_NS = 1000;

  private final Parts parts;
  private final DomainPort port;
  private DurableState durable = new DurableState();
  private DeviceInstance instance;
  private State state = State.RUNNING;
  private String failure;
  private Poll last = Poll.IDLE;
  private long now;
  private long nextPoll;
  private long notBefore;
  private boolean rung;
  /** Null as long as the processor's thread polls. */
  private volatile Elsewhere elsewhere;

  private long steps;
  private long idleSteps;
  private long completed;
  private long doorbells;
  private long interrupts;
  private long restarts;

  /** Makes the device and attaches it. @param device the first instance, from the factory */
  public DeviceHost(PolledDevice device, Parts parts) {
    this.parts = parts;
    this.port = new DomainPort(parts.domain(), parts.memory(), parts.limits());
    this.nextPoll = parts.policy().next(0, Poll.IDLE);
    parts.windows().forEach(parts.eraser()::zero);
    instance = instance(device);
    stopIf(instance.attach(), "attach");
  }

  private DeviceInstance instance(PolledDevice device) {
    return new DeviceInstance(device, parts.limits().hostTime(), parts.domain().boundary(), port, this);
  }

  public String name() {
    return parts.domain().device();
  }

  /** The device as it is now. */
  public PolledDevice device() {
    return instance.device();
  }

  public DmaDomain domain() {
    return parts.domain();
  }

  public DomainPort port() {
    return port;
  }

  public List<Window> windows() {
    return parts.windows();
  }

  public State state() {
    return state;
  }

  /** Why the device is not running, null if it is. */
  public String failure() {
    return failure;
  }

  /** Virtual time (ns, absolute) before which the device asked not to be polled; 0 if it did not. */
  public long notBefore() {
    return notBefore;
  }

  /** What the last step came to. */
  public Poll lastPoll() {
    return last;
  }

  /** Virtual time (ns, absolute) of the next poll, {@link Long#MAX_VALUE} if none is due before a doorbell. */
  public long nextPoll() {
    return nextPoll;
  }

  /**
   * Virtual time (ns, absolute) of the next poll that can wake a processor which sleeps since {@code haltedNs}: nothing
   * changes in shared memory while it does, so a device that found nothing since then finds nothing.
   */
  public long nextWake(long haltedNs) {
    if (elsewhere != null || parts.interrupt() == InterruptSink.NONE || state != State.RUNNING) {
      return Long.MAX_VALUE;
    }
    return last == Poll.BUSY || now < haltedNs || notBefore > haltedNs ? nextPoll : Long.MAX_VALUE;
  }

  /** Polls once if {@link #nextPoll} has come. */
  public void poll(long nowNs) {
    Elsewhere other = elsewhere;
    if (other != null) {
      other.serve();
      nextPoll = nowNs + SERVE_NS;
    } else if (nowNs >= nextPoll) {
      step(nowNs);
      plan(nowNs);
    }
  }

  private void plan(long nowNs) {
    if (last == Poll.SLEEP || state != State.RUNNING) {
      nextPoll = notBefore > nowNs && state == State.RUNNING ? notBefore : Long.MAX_VALUE;
    } else {
      nextPoll = Math.max(parts.policy().next(nowNs, last), notBefore);
    }
  }

  /** The guest rings: the device is polled at the next opportunity. */
  public void ring(long nowNs) {
    doorbells++;
    if (elsewhere != null) {
      elsewhere.wake();
      return;
    }
    notBefore = 0;
    if (state == State.RUNNING) {
      nextPoll = Math.min(nextPoll, nowNs + parts.policy().wakeNs());
      rung = true;
    }
  }

  /** Whether the guest has rung since the last step. */
  boolean rung() {
    return rung;
  }

  /** A trapped access lets the device take a step at once. */
  public Poll trap(long nowNs) {
    doorbells++;
    return step(nowNs);
  }

  /** One step, whatever comes of it. */
  public Poll step(long nowNs) {
    if (state != State.RUNNING) {
      return Poll.DEAD;
    }
    begin(nowNs);
    DeviceInstance stepped = instance;
    if (elsewhere == null) {
      String problem = stepped.step(false);
      return conclude(stepped.result(), problem);
    }
    String problem = stepped.step(true);
    if (!stepped.enter()) {
      return Poll.DEAD;
    }
    try {
      conclude(stepped.result(), problem);
    } finally {
      stepped.leave();
    }
    if (state == State.STOPPED) {
      stepped.cutOff();
    }
    return last;
  }

  /** One step of a running device, for a test that wants what the device throws. */
  public Poll stepUnguarded(long nowNs) {
    begin(nowNs);
    return conclude(instance.makeStep(), null);
  }

  private void begin(long nowNs) {
    steps++;
    now = Math.max(now, nowNs);
    notBefore = 0;
    rung = false;
    port.beginStep();
  }

  /** @param problem why the device must be stopped, null if its step came to {@code result} */
  private Poll conclude(Poll result, String problem) {
    if (problem != null || result == null) {
      last = Poll.DEAD;
      stopIf(problem != null ? problem : "returned null, expected a Poll", "step " + steps);
      return last;
    }
    if (port.pendingFault() != null) {
      fail("did not look at a refused access, " + port.pendingFault());
    }
    last = state == State.RUNNING ? result : Poll.DEAD;
    if (last == Poll.IDLE || last == Poll.SLEEP) {
      idleSteps++;
    } else if (last == Poll.DEAD && state == State.RUNNING) {
      fail("gave up");
    }
    return last;
  }

  /**
   * Gives a step on a thread of the device's own up if it takes too long; by the processor's thread.
   *
   * @param meanwhile what the device may wait for
   */
  public boolean giveUpIfLate(Runnable meanwhile) {
    String problem = instance.overdue(meanwhile);
    if (problem != null) {
      last = Poll.DEAD;
    }
    return stopIf(problem, "step " + steps);
  }

  /** The step in hand, on a thread of the device's own, has had to wait for the processor's thread. */
  public void hasWaited() {
    instance.hasWaited();
  }

  /** Stops the device if there is a reason. */
  private boolean stopIf(String problem, String where) {
    if (problem == null) {
      return false;
    }
    end(State.STOPPED, "stopped in " + where + ": " + problem);
    if (elsewhere == null) {
      instance.cutOff();
    }
    // An instance that was cut off may go on with its own.
    durable = durable.copy();
    return true;
  }

  private void end(State how, String why) {
    if (state == State.RUNNING) {
      state = how;
      failure = DeviceFailure.oneLine(why);
      parts.report().accept("device " + name() + ": " + failure);
    }
  }

  /** The guest is reset: grants that it made, its addresses and requests are forgotten before it runs again. */
  public void reset() {
    parts.domain().revoke();
    durable.clear();
    parts.windows().forEach(parts.eraser()::zero);
    if (state != State.STOPPED) {
      state = State.RUNNING;
      failure = null;
      stopIf(instance.reset(), "reset");
    }
    last = Poll.IDLE;
    notBefore = 0;
    nextPoll = parts.policy().next(now, Poll.IDLE);
  }

  /** The process that polls has died: another instance takes over from shared memory and durable state. */
  public void restart() {
    restarts++;
    state = State.RUNNING;
    failure = null;
    last = Poll.IDLE;
    notBefore = 0;
    port.beginStep();
    instance.cutOff();
    instance = instance(null);
    stopIf(instance.restart(parts.factory()), "restart");
    nextPoll = parts.policy().next(now, Poll.IDLE);
  }

  @Override
  public Window window(int index) {
    return parts.windows().get(index);
  }

  @Override
  public InterruptSink interrupt() {
    return this::interruptNow;
  }

  private void interruptNow() {
    interrupts++;
    if (elsewhere == null) {
      parts.interrupt().raise();
    } else {
      elsewhere.post(parts.interrupt()::raise);
    }
  }

  /** From now on the device is stepped by another thread; null to end that. */
  public void runElsewhere(Elsewhere where) {
    elsewhere = where;
    nextPoll = where != null ? 0 : Long.MAX_VALUE;
  }

  @Override
  public DurableState durable() {
    return durable;
  }

  @Override
  public boolean pin(@Gpa long gpa, long length, boolean write) {
    return parts.domain().pin(gpa, length, write);
  }

  @Override
  public void unpin(@Gpa long gpa, long length, boolean write) {
    parts.domain().unpin(gpa, length, write);
  }

  @Override
  public void completed(long id, long written) {
    completed++;
    parts.completions().completed(id, written);
  }

  @Override
  public void fail(String reason) {
    end(State.ERROR, reason);
  }

  @Override
  public long nanos() {
    return now;
  }

  @Override
  public long tsc() {
    return now + parts.tscOffset().getAsLong();
  }

  @Override
  public void sleepUntil(long ns) {
    notBefore = ns;
  }

  /** Steps since the machine was built. */
  public long steps() {
    return steps;
  }

  /** Steps that found nothing to do. */
  public long idleSteps() {
    return idleSteps;
  }

  /** Requests that the device says it has completed. */
  public long completed() {
    return completed;
  }

  /** Doorbells and trapped accesses that made the device take a step. */
  public long doorbells() {
    return doorbells;
  }

  /** Interrupts that the device has raised. */
  public long interrupts() {
    return interrupts;
  }

  public long restarts() {
    return restarts;
  }

  /** The faults of all devices of the machine. */
  public List<DmaFault> faults() {
    return parts.domain().faults().faults();
  }

  /**
   * Writes the hypervisor's part and, unless it was stopped, the device's own; windows are saved with the memory that
   * they lie in.
   */
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeByte(state.ordinal());
    out.writeByte(last.ordinal());
    out.writeUTF(failure == null ? "" : failure);
    for (long word : new long[] {now, nextPoll, notBefore, steps, idleSteps, completed, doorbells, interrupts,
        restarts}) {
      out.writeLong(word);
    }
    parts.policy().save(out);
    durable.save(out);
    parts.domain().save(out);
    if (state != State.STOPPED) {
      requireBack(stopIf(instance.save(out), "save"));
    }
  }

  /** Reads what {@link #save} wrote. */
  public void load(DataInput in) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(name() + ": saved state has version " + version + ", expected " + VERSION);
    }
    state = element(State.values(), in.readByte());
    last = element(Poll.values(), in.readByte());
    String why = in.readUTF();
    failure = why.isEmpty() ? null : why;
    now = in.readLong();
    nextPoll = in.readLong();
    notBefore = in.readLong();
    steps = in.readLong();
    idleSteps = in.readLong();
    completed = in.readLong();
    doorbells = in.readLong();
    interrupts = in.readLong();
    restarts = in.readLong();
    parts.policy().load(in);
    durable.load(in);
    parts.domain().load(in);
    if (state != State.STOPPED) {
      requireBack(stopIf(instance.load(in), "load"));
    }
  }

  private void requireBack(boolean stopped) throws IOException {
    if (stopped) {
      throw new IOException("device " + name() + ": " + failure);
    }
  }

  private <T> T element(T[] values, int ordinal) throws IOException {
    if (ordinal < 0 || ordinal >= values.length) {
      throw new IOException(name() + ": saved state has state " + ordinal + ", expected 0 to " + (values.length - 1));
    }
    return values[ordinal];
  }
}
