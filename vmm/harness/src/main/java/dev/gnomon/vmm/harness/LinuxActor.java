package dev.gnomon.vmm.harness;

import dev.gnomon.vmm.RunResult;

/**
 * A Linux as a driver: runs for some thousand instructions, or up to its next store to a window, and then it is
 * somebody else's turn.
 */
final class LinuxActor extends GuestActor {
  /** Instructions of a turn; a replay that says nothing takes the first. */
  private static final int[] TURNS = {20_000, 200, 2_000, 100_000};

  private final LinuxMachine machine;
  private final long mostInstructions;
  private long instructions;
  private int status = -1;

  LinuxActor(Rig rig, LinuxMachine machine, int agent, long mostInstructions) {
    super("linux", rig, machine, 0, agent);
    this.machine = machine;
    this.mostInstructions = mostInstructions;
  }

  @Override
  void interrupted() {}

  @Override
  boolean isFinished() {
    return status >= 0;
  }

  /** The script's exit status, −1 while it runs. */
  int status() {
    return status;
  }

  @Override
  String waiting() {
    return isFinished() ? "finished with status " + status : "runs" + machine.lastWords();
  }

  @Override
  void interrupt() {}

  @Override
  void reboot() {
    status = -1;
  }

  @Override
  boolean enabled() {
    return status < 0;
  }

  @Override
  void act() {
    if (instructions > mostInstructions) {
      throw Control.ABANDONED;
    }
    Actor outer = rig.watch().enter(this);
    long ns = machine.vm.now();
    long retired = machine.vm.retired();
    RunResult result = machine.run(TURNS[rig.scheduler().number(TURNS.length)]);
    rig.watch().leave(outer);
    instructions += machine.vm.retired() - retired;
    rig.scheduler().now += machine.vm.now() - ns;
    // Somewhere in RAM it has written, too.
    rig.memory().published(agent);
    if (machine.storeOffset() >= 0) {
      rig.trace().hostStore(this, "store", machine.storeOffset(), machine.storeSize(),
          rig.memory().visible(machine.storeOffset(), machine.storeSize()));
    }
    switch (result.end()) {
      case BUDGET -> { }
      // The device that ends the run makes it odd.
      case GUEST_EXIT -> {
        status = result.status() >> 1;
        rig.trace().say(this, "ends with status " + status);
      }
      default -> throw new HarnessFailure("guest died", result.end() + " " + result.detail() + machine.lastWords());
    }
  }
}
