package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * A mock driver. Each call of its port is logged with its answer; to go on in its middle it runs again from the start,
 * is given the logged answers, and does the first call that has none. Before each further one somebody else may be
 * chosen, to whom it gives way by {@link Control#SUSPENDED}.
 */
final class DriverActor extends Actor implements DriverPort {
  private static final int LOAD = 1;
  private static final int STORE = 2;
  private static final int CAS = 3;
  private static final int FENCE = 4;
  private static final int PAUSE = 5;
  private static final int HALT = 6;
  private static final int KICK = 7;
  private static final int TRAP = 8;
  private static final int MARK = 9;

  private static final int RUNNING = 0;
  private static final int PAUSED = 1;
  private static final int HALTED = 2;
  private static final int FINISHED = 3;
  private static final int DRAINING = 4;

  private final Rig rig;
  private final Consumer<DriverPort> body;
  private long[] answers = new long[32];
  private long[] calls = new long[32];
  private int logged;
  private int cursor;
  private boolean fresh;
  /** It was left before a call that {@link #op} tells of. */
  private boolean known;
  private boolean onStack;
  private int state = RUNNING;
  /** What had changed when it last began to look at memory. */
  private long since;
  private int boots;
  boolean interrupt;

  DriverActor(String name, Rig rig, int agent, Consumer<DriverPort> body) {
    super(name);
    this.rig = rig;
    this.agent = agent;
    this.body = body;
    this.op = LOCAL;
  }

  boolean isFinished() {
    return state == FINISHED;
  }

  /** What it waits for, for a report. */
  String waiting() {
    return switch (state) {
      case PAUSED -> "waits for memory to change";
      case HALTED -> "sleeps until an interrupt";
      case FINISHED -> "finished";
      default -> "runs";
    };
  }

  @Override
  boolean enabled() {
    if (onStack) {
      return false;
    }
    return switch (state) {
      case RUNNING -> true;
      case PAUSED -> rig.memory().version(agent) != since || interrupt;
      case HALTED -> interrupt;
      case DRAINING -> rig.memory().buffer(agent).count == 0;
      default -> false;
    };
  }

  /** The guest is reset: the driver begins again. */
  void reboot() {
    op = LOCAL;
    known = false;
    since = 0;
    logged = 0;
    state = RUNNING;
    interrupt = false;
    boots++;
  }

  @Override
  void act() {
    if (state == HALTED) {
      interrupt = false;
    } else if (state == PAUSED) {
      since = rig.memory().version(agent);
    }
    state = RUNNING;
    cursor = 0;
    // When all schedules are wanted a driver stops before each access, so that it is known what it does next.
    fresh = known || !rig.looksAhead();
    known = false;
    onStack = true;
    Actor outerActor = rig.watch().enter(this);
    try {
      body.accept(this);
      state = FINISHED;
      op = LOCAL;
    } catch (Control control) {
      if (control != Control.SUSPENDED) {
        throw control;
      }
    } finally {
      onStack = false;
      rig.watch().leave(outerActor);
    }
  }

  /** @return whether the next call is one that has been done before */
  private boolean done(long call) {
    if (cursor == logged) {
      return false;
    }
    if (calls[cursor] != call) {
      throw new IllegalStateException("driver " + name
          + " did not do the same again: expected it to depend on its port and local variables alone");
    }
    return true;
  }

  /** Before what waits for the store buffer to be empty. */
  private void yieldBeforeDrain(int kind) {
    if (rig.looksAhead() && rig.memory().buffer(agent).count > 0) {
      state = DRAINING;
      op = kind;
      known = kind != LOCAL;
      throw Control.SUSPENDED;
    }
    if (kind != LOCAL || !rig.looksAhead()) {
      yieldBefore(kind, 0, 0);
    }
  }

  private void yieldBefore(int kind, @Gpa long gpa, int size) {
    op = kind;
    opGpa = gpa;
    opSize = size;
    if (fresh) {
      fresh = false;
      return;
    }
    Actor next = rig.scheduler().next(this);
    if (next != this) {
      rig.scheduler().giveWayTo(next);
      known = true;
      throw Control.SUSPENDED;
    }
  }

  private long log(long call, long answer) {
    if (logged == calls.length) {
      calls = Arrays.copyOf(calls, 2 * logged);
      answers = Arrays.copyOf(answers, 2 * logged);
    }
    calls[logged] = call;
    answers[logged++] = answer;
    cursor = logged;
    return answer;
  }

  private static long signature(int kind, long address, int size) {
    return address * 31 + kind * 16L + size;
  }

  @Override
  public long load(@Gpa long gpa, int size) {
    long call = signature(LOAD, Addresses.bits(gpa), size);
    if (done(call)) {
      return answers[cursor++];
    }
    yieldBefore(LOAD, gpa, size);
    int offset = rig.memory().offset(gpa);
    long value = offset < 0 ? -1L >>> 64 - 8 * size : rig.memory().load(agent, gpa, offset, size);
    rig.trace().access(this, "load", gpa, size, value);
    return log(call, value);
  }

  @Override
  public void store(@Gpa long gpa, int size, long value) {
    long call = signature(STORE, Addresses.bits(gpa), size) ^ value;
    if (done(call)) {
      cursor++;
      return;
    }
    yieldBefore(rig.memory().storeOp(agent), gpa, size);
    int offset = rig.memory().offset(gpa);
    if (offset >= 0) {
      rig.trace().access(this, rig.memory().buffer(agent).depth() == 0 ? "store" : "store (buffered)", gpa,
          size, value);
      rig.memory().store(agent, gpa, offset, size, value);
    }
    log(call, 0);
  }

  @Override
  public boolean cas32(@Gpa long gpa, int expected, int value) {
    long call = signature(CAS, Addresses.bits(gpa), expected) ^ value;
    if (done(call)) {
      return answers[cursor++] != 0;
    }
    yieldBeforeDrain(ANYTHING);
    int offset = rig.memory().offset(gpa);
    boolean done = offset >= 0 && rig.memory().compareAndSet(agent, gpa, offset, 4, expected, value);
    rig.history().fence();
    rig.trace().access(this, done ? "cas" : "cas (failed)", gpa, 4, value & 0xFFFF_FFFFL);
    return log(call, done ? 1 : 0) != 0;
  }

  @Override
  public void fence() {
    long call = signature(FENCE, 0, 0);
    if (done(call)) {
      cursor++;
      return;
    }
    yieldBeforeDrain(LOCAL);
    rig.history().fence();
    rig.trace().say(this, "fence");
    rig.memory().drain(agent);
    log(call, 0);
  }

  private void wait(int kind, int waiting) {
    long call = signature(kind, 0, 0);
    if (done(call)) {
      cursor++;
      return;
    }
    log(call, 0);
    if (waiting == HALTED) {
      rig.trace().say(this, "sleeps");
      rig.memory().drain(agent);
    }
    state = waiting;
    op = LOCAL;
    throw Control.SUSPENDED;
  }

  @Override
  public void pause() {
    wait(PAUSE, PAUSED);
  }

  @Override
  public void halt() {
    wait(HALT, HALTED);
  }

  @Override
  public void kick(Rig.Device device) {
    long call = signature(KICK, device.index(), 0);
    if (done(call)) {
      cursor++;
      return;
    }
    yieldBeforeDrain(ANYTHING);
    rig.memory().drain(agent);
    rig.trace().say(this, "rings " + device.name());
    rig.witness().rang(device.actor());
    log(call, 0);
  }

  @Override
  public void trap(@Gpa long gpa) {
    long call = signature(TRAP, Addresses.bits(gpa), 0);
    if (done(call)) {
      cursor++;
      return;
    }
    yieldBeforeDrain(ANYTHING);
    rig.memory().drain(agent);
    rig.witness().trapped(gpa);
    log(call, 0);
  }

  private boolean marked(long id) {
    long call = signature(MARK, id, 0);
    if (done(call)) {
      cursor++;
      return false;
    }
    log(call, 0);
    return true;
  }

  @Override
  public void ready() {
    if (marked(-1)) {
      rig.witness().ready();
    }
  }

  @Override
  public void begin(long id) {
    if (marked(id)) {
      rig.witness().began(id);
    }
  }

  @Override
  public void end(long id) {
    if (marked(~id)) {
      rig.witness().ended(id);
    }
  }

  @Override
  public int boots() {
    return boots;
  }

  @Override
  public long nanos() {
    long call = signature(MARK, 0, 1);
    return done(call) ? answers[cursor++] : log(call, rig.scheduler().now);
  }
}
