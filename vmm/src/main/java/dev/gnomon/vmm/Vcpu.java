package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuState;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.InterruptSource;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.exec.Processor;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.boot.InitialState;
import dev.gnomon.vmm.device.LocalApic;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * A virtual processor: its state, its way to interrupts, and what the hypervisor keeps for it. It is entered up to a
 * retired-instruction count; between entries interrupts are injected as KVM does. Natively the processor takes
 * interrupts from the interrupt controller itself.
 *
 * <p>All decisions depend on the retired-instruction count and the devices alone, so an interrupt reaches the guest at
 * the same instruction in every mode.
 */
public final class Vcpu {
  /**
   * Exits in a row at one instruction, after which it will never retire: a hypervisor at odds with itself, or a guest
   * whose handlers fault.
   */
  private static final int FRUITLESS_EXITS = 100_000;

  final Processor processor;
  final ExitStatistics exits = new ExitStatistics();
  final KvmCounters counters = new KvmCounters();
  private final int index;
  private final Cpu cpu;
  private GuestCore core;

  // Set while the machine is built.
  InterruptSource interrupts;
  /** Null if there is none. */
  LocalApic apic;
  VmxControls controls;
  /** These are null natively, and of the last two one is otherwise. */
  Emulator emulator;
  ExitDispatcher dispatcher;
  EptMemory ept;
  ShadowPaging shadow;

  private long lastRetired;
  private int fruitlessExits;
  /** What ended the run in {@link #enter}; null if nothing did. */
  private RunResult outcome;

  // Its turn ended while it was in the guest, where only an interrupt of the host can reach it.
  private boolean inGuest;
  private boolean pendingBefore;
  private boolean kicked;

  Vcpu(int index, Processor processor) {
    this.index = index;
    this.processor = processor;
    this.cpu = processor.cpu();
    this.core = GuestCore.of(processor);
  }

  /** Its number, 0 for the bootstrap processor; also its local APIC's ID. */
  public int index() {
    return index;
  }

  public Cpu cpu() {
    return cpu;
  }

  /** Its exits by reason and cause; all zero natively. */
  public ExitStatistics exits() {
    return exits;
  }

  GuestCore core() {
    return core;
  }

  /** Puts something between the processor and its run loop. */
  void setCore(GuestCore core) {
    this.core = core;
  }

  /** Puts the processor into a state; what the hypervisor knows of its registers follows. */
  void start(InitialState state) {
    state.applyTo(cpu);
    registersChanged();
  }

  /** Puts an application processor where firmware leaves it: as after a reset, waiting for a start-up message. */
  void await() {
    start(InitialState.afterReset(cpu));
    cpu.waitsForStartup = true;
  }

  /**
   * Writes the processor's section of a saved machine: its own state, and of the hypervisor's what does not follow from
   * that, the PDPTE registers under shadow paging and whether an interrupt window is asked for.
   */
  public void save(DataOutput out) throws IOException {
    CpuState.save(cpu, out);
    out.writeBoolean(cpu.intercepts.interruptWindow);
    if (shadow != null) {
      for (long pdpte : shadow.pdptes()) {
        out.writeLong(pdpte);
      }
    }
  }

  /**
   * Reads what {@link #save} wrote by a machine of equal options. Nothing that the processor had cached is kept, nor
   * are shadow pages of what it ran before.
   *
   * @throws IOException if the section is of another version or machine, or ends early
   */
  public void load(DataInput in) throws IOException {
    CpuState.load(cpu, in);
    cpu.intercepts.interruptWindow = in.readBoolean();
    processor.stateLoaded();
    if (shadow != null) {
      long[] pdptes = shadow.pdptes();
      for (int i = 0; i < pdptes.length; i++) {
        pdptes[i] = in.readLong();
      }
    }
    registersChanged();
  }

  /** What the hypervisor derives from registers is made anew. */
  private void registersChanged() {
    if (shadow != null) {
      shadow.reload(true);
    }
    if (cpu.intercepts.enabled) {
      controls.refreshShadows();
    }
  }

  /**
   * Takes an INIT and a start-up message, in this order (KVM: {@code kvm_apic_accept_events}). A start-up message to a
   * processor that does not wait for it is lost.
   */
  void takeApicEvents() {
    if (apic == null || !apic.hasStartupMessage()) {
      return;
    }
    if (apic.takeInit()) {
      kick();
      InitialState.initialize(cpu);
      cpu.waitsForStartup = !apic.isBootstrap();
      cpu.intercepts.interruptWindow = false;
      registersChanged();
    }
    int vector = apic.takeStartup();
    if (vector >= 0 && cpu.waitsForStartup) {
      InitialState.startUp(cpu, vector);
    }
  }

  /** Whether it executes instructions: it neither sleeps nor waits to be started. */
  public boolean runnable() {
    return (!cpu.halted || wakes()) && !cpu.waitsForStartup;
  }

  /** A debug trap behind the HLT is an event too. */
  private boolean wakes() {
    return cpu.eventPending || cpu.nmiPending || (cpu.systemFlags & Rflags.IF) != 0 && interrupts.pending();
  }

