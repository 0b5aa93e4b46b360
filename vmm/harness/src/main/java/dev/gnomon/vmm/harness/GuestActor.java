package dev.gnomon.vmm.harness;

import dev.gnomon.guest.cpu.ExitInfo;
import dev.gnomon.guest.cpu.Observer;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.vmm.RunResult;

/** A real guest as a driver: runs instruction by instruction, and before each that touches memory somebody else may be chosen. */
final class GuestActor extends Actor {
  private static final int RUNNING = 0;
  private static final int PAUSED = 1;
  private static final int HALTED = 2;
  private static final int FINISHED = 3;

  private final Rig rig;
  private final GuestMachine machine;
  private final InvertedBuffer stores;
  private int state = RUNNING;
  private boolean onStack;
  /** What had changed when it last began to look at memory. */
  private long since;
  private boolean interrupt;

  GuestActor(Rig rig, GuestMachine machine, int agent, InvertedBuffer stores) {
    super("guest");
    this.rig = rig;
    this.machine = machine;
    this.agent = agent;
    this.stores = stores;
    machine.flushHead = this::flushHead;
    machine.vm.cpu().observer = new Observer() {
      @Override
      public void exit(ExitInfo exit, long retired) {
        drain();
        rig.guestExited(exit);
      }

      @Override
      public void delivered(int vector, int type, int errorCode, @Gva long rip, long retired) {
        drain();
      }
    };
  }

  boolean isFinished() {
    return state == FINISHED;
  }

  String waiting() {
    return switch (state) {
      case PAUSED -> "waits for memory to change";
      case HALTED -> "sleeps until an interrupt";
      case FINISHED -> "finished";
      default -> "runs";
    } + " at rip 0x" + Long.toHexString(machine.vm.cpu().rip);
  }

  void interrupt() {
    interrupt = true;
  }

  void reboot() {
    stores.clear();
    machine.reset();
    state = RUNNING;
    interrupt = false;
    since = 0;
  }

  @Override
  boolean enabled() {
    if (onStack) {
      return false;
    }
    return switch (state) {
      case RUNNING -> true;
      case PAUSED -> interrupt || rig.memory().version(agent) != since;
      case HALTED -> interrupt;
      default -> false;
    };
  }

  void flushHead() {
    stores.pop();
    rig.memory().published(agent);
  }

  private void drain() {
    while (stores.count() > 0) {
      flushHead();
    }
  }

  @Override
  void act() {
    if (state == PAUSED) {
      since = rig.memory().version(agent);
      // It was left running, so it can take the interrupt now, or has masked it.
      interrupt = false;
    }
    state = RUNNING;
    boolean first = true;
    onStack = true;
    try {
      while (state == RUNNING) {
        int next = machine.next();
        if (next != GuestMachine.PRIVATE && !first) {
          Actor chosen = rig.scheduler().next(this);
          if (chosen != this) {
            rig.scheduler().giveWayTo(chosen);
            return;
          }
        }
        first = false;
        step(next);
      }
    } finally {
      onStack = false;
    }
  }

  private void step(int kind) {
    if (kind == GuestMachine.DRAIN) {
      drain();
    }
    if (rig.timeline() != null && kind != GuestMachine.PRIVATE) {
      rig.trace(this, rig.describeInstruction(machine));
    }
    machine.buffer = rig.isTso() ? stores : null;
    machine.wrote = false;
    RunResult result = machine.step();
    machine.buffer = null;
    if (machine.wrote && !rig.isTso()) {
      rig.memory().published(agent);
    }
    if (kind == GuestMachine.PAUSE) {
      state = PAUSED;
    }
    switch (result.end()) {
      case BUDGET -> { }
      case HALTED -> {
        state = HALTED;
        interrupt = false;
      }
      case GUEST_EXIT -> {
        drain();
        state = FINISHED;
      }
      default -> throw new HarnessFailure("guest died", result.detail());
    }
  }

  /** Lets the oldest store become visible. */
  final class Flush extends Actor {
    Flush() {
      super("flush(guest)");
      this.agent = GuestActor.this.agent;
    }

    @Override
    boolean enabled() {
      return stores.count() > 0;
    }

    @Override
    void act() {
      rig.traceHostOffset(this, "store becomes visible", stores.headOffset(), stores.headSize());
      flushHead();
    }
  }
}
