package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translator;

/**
 * One virtual processor at work: the loop around the interpreter that takes interrupts, delivers events and stops at
 * exact instruction counts. Natively devices are reached from here; under a hypervisor it is VMX non-root operation,
 * and whatever the intercepts name returns to the caller with the exit record filled.
 */
public final class Processor {
  /**
   * Deliveries without a retired instruction after which the guest is taken to be stuck: handlers that fault at once,
   * for ever.
   */
  private static final int FRUITLESS_DELIVERIES = 100_000;

  private final Cpu cpu;
  private final CodeCache cache;
  private final CodeWrites codeWrites;
  private final LinearMemory linear;
  private final EventDelivery events;
  private final Debug debug;
  private final Interpreter interpreter;

  /**
   * @param blockLimit most instructions in a decoded block, 1 to {@link CodeCache#MAX_BLOCK}; results do not depend on
   * it
   */
  public Processor(Cpu cpu, int blockLimit) {
    this(cpu, new CodeWrites(new CodeCache(cpu.memory, cpu.mmu, cpu.cpuid, blockLimit)));
    cpu.memory.setWriteListener(codeWrites);
  }

  /**
   * Another processor of a machine, over the same memory and of the same model; the two run by turns and share decoded
   * code.
   */
  public Processor(Cpu cpu, Processor other) {
    this(cpu, other.codeWrites);
    cache.share(cpu.mmu);
  }

  private Processor(Cpu cpu, CodeWrites codeWrites) {
    this.cpu = cpu;
    this.codeWrites = codeWrites;
    this.cache = codeWrites.cache;
    this.linear = new LinearMemory(cpu);
    Operands operands = new Operands(cpu, linear);
    this.events = new EventDelivery(cpu, linear);
    this.debug = new Debug(cpu, linear);
    ComplexInstructions complex = new ComplexInstructions(cpu, linear, operands, events, debug);
    BlockFinder finder = new BlockFinder(cpu, cache, linear);
    MemoryPath memoryPath = new MemoryPath(cpu, cache, linear);
    WarmOps warm = new WarmOps(cpu, cache, linear, operands, memoryPath);
    ComplexPath complexPath = new ComplexPath(cpu, cache, linear, new StringOps(cpu, linear, operands),
        new ExclusiveOps(cpu, linear, operands), complex);
    this.interpreter = new Interpreter(cpu, cache, finder, memoryPath, warm,
        new VectorOps(cpu, cache, linear, memoryPath), complexPath);
    codeWrites.running = linear;
  }

  public Cpu cpu() {
    return cpu;
  }

  /** Decoded code, for whoever changes what it depends on. */
  public CodeCache codeCache() {
    return cache;
  }

  /** Call after the processor's state was loaded: what was derived from it is made anew. */
  public void stateLoaded() {
    debug.refresh();
  }

  /** Event injection for the hypervisor: see {@link EventDelivery#queue}. */
  public EventDelivery events() {
    return events;
  }

  /**
   * Runs until the processor has retired {@code limit} instructions in all, or something else stops it.
   *
   * @param limit value of {@code cpu.retired} to stop at, exactly
   * @return {@link ExitReason#BUDGET} (also if {@code cpu.stopRequested} was set), {@link ExitReason#HLT} natively when
   *     the processor sleeps, {@link ExitReason#TRIPLE_FAULT}, {@link ExitReason#NO_PROGRESS}, or under a hypervisor
   *     the exit's reason, details in {@code cpu.exit}
   */
  public int run(long limit) {
    if (codeWrites.running != linear) {
      // Storing a reference costs the collector's barrier each time.
      codeWrites.running = linear;
    }
    boolean once = false;
    int deliveries = 0;
    long entered = cpu.retired;
    long lastRetired = entered;
    while (true) {
      if (cpu.eventPending) {
        int status = events.dispatch();
        if (status == Status.EXIT) {
          return exited();
        }
        continue;
      }
      if (!once) {
        int reason = betweenInstructions(limit, cpu.retired == entered);
        if (reason >= 0) {
          return reason;
        }
        if (cpu.eventPending) {
          continue;
        }
      }
      int status = step(once ? 1 : limit - cpu.retired);
      once = false;
      switch (status) {
        case Status.FAULT -> {
          if (events.raiseAndDispatch() == Status.EXIT) {
            return exited();
          }
          if (cpu.retired != lastRetired) {
            lastRetired = cpu.retired;
            deliveries = 0;
          } else if (++deliveries == FRUITLESS_DELIVERIES) {
            deliveries = 0;
            return ExitReason.NO_PROGRESS;
          }
        }
        case Status.EXIT -> {
          return exited();
        }
        case Status.RESTART -> once = true;
        default -> { }
      }
    }
  }