  /** It sleeps and no device can wake it. */
  boolean deaf() {
    return cpu.waitsForStartup || (cpu.systemFlags & Rflags.IF) == 0 && !cpu.nmiPending;
  }

  /**
   * An event or interrupt belongs to this instruction boundary; a run that ends here delivers it first, as the
   * processor itself would.
   */
  boolean deliverable() {
    return cpu.eventPending || interruptible() && interrupts.pending();
  }

  private boolean interruptible() {
    return (cpu.systemFlags & Rflags.IF) != 0 && !cpu.blockedBySti && !cpu.blockedByMovSs;
  }

  /** The retired-instruction count at which a virtual time is reached. */
  long instructionsAt(long ns) {
    if (ns == Long.MAX_VALUE) {
      return Long.MAX_VALUE;
    }
    long running = Math.max(0, ns - cpu.skippedNs);
    return (running + cpu.nsPerInstruction - 1) / cpu.nsPerInstruction;
  }

  /**
   * Enters the guest, again and again as long as its exits leave devices and interrupts alone. What ends the run is in
   * {@link #outcome}.
   *
   * @param limit retired-instruction count to stop at
   * @param deadline virtual time of the limit as far as devices are concerned
   * @return whether it was running when something else stopped it
   */
  boolean enter(long limit, MachineBus bus, long deadline) {
    if (dispatcher != null) {
      injectInterrupt();
    }
    outcome = null;
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
        outcome = new RunResult(End.INTERNAL_ERROR, 0, "the guest takes exception after exception at " + place()
            + " and retires no instruction", RegisterDump.of(cpu));
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

  /** What ended the run in the last {@link #enter}, or null. */
  RunResult outcome() {
    return outcome;
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

  /** An interrupt of the host reaches its processor while that runs the guest. */
  void externalInterrupt(ExitStatistics.Cause cause) {
    cpu.vmExit(ExitReason.EXTERNAL_INTERRUPT, 0, 0);
    if (cpu.observer != null) {
      cpu.observer.exit(cpu.exit, cpu.retired);
    }
    exits.count(ExitReason.EXTERNAL_INTERRUPT, cause);
    counters.irqExits++;
    if (cpu.observer != null) {
      cpu.observer.exitHandled(cpu.retired);
    }
  }

  /**
   * Its turn ends. @param wasInGuest whether the guest was running then, which goes on as far as the hypervisor is
   * concerned
   */
  void suspend(boolean wasInGuest) {
    inGuest = wasInGuest && dispatcher != null;
    pendingBefore = inGuest && interrupts.pending();
    kicked = false;
  }

  /**
   * Its turn begins. If something has come up since that it must look at, then the processor that sent it interrupted
   * it, which is an exit (KVM: {@code kvm_vcpu_kick}).
   */
  void resume() {
    if (inGuest && (kicked || cpu.nmiPending || !pendingBefore && interrupts.pending())) {
      externalInterrupt(ExitStatistics.Cause.KICK);
    }
    inGuest = false;
  }

  void saveTurn(DataOutput out) throws IOException {
    out.writeBoolean(inGuest);
    out.writeBoolean(pendingBefore);
    out.writeBoolean(kicked);
  }

  void loadTurn(DataInput in) throws IOException {
    inGuest = in.readBoolean();
    pendingBefore = in.readBoolean();
    kicked = in.readBoolean();
  }

  /** Another vCPU wants it out of the guest. @return whether it was there */
  boolean kick() {
    kicked |= inGuest;
    return inGuest;
  }

  /** What an exit that was handled ends the run with, if it does. @param next the dispatcher's answer */
  private RunResult outcome(int next) {
    if (cpu.retired != lastRetired) {
      lastRetired = cpu.retired;
      fruitlessExits = 0;
    } else if (++fruitlessExits >= FRUITLESS_EXITS) {
      fruitlessExits = 0;
      return new RunResult(End.INTERNAL_ERROR, 0, "the instruction at " + place() + " exited " + FRUITLESS_EXITS
          + " times without retiring, last by " + ExitReason.name(cpu.exit.reason), RegisterDump.of(cpu));
    }
    if (next == ExitDispatcher.RESUME || next == ExitDispatcher.AGAIN) {
      return null;
    }
    return next == ExitDispatcher.SHUTDOWN ? tripleFault()
        : new RunResult(End.INTERNAL_ERROR, 0, dispatcher.problem(), RegisterDump.of(cpu));
  }

  /**
   * With an empty descriptor table loaded it is how system software resets a PC (Linux: {@code reboot=t}), which resets
   * on the shutdown.
   */
  private RunResult tripleFault() {
    if (cpu.idtrLimit == 0) {
      return RunResult.of(End.RESET, "reset by a triple fault with an empty IDT");
    }
    return new RunResult(End.TRIPLE_FAULT, 0, "triple fault at " + place() + " after " + cpu.retired
        + " instructions", RegisterDump.of(cpu));
  }

  /** Where it is, for messages. */
  String place() {
    return "rip 0x" + Long.toHexString(cpu.rip) + (index == 0 ? "" : " of vCPU " + index);
  }
}
