package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.InterruptSource;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.device.DeviceBus;
import dev.gnomon.vmm.polled.DeviceHost;
import java.util.List;

/**
 * A virtual processor's run loop: lets it run to the next thing that must happen at an exact virtual time, brings devices up to that time, and
 * between entries injects interrupts as KVM does.
 *
 * <p>A device's deadline stands for a timer of the host. It finds the guest running, so under a hypervisor it is an EXTERNAL_INTERRUPT exit; if it
 * falls into the handling of another exit, or the processor sleeps, it is none. Polls of shared memory happen on another host processor and are
 * never exits. Natively the processor takes interrupts from the interrupt controller itself.
 *
 * <p>All decisions depend on the retired-instruction count and the devices alone, so an interrupt reaches the guest at the same instruction in every
 * mode.
 */
public final class Vcpu {
  /** Device events in a row that did not wake a sleeping processor, after which nothing will: a timer that runs on behind a mask. */
  private static final int FRUITLESS_EVENTS = 100_000;

  /** Exits in a row at one instruction, after which it will never retire: a hypervisor at odds with itself, or a guest whose handlers fault. */
  private static final int FRUITLESS_EXITS = 100_000;

  private final Cpu cpu;
  private final GuestCore core;
  private final DeviceBus devices;
  private final MachineBus bus;
  private final InterruptSource interrupts;
  private final DeviceHost[] polled;
  private final ExitStatistics exits;
  private final KvmCounters counters;
  /** Null natively. */
  private final ExitDispatcher dispatcher;
  private long lastRetired;
  private int fruitlessExits;
  /** Set inside a device access, looked at between instructions. */
  private RunResult requested;
  /** Null if time jumps over every sleep. */
  private Idle idle;
  /** What ended the run; null if nothing has yet. */
  private RunResult outcome;
  private volatile boolean stopRequested;

  Vcpu(Cpu cpu, GuestCore core, DeviceBus devices, MachineBus bus, InterruptSource interrupts, List<DeviceHost> polled,
      ExitStatistics exits, KvmCounters counters, ExitDispatcher dispatcher) {
    this.cpu = cpu;
    this.core = core;
    this.devices = devices;
    this.bus = bus;
    this.interrupts = interrupts;
    this.polled = polled.toArray(new DeviceHost[0]);
    this.exits = exits;
    this.counters = counters;
    this.dispatcher = dispatcher;
  }

  public Cpu cpu() {
    return cpu;
  }

  /** Who waits while the processor sleeps; null to let time jump to the next event. */
  public void setIdle(Idle idle) {
    this.idle = idle;
  }

  /** Ends the run behind the instruction that asked for it. */
  void end(RunResult result) {
    if (requested == null) {
      requested = result;
    }
    cpu.stopRequested = true;
  }

  /** Asks a run to return {@link End#BUDGET} soon; from any thread. */
  public void requestStop() {
    stopRequested = true;
    cpu.stopRequested = true;
  }

  /**
   * Runs for at most so many more instructions.
   *
   * @param maxInstructions at least 0
   */
  public RunResult run(long maxInstructions) {
    long end = maxInstructions > Long.MAX_VALUE - cpu.retired ? Long.MAX_VALUE : cpu.retired + maxInstructions;
    boolean ranToDeadline = false;
    while (true) {
      if (requested != null) {
        RunResult result = requested;
        requested = null;
        return result;
      }
      long deadline = advanceDevices(ranToDeadline);
      ranToDeadline = false;
      if (cpu.halted && !wakes()) {
        if (stopRequested) {
          stopRequested = false;
          return RunResult.of(End.BUDGET, "stopped");
        }
        if (!sleep()) {
          return RunResult.of(End.HALTED, haltReason());
        }
        continue;
      }
      if (cpu.retired >= end && !deliverable()) {
        return RunResult.of(End.BUDGET);
      }
      if (stopRequested) {
        stopRequested = false;
        return RunResult.of(End.BUDGET, "stopped");
      }
      if (dispatcher != null) {
        injectInterrupt();
      }
      outcome = null;
      ranToDeadline = enter(Math.min(end, instructionsAt(deadline)), deadline);
      if (outcome != null) {
        return outcome;
      }
    }
  }

  /**
   * Enters the guest, again and again as long as its exits leave devices and interrupts alone. What ends the run is in
   * {@link #outcome}.
   *
   * @param limit retired-instruction count to stop at
   * @param deadline virtual time of the limit as far as devices are concerned
   * @return whether it was running when something else stopped it
   */
  private boolean enter(long limit, long deadline) {
    while (true) {
      if (dispatcher != null && cpu.observer != null) {
        cpu.observer.entry(cpu.rip, cpu.retired);
      }
      bus.runsUntil = deadline;
      int reason = core.run(limit);
      bus.runsUntil = Long.MAX_VALUE;
      if (reason == ExitReason.BUDGET) {
        return true;
      }
      if (reason == ExitReason.NO_PROGRESS) {
        outcome = new RunResult(End.INTERNAL_ERROR, 0, "the guest takes exception after exception at rip 0x"
            + Long.toHexString(cpu.rip) + " and retires no instruction", RegisterDump.of(cpu));
        return false;
      }
      if (dispatcher == null) {
        outcome = reason == ExitReason.TRIPLE_FAULT ? tripleFault() : null;
        return false;
      }
      int next = dispatcher.handle();
      if (cpu.observer != null) {
        cpu.observer.exitHandled(cpu.retired);
      }
      outcome = outcome(next);
      if (outcome != null || next != ExitDispatcher.AGAIN || cpu.retired >= limit || cpu.intercepts.interruptWindow) {
        return false;
      }
    }
  }

