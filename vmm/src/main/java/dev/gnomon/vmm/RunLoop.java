package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.device.DeviceBus;
import dev.gnomon.vmm.device.LocalApicPage;
import dev.gnomon.vmm.polled.DeviceHost;
import java.util.List;

/**
 * A machine's run loop: brings devices up to the present, chooses whose {@link Turns turn} it is, and lets that
 * processor run to the next thing that must happen at an exact virtual time.
 *
 * <p>A device's deadline stands for a timer of the host. It finds the guest running, so under a hypervisor it is an
 * EXTERNAL_INTERRUPT exit; if it falls into the handling of another exit, or the processor sleeps, it is none. Polls of
 * shared memory happen on another host processor and are never exits; the interrupt that a polled device raises is one,
 * as a timer's.
 */
final class RunLoop {
  /**
   * Device events in a row that did not wake a sleeping machine, after which nothing will: a timer that runs on behind
   * a mask.
   */
  private static final int FRUITLESS_EVENTS = 100_000;

  private final List<Vcpu> vcpus;
  private final Turns turns;
  private final DeviceBus devices;
  private final MachineBus bus;
  /** Null with one vCPU. */
  private final LocalApicPage localApics;
  private final DeviceHost[] polled;
  /** Set inside a device access, looked at between instructions. */
  private RunResult requested;
  /** Null if time jumps over every sleep. */
  private Idle idle;
  private volatile boolean stopRequested;

  RunLoop(List<Vcpu> vcpus, long turn, DeviceBus devices, MachineBus bus, LocalApicPage localApics,
      List<DeviceHost> polled) {
    this.vcpus = List.copyOf(vcpus);
    this.turns = new Turns(vcpus, turn, bus, localApics);
    this.devices = devices;
    this.bus = bus;
    this.localApics = localApics;
    this.polled = polled.toArray(new DeviceHost[0]);
  }

  Turns turns() {
    return turns;
  }

  /** Who waits while all processors sleep; null to let time jump to the next event. */
  void setIdle(Idle waiter) {
    idle = waiter;
  }

  Idle idle() {
    return idle;
  }

  boolean stopRequested() {
    return stopRequested;
  }

  /** Ends the run behind the instruction that asked for it. */
  void end(RunResult result) {
    if (requested == null) {
      requested = result;
    }
    turns.current().cpu().stopRequested = true;
  }

  /** Asks a run to return {@link End#BUDGET} soon; from any thread. */
  void requestStop() {
    stopRequested = true;
    for (Vcpu vcpu : vcpus) {
      vcpu.cpu().stopRequested = true;
    }
  }

  /**
   * Runs for at most so many more instructions, of all processors together.
   *
   * @param maxInstructions at least 0
   */
  RunResult run(long maxInstructions) {
    long begin = turns.retired();
    long end = maxInstructions > Long.MAX_VALUE - begin ? Long.MAX_VALUE : begin + maxInstructions;
    boolean ranToDeadline = false;
    while (true) {
      if (requested != null) {
        RunResult result = requested;
        requested = null;
        return result;
      }
      long deadline = advanceDevices(ranToDeadline);
      boolean awake = turns.choose(ranToDeadline);
      ranToDeadline = false;
      Vcpu vcpu = turns.current();
      if (!awake) {
        if (stopRequested) {
          stopRequested = false;
          return RunResult.of(End.BUDGET, "stopped");
        }
        if (!sleep()) {
          return RunResult.of(End.HALTED, haltReason());
        }
        continue;
      }
      if (turns.retired() >= end && !vcpu.deliverable()) {
        return RunResult.of(End.BUDGET);
      }
      if (stopRequested) {
        stopRequested = false;
        return RunResult.of(End.BUDGET, "stopped");
      }
      ranToDeadline = vcpu.enter(Math.min(turns.limit(end), vcpu.instructionsAt(deadline)), bus, deadline);
      if (vcpu.outcome() != null) {
        return vcpu.outcome();
      }
    }
  }

