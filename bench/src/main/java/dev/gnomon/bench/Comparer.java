package dev.gnomon.bench;

import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vcpu;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.device.ByteSink;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.LongConsumer;

/** Runs one guest in several modes and sets the results side by side. */
public final class Comparer {
  private final VmOptions options;
  private final boolean memoryGiven;
  private final CostModel costs;
  private final Interruption interruption;
  /** Null unless written pages are logged. */
  private final DirtyLogPlan dirtyLog;

  /**
   * @param options of every machine but for the mode
   * @param dirtyLog whether written pages are logged where there is a hypervisor; shadow paging has but one method. May
   *     be null
   * @throws IllegalArgumentException if EPT of these options does not have the method
   */
  public Comparer(VmOptions options, boolean memoryGiven, CostModel costs, Interruption interruption,
      DirtyLogPlan dirtyLog) {
    if (dirtyLog != null) {
      dirtyLog.check(options.withMode(Mode.EPT));
    }
    this.options = options;
    this.memoryGiven = memoryGiven;
    this.costs = costs;
    this.interruption = interruption;
    this.dirtyLog = dirtyLog;
  }

  /**
   * Compares.
   *
   * @param maxInstructions budget of each run; the length of the run for a guest that marks no region
   * @param progress told instructions done in the run in hand
   */
  public GuestComparison compare(Guest guest, List<Mode> modes, long maxInstructions, LongConsumer progress) {
    List<ModeResult> results = new ArrayList<>();
    List<String> problems = new ArrayList<>();
    long state = 0;
    for (Mode mode : modes) {
      if (interruption.requested()) {
        problems.add("interrupted before mode " + mode);
        break;
      }
      GuestRun run = new GuestRun(guest, options.withMode(mode), memoryGiven, ByteSink.DISCARD, interruption);
      DirtyLogPlan plan = dirtyLog == null ? null : dirtyLog.in(mode);
      if (plan != null) {
        run.logDirtyPages(plan);
      }
      RunResult end = run.run(maxInstructions, progress);
      results.add(result(run, end));
      problem(run, end, problems);
      long now = stateOf(run);
      if (results.size() > 1 && now != state && !interruption.requested()) {
        problems.add(mode + " and " + modes.get(0) + " leave the guest in different states");
      }
      state = results.size() == 1 ? now : state;
    }
    long base = results.isEmpty() ? 0 : results.get(0).cycles().total();
    List<ModeResult> relative = results.stream().map(result -> result.relativeTo(base)).toList();
    return new GuestComparison(guest.name(), guest.parameters(), scope(guest, results), relative,
        Explanation.verdict(relative), Explanation.why(relative, costs), problems);
  }

  private static String scope(Guest guest, List<ModeResult> results) {
    return guest.marksRegion() ? "measured region"
        : String.format(Locale.ROOT, "first %,d instructions", results.isEmpty() ? 0
        : results.get(0).counters().instructions());
  }

  private ModeResult result(GuestRun run, RunResult end) {
    Counters counters = run.measured();
    Mode mode = run.vm().options().mode();
    Guest.Verdict verdict = end.end() == RunResult.End.GUEST_EXIT ? run.guest().verdict(end.status()) : null;
    return new ModeResult(mode.toString(), end.end().name(), end.detail(), verdict, counters,
        costs.price(counters, mode == Mode.SHADOW), 0, HostTime.of(run), run.dirtyPages());
  }

  private void problem(GuestRun run, RunResult end, List<String> problems) {
    String mode = run.vm().options().mode().toString();
    switch (end.end()) {
      case TRIPLE_FAULT, INTERNAL_ERROR -> problems.add(mode + ": " + end.detail());
      case GUEST_EXIT -> {
        Guest.Verdict verdict = run.guest().verdict(end.status());
        if (verdict == Guest.Verdict.WRONG_RESULT) {
          problems.add(mode + ": the guest's result is wrong");
        } else if (verdict == Guest.Verdict.FAILURE) {
          problems.add(mode + ": the guest reports failure, status " + end.status());
        }
      }
      case BUDGET -> {
        if (interruption.requested()) {
          problems.add(mode + ": interrupted after " + run.vm().retired() + " instructions");
        } else if (run.guest().marksRegion()) {
          problems.add(mode + ": instruction budget used up before the guest's end");
        }
      }
      default -> { }
    }
  }

  /** What must be the same in all modes: registers, instruction count and screen. */
  private static long stateOf(GuestRun run) {
    long hash = 0;
    for (Vcpu vcpu : run.vm().vcpus()) {
      var cpu = vcpu.cpu();
      hash = 31 * hash + Arrays.hashCode(Arrays.copyOf(cpu.regs, 16));
      hash = 31 * hash + cpu.rip;
      hash = 31 * hash + cpu.rflags();
      hash = 31 * hash + cpu.cr3;
      hash = 31 * hash + cpu.retired;
    }
    hash = 31 * hash + run.vm().now();
    return 31 * hash + run.vm().platform().screen().screenText().hashCode();
  }
}
