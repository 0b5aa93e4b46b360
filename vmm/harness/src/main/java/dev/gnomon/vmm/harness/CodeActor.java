package dev.gnomon.vmm.harness;

import dev.gnomon.vmm.RunResult;

/**
 * A processor of {@link GuestCode} as a driver: runs instruction by instruction, and before each that touches memory
 * somebody else may be chosen.
 */
final class CodeActor extends GuestActor {
  private static final int RUNNING = 0;
  private static final int PAUSED = 1;
  private static final int HALTED = 2;
  private static final int FINISHED = 3;
  private static final int MOST_PRIVATES = 10_000;

  private final CodeMachine machine;
  private final int processor;
  private final ProcessorStores stores;
  private int state = RUNNING;
  private boolean onStack;
  /** What had changed when it last began to look at memory. */
  private long since;
  private boolean interrupt;
  /** Instructions since the last choice that touch nothing that others see. */
  private int privates;

  CodeActor(String name, Rig rig, CodeMachine machine, int processor, int agent, ProcessorStores stores) {
    super(name, rig, machine, processor, agent);
    this.machine = machine;
    this.processor = processor;
    this.stores = stores;
  }

  @Override
  void interrupted() {
    drain();
  }

  @Override
  boolean isFinished() {
    return state == FINISHED;
  }

  @Override
  String waiting() {
    return switch (state) {
      case PAUSED -> "waits for memory to change";
      case HALTED -> "sleeps until an interrupt";
      case FINISHED -> "finished";
      default -> "runs";
    } + " at rip 0x" + Long.toHexString(cpu.rip);
  }

  @Override
  void interrupt() {
    interrupt = true;
  }

  @Override
  void reboot() {
    stores.forget();
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
      case HALTED -> machine.isAwake(processor);
      default -> false;
    };
  }

  /** Whatever waits in the buffer becomes visible, the stores of an instruction that is not done yet included. */
  private void drain() {
    stores.instructionDone();
    rig.memory().drain(agent, stores);
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
    Actor outer = rig.watch().enter(this);
    try {
      while (state == RUNNING) {
        rig.memory().show(stores);
        InstructionClass next = machine.next(processor);
        // A loop without an access is no reason to run for ever.
        privates = next == InstructionClass.PRIVATE ? privates + 1 : 0;
        if ((next != InstructionClass.PRIVATE || privates > MOST_PRIVATES) && !first) {
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
      rig.watch().leave(outer);
    }
  }

  private void step(InstructionClass kind) {
    boolean drains = kind == InstructionClass.DRAIN || kind == InstructionClass.LOCKED;
    if (drains) {
      drain();
    }
    if (kind != InstructionClass.PRIVATE) {
      rig.trace().instruction(this, machine, processor);
    }
    RunResult result = machine.step(processor, stores);
    if (kind == InstructionClass.LOCKED || !rig.isTso() || result.end() == RunResult.End.GUEST_EXIT) {
      drain();
    }
    while (stores.isOverfull()) {
      rig.memory().flush(agent, stores);
    }
    if (kind == InstructionClass.PAUSE) {
      state = PAUSED;
    }
    switch (result.end()) {
      case BUDGET -> { }
      case HALTED -> {
        state = HALTED;
        interrupt = false;
      }
      case GUEST_EXIT -> state = FINISHED;
      default -> throw new HarnessFailure("guest died", result.detail());
    }
  }

  /** Lets the oldest store become visible. */
  final class Flush extends Actor {
    Flush() {
      super("flush(" + CodeActor.this.name + ")");
      this.agent = CodeActor.this.agent;
    }

    @Override
    boolean enabled() {
      return stores.count() > 0;
    }

    @Override
    void act() {
      rig.trace().hostStore(this, "store becomes visible", stores.headOffset(), stores.headSize(), stores.headValue());
      rig.memory().flush(agent, stores);
    }
  }
}
