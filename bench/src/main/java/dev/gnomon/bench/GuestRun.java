package dev.gnomon.bench;

import dev.gnomon.bench.console.Keyboard;
import dev.gnomon.bench.console.Session;
import dev.gnomon.bench.polled.ThreadPolling;
import dev.gnomon.vmm.RealThreads;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.device.ByteSink;
import java.util.List;
import java.util.function.LongConsumer;

/** One guest on one machine: boots it, runs it, counts. */
public final class GuestRun {
  /** Instructions between looks at the world outside: about a twentieth of a second. */
  private static final long SLICE = 2_000_000;
  /** The same while somebody types, who would notice more. */
  private static final long TYPING_SLICE = 200_000;

  private final Guest guest;
  private final Vm vm;
  private final Interruption interruption;
  private final DeathWatch death;
  private final GuestEventCounter events = new GuestEventCounter();
  private final Region region = new Region();
  /** Null unless written pages are logged. */
  private DirtyPages dirty;
  /** Null unless device memory is watched. */
  private MmioCounter mmio;
  private RunResult result;
  private long hostNs;
  private volatile boolean stopped;
  /** Both null unless given. */
  private Session session;
  private Keyboard keyboard;
  /** Null unless threads of the host poll devices. */
  private ThreadPolling threads;

  /**
   * Builds the machine and loads the guest.
   *
   * @param options as the user gave them
   * @param memoryGiven whether the memory size is the user's, or may follow the guest's wishes
   * @param console takes the bytes of the first serial port
   * @throws IllegalArgumentException if the guest is malformed or does not fit
   */
  public GuestRun(Guest guest, VmOptions options, boolean memoryGiven, ByteSink console, Interruption interruption) {
    this.guest = guest;
    this.interruption = interruption;
    death = new DeathWatch(guest, console, this::stop);
    VmBuilder builder = new VmBuilder(guest.adapt(options, memoryGiven)).console(death);
    guest.equip(builder, region);
    vm = builder.build();
    vm.vcpus().forEach(vcpu -> vcpu.cpu().observer = events);
    region.attach(this::counters);
    guest.boot(vm);
  }

  /** Counts accesses to device memory by address from now on. */
  public void watchMmio() {
    mmio = new MmioCounter(vm.cpu().bus);
    vm.vcpus().forEach(vcpu -> vcpu.cpu().bus = mmio);
  }

  /**
   * Logs the pages that the guest writes, in its measured region if it marks one. Before the first {@link #run};
   * excludes {@link #runToRegion}.
   *
   * @throws IllegalArgumentException if the machine does not have the method
   */
  public void logDirtyPages(DirtyLogPlan plan) {
    plan.check(vm.options());
    dirty = new DirtyPages(vm, plan, guest.marksRegion(), region);
  }

  /** What {@link #logDirtyPages} found, null if nobody asked; ends the log. */
  public DirtyPageReport dirtyPages() {
    return dirty == null ? null : dirty.report();
  }

  /** Lets the guest's console be used: by a script, a log or a keyboard. Before the first {@link #run}. */
  public void attach(Session console) {
    session = console;
  }

  /** Lets somebody type into the session attached before. */
  public void attach(Keyboard keys) {
    keyboard = keys;
    vm.setIdle(keys);
  }

  /**
   * Lets threads of the host poll the devices that nothing else polls; the run is not reproducible then. Before the
   * first {@link #run}.
   */
  public void pollOnThreads(ThreadPolling when) {
    threads = when;
  }

  /** What makes the run one that cannot be had again, null if nothing does. */
  public String notReproducible() {
    return threads == null ? null : "devices polled by threads of the host: " + threads;
  }

  /** Ends the run in hand soon; from any thread. */
  public void stop() {
    stopped = true;
    vm.requestStop();
  }

  /**
   * Runs until the guest ends, the budget is used up or the run is interrupted.
   *
   * @param maxInstructions in all, from the start of the machine
   * @param progress told the instructions done, now and then
   */
  public RunResult run(long maxInstructions, LongConsumer progress) {
    if (threads == null) {
      return runHere(maxInstructions, progress);
    }
    try (RealThreads running = RealThreads.start(vm, threads.polling())) {
      return runHere(maxInstructions, progress);
    }
  }

  private RunResult runHere(long maxInstructions, LongConsumer progress) {
    interruption.running(vm);
    try {
      long limit;
      do {
        if (keyboard != null) {
          keyboard.look();
        }
        limit = limit(maxInstructions);
        long slice = keyboard == null ? SLICE : TYPING_SLICE;
        long start = System.nanoTime();
        long next = dirty == null ? limit : Math.min(limit, dirty.next());
        result = vm.run(Math.min(slice, Math.max(0, next - vm.retired())));
        hostNs += System.nanoTime() - start;
        if (dirty != null) {
          dirty.look();
        }
        progress.accept(vm.retired());
        // What the guest has written may have moved the limit.
        limit = limit(maxInstructions);
      } while (result.resumable() && vm.retired() < limit && !interruption.requested() && !stopped);
    } finally {
      interruption.running(null);
    }
    return result;
  }

  private long limit(long maxInstructions) {
    return session == null ? maxInstructions : Math.min(maxInstructions, session.limit());
  }

  /** Runs until the guest marks the begin or end of its measured region, or ends. */
  public RunResult runToRegion(boolean begin, long maxInstructions) {
    stopped = false;
    region.at(begin, this::stop);
    return run(maxInstructions, done -> { });
  }

  public Vm vm() {
    return vm;
  }

  /** What its console says of the guest's death: its last lines, empty if it has not died. */
  public List<String> lastWords() {
    return death.lastWords();
  }

  public Guest guest() {
    return guest;
  }

  /** Nanoseconds of host time that {@link #run} took. */
  public long hostNs() {
    return hostNs;
  }

  /** Why the last {@link #run} returned. */
  public RunResult result() {
    return result;
  }

  /** The measured region, if the guest marks one. */
  public Region region() {
    return region;
  }

  /** Counted since the machine was built. */
  public Counters counters() {
    int pieceFrames = 1 << vm.options().backing().shift() - 12;
    long pieces = vm.slots().isIdentity() ? 0 : (vm.slots().residentFrames() + pieceFrames - 1) / pieceFrames;
    return new Counters(vm.retired(), vm.now(), TlbCounters.of(vm.tlbStatistics()), events.events(),
        ExitCount.of(vm.exits()), pieces,
        mmio == null ? List.of() : mmio.counts(), vm.statistics(), VcpuCounters.of(vm.vcpus()));
  }

  /** Of the measured region if the guest has gone through one, else of the whole run. */
  public Counters measured() {
    return region.complete() ? region.counters() : counters();
  }
}