  /** An event or interrupt belongs to this instruction boundary; a run that ends here delivers it first, as the processor itself would. */
  private boolean deliverable() {
    return cpu.eventPending || interruptible() && interrupts.pending();
  }

  private boolean interruptible() {
    return (cpu.systemFlags & Rflags.IF) != 0 && !cpu.blockedBySti && !cpu.blockedByMovSs;
  }

  /** The retired-instruction count at which a virtual time is reached. */
  private long instructionsAt(long ns) {
    if (ns == Long.MAX_VALUE) {
      return Long.MAX_VALUE;
    }
    long running = Math.max(0, ns - cpu.skippedNs);
    return (running + cpu.nsPerInstruction - 1) / cpu.nsPerInstruction;
  }

  private long nextPoll() {
    long next = Long.MAX_VALUE;
    for (int i = 0; i < polled.length; i++) {
      next = Math.min(next, polled[i].nextPoll());
    }
    return next;
  }

  /** The next poll that can raise an interrupt for a processor which sleeps since a virtual time. */
  private long nextWake(long haltedNs) {
    long next = Long.MAX_VALUE;
    for (int i = 0; i < polled.length; i++) {
      next = Math.min(next, polled[i].nextWake(haltedNs));
    }
    return next;
  }

  /** @return the next virtual time at which a device wants to be brought up to date or to be polled */
  private long advanceDevices(boolean guestWasRunning) {
    long now = cpu.now();
    for (int i = 0; i < polled.length; i++) {
      polled[i].poll(now);
    }
    long next = devices.nextDeadline();
    if (next <= now) {
      if (guestWasRunning && dispatcher != null) {
        externalInterrupt();
      }
      devices.advanceTo(now);
      next = devices.nextDeadline();
    }
    return Math.min(next, nextPoll());
  }

  /** A timer of the host interrupts the guest. */
  private void externalInterrupt() {
    cpu.vmExit(ExitReason.EXTERNAL_INTERRUPT, 0, 0);
    if (cpu.observer != null) {
      cpu.observer.exit(cpu.exit, cpu.retired);
    }
    exits.count(ExitReason.EXTERNAL_INTERRUPT, ExitStatistics.Cause.TIMER);
    counters.irqExits++;
    if (cpu.observer != null) {
      cpu.observer.exitHandled(cpu.retired);
    }
  }

  /** A debug trap behind the HLT is an event too. */
  private boolean wakes() {
    return cpu.eventPending || cpu.nmiPending || (cpu.systemFlags & Rflags.IF) != 0 && interrupts.pending();
  }

  /** Jumps to the next event that a device has, until one wakes the processor or somebody asks to stop. @return false if none ever will */
  private boolean sleep() {
    boolean deaf = (cpu.systemFlags & Rflags.IF) == 0 && !cpu.nmiPending;
    long halted = cpu.now();
    for (int i = 0; i < FRUITLESS_EVENTS && !deaf; i++) {
      long next = Math.min(devices.nextDeadline(), nextWake(halted));
      if (idle != null) {
        next = Math.min(next, idle.sleep(cpu.now(), next));
        if (stopRequested) {
          return true;
        }
      }
      if (next == Long.MAX_VALUE) {
        return false;
      }
      cpu.skippedNs += Math.max(0, next - cpu.now());
      advanceDevices(false);
      if (wakes()) {
        return true;
      }
    }
    return false;
  }

  private String haltReason() {
    return "halted for ever at rip 0x" + Long.toHexString(cpu.rip)
        + ((cpu.systemFlags & Rflags.IF) == 0 ? " with interrupts off" : " with no interrupt to come");
  }

  /** As KVM before each entry: the interrupt now if the guest can take it, otherwise an exit when it can. */
  private void injectInterrupt() {
    boolean pending = interrupts.pending();
    if (pending && interruptible() && !cpu.eventPending) {
      int vector = interrupts.acknowledge();
      core.queue(vector, Vector.TYPE_EXTERNAL, false, 0, 0);
      counters.irqInjections++;
      if (cpu.observer != null) {
        cpu.observer.injected(vector, Vector.TYPE_EXTERNAL, false, 0, false);
      }
      pending = interrupts.pending();
    }
    if (pending && !cpu.intercepts.interruptWindow) {
      counters.requestIrqExits++;
    }
    cpu.intercepts.interruptWindow = pending;
    cpu.halted = false;
  }

  /** What an exit that was handled ends the run with, if it does. @param next the dispatcher's answer */
  private RunResult outcome(int next) {
    if (cpu.retired != lastRetired) {
      lastRetired = cpu.retired;
      fruitlessExits = 0;
    } else if (++fruitlessExits >= FRUITLESS_EXITS) {
      fruitlessExits = 0;
      return new RunResult(End.INTERNAL_ERROR, 0, "the instruction at rip 0x" + Long.toHexString(cpu.rip) + " exited " + FRUITLESS_EXITS
          + " times without retiring, last by " + ExitReason.name(cpu.exit.reason), RegisterDump.of(cpu));
    }
    if (next == ExitDispatcher.RESUME || next == ExitDispatcher.AGAIN) {
      return null;
    }
    return next == ExitDispatcher.SHUTDOWN ? tripleFault()
        : new RunResult(End.INTERNAL_ERROR, 0, dispatcher.problem(), RegisterDump.of(cpu));
  }

  /** With an empty descriptor table loaded it is how system software resets a PC (Linux: {@code reboot=t}), which resets on the shutdown. */
  private RunResult tripleFault() {
    if (cpu.idtrLimit == 0) {
      return RunResult.of(End.RESET, "reset by a triple fault with an empty IDT");
    }
    return new RunResult(End.TRIPLE_FAULT, 0, "triple fault at rip 0x" + Long.toHexString(cpu.rip) + " after " + cpu.retired
        + " instructions", RegisterDump.of(cpu));
  }
}