  /**
   * Runs one processor for at most so many instructions, whoever's turn it is, while the others wait. That is for
   * whoever decides on turns himself; time does not jump.
   *
   * @param instructions at least 0
   * @return {@link End#HALTED} if the processor sleeps, though it could be woken
   */
  RunResult runAlone(Vcpu vcpu, long instructions) {
    turns.take(vcpu);
    long end = vcpu.cpu().retired + instructions;
    boolean ranToDeadline = false;
    while (true) {
      if (requested != null) {
        RunResult result = requested;
        requested = null;
        return result;
      }
      long deadline = advanceDevices(ranToDeadline);
      vcpu.takeApicEvents();
      if (!vcpu.runnable()) {
        return RunResult.of(End.HALTED, haltReason());
      }
      if (vcpu.cpu().retired >= end && !vcpu.deliverable()) {
        return RunResult.of(End.BUDGET);
      }
      if (stopRequested) {
        stopRequested = false;
        return RunResult.of(End.BUDGET, "stopped");
      }
      ranToDeadline = vcpu.enter(Math.min(end, vcpu.instructionsAt(deadline)), bus, deadline);
      if (vcpu.outcome() != null) {
        return vcpu.outcome();
      }
    }
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
    Vcpu vcpu = turns.current();
    long now = vcpu.cpu().now();
    if (polled.length != 0) {
      poll(vcpu, now, guestWasRunning);
    }
    long next = devices.nextDeadline();
    if (next <= now) {
      if (guestWasRunning && vcpu.dispatcher != null && (localApics == null || concerns(vcpu, now))) {
        vcpu.externalInterrupt(ExitStatistics.Cause.TIMER);
      }
      devices.advanceTo(now);
      next = devices.nextDeadline();
    }
    return Math.min(next, nextPoll());
  }

  /**
   * Polls are no exits, but an interrupt that comes of one has to get a guest that runs to take it, by an interrupt of
   * the host (KVM: {@code kvm_vcpu_kick}).
   */
  private void poll(Vcpu vcpu, long now, boolean guestWasRunning) {
    boolean pending = vcpu.interrupts.pending();
    for (int i = 0; i < polled.length; i++) {
      polled[i].poll(now);
    }
    if (guestWasRunning && vcpu.dispatcher != null && !pending && vcpu.interrupts.pending()) {
      vcpu.externalInterrupt(ExitStatistics.Cause.DEVICE);
    }
  }

  /**
   * Whether a deadline that has come is the host timer's on this vCPU's processor: any but those of other local APICs.
   */
  private boolean concerns(Vcpu vcpu, long now) {
    return vcpu.apic.nextDeadline() <= now || devices.nextDeadlineWithout(localApics) <= now;
  }

  /**
   * Jumps to the next event that a device has, until one wakes a processor or somebody asks to stop.
   *
   * @return false if none ever will
   */
  private boolean sleep() {
    Cpu clock = turns.current().cpu();
    boolean deaf = turns.allDeaf();
    long halted = clock.now();
    for (int i = 0; i < FRUITLESS_EVENTS && !deaf; i++) {
      long next = Math.min(devices.nextDeadline(), nextWake(halted));
      if (idle != null) {
        next = Math.min(next, idle.sleep(clock.now(), next));
        if (stopRequested) {
          return true;
        }
      }
      if (next == Long.MAX_VALUE) {
        return false;
      }
      clock.skippedNs += Math.max(0, next - clock.now());
      advanceDevices(false);
      if (turns.anyRunnable()) {
        return true;
      }
    }
    return false;
  }

  private String haltReason() {
    Vcpu vcpu = turns.current();
    return "halted for ever at " + vcpu.place()
        + ((vcpu.cpu().systemFlags & Rflags.IF) == 0 ? " with interrupts off" : " with no interrupt to come");
  }
}