  /**
   * Looks at everything that can happen at an instruction boundary. Where the run stops for devices to be brought up to
   * date, they come before interrupts, among which the most urgent is not known yet; the next run then begins with
   * these.
   *
   * @param begins no instruction has retired in this run, so that devices are up to date
   * @return an exit reason, or −1 to go on
   */
  private int betweenInstructions(long limit, boolean begins) {
    boolean open = (cpu.systemFlags & Rflags.IF) != 0 && !cpu.blockedBySti && !cpu.blockedByMovSs;
    // The manual lets STI hold back NMIs too; KVM relies on it for the HLT behind.
    if (cpu.nmiPending && !cpu.blockedByNmi && !cpu.blockedByMovSs && !cpu.blockedBySti) {
      cpu.nmiPending = false;
      cpu.halted = false;
      cpu.blockedByNmi = true;
      events.queue(Vector.NMI, Vector.TYPE_NMI, false, 0, 0);
      return -1;
    }
    if (cpu.intercepts.enabled) {
      if (cpu.intercepts.interruptWindow && open) {
        cpu.vmExit(ExitReason.INTERRUPT_WINDOW, 0, 0);
        return exited();
      }
    } else if (open && cpu.interrupts != null && (begins || cpu.retired < limit && !cpu.stopRequested)
        && cpu.interrupts.pending()) {
      cpu.halted = false;
      events.queue(cpu.interrupts.acknowledge(), Vector.TYPE_EXTERNAL, false, 0, 0);
      return -1;
    }
    if (cpu.halted) {
      return ExitReason.HLT;
    }
    if (cpu.retired >= limit) {
      return ExitReason.BUDGET;
    }
    if (cpu.stopRequested) {
      cpu.stopRequested = false;
      return ExitReason.BUDGET;
    }
    return -1;
  }

  /** Runs code up to the budget, one instruction at a time where something must be looked at around each. */
  private int step(long budget) {
    if (VirtualInterrupts.isDue(cpu)) {
      return cpu.fault(Vector.GP);
    }
    boolean shadow = cpu.blockedBySti || cpu.blockedByMovSs;
    if (!shadow && !debug.stepping()) {
      int status = interpreter.execute(budget);
      cache.leave();
      // SYSRET to a program that is traced traps behind itself.
      return status == Status.OK && cpu.pendingDebug != 0 ? debug.afterInstruction(false) : status;
    }
    if (debug.stepping() && debug.instructionBreakpoint()) {
      return Status.FAULT;
    }
    boolean sti = cpu.blockedBySti;
    boolean movSs = cpu.blockedByMovSs;
    cpu.repeating = false;
    long before = cpu.retired;
    int status = interpreter.execute(1);
    cache.leave();
    if (cpu.retired == before) {
      return status;
    }
    // The shadow lasts one instruction, behind which a debug trap is taken; that instruction may have cast another.
    if (shadow) {
      cpu.blockedBySti &= !sti;
      cpu.blockedByMovSs &= !movSs;
    }
    return debug.stepping() ? debug.afterInstruction(cpu.repeating) : status;
  }

  private int exited() {
    if (cpu.observer != null) {
      cpu.observer.exit(cpu.exit, cpu.retired);
    }
    return cpu.exit.reason;
  }

  /**
   * Executes the instruction at RIP on behalf of the guest after an exit, through another memory port: no TLB, no
   * intercepts. A guest exception that it raises becomes the pending event, delivered when the guest is entered again.
   *
   * @param port translates the guest's addresses for the hypervisor
   * @return OK, FAULT (an event is pending), or EXIT if the instruction triple-faulted or the port has no answer
   */
  public int emulateOne(Translator port) {
    codeWrites.running = linear;
    boolean intercepting = cpu.intercepts.enabled;
    cpu.intercepts.enabled = false;
    cpu.mmu.usePort(port);
    int status = step(1);
    cpu.mmu.usePort(null);
    if (status == Status.FAULT && events.raise() == Status.EXIT) {
      status = Status.EXIT;
    }
    cpu.intercepts.enabled = intercepting;
    return status;
  }
}
