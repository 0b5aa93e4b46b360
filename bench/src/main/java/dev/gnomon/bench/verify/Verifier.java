package dev.gnomon.bench.verify;

import dev.gnomon.bench.AddressWalk;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.Interruption;
import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.WalkReport;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.vmm.VmOptions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;

/**
 * Runs one guest on several machines side by side and compares them every so many instructions and at each line on the
 * console. What differs for a while only, between two comparisons, goes unseen. Every instruction count is reachable
 * exactly and runs are deterministic, so a difference is narrowed by running the two machines again from their start,
 * in ever smaller steps, to the one instruction.
 */
public final class Verifier {
  /** Comparisons a round of narrowing. */
  private static final int PARTS = 64;

  private final List<Machine.Plan> plans = new ArrayList<>();
  private final Provenance provenance;
  private final long every;
  private final boolean strict;
  private final Interruption interruption;
  private LongConsumer progress = done -> { };
  private long checkpoints;
  private long lines;

  /**
   * @param every instructions between comparisons, at least 1
   * @param strict whether differing A and D flags of the guest's tables are differences
   */
  public Verifier(Provenance provenance, long every, boolean strict, Interruption interruption) {
    if (every < 1) {
      throw new IllegalArgumentException("--every " + every + ": expected at least 1");
    }
    this.provenance = provenance;
    this.every = every;
    this.strict = strict;
    this.interruption = interruption;
  }

  /** Adds a machine; the others are compared with the first. */
  public void add(String name, Guest guest, VmOptions options, boolean memoryGiven) {
    plans.add(new Machine.Plan(name, guest, options, memoryGiven));
  }

  /**
   * Runs to the guest's end, the budget or the first difference.
   *
   * @param listener told the instructions done
   */
  public VerifyReport run(long maxInstructions, LongConsumer listener) {
    progress = listener;
    Comparator comparator = new Comparator(strict);
    List<Machine> machines = new ArrayList<>();
    for (Machine.Plan plan : plans) {
      machines.add(new Machine(plan, machines.isEmpty(), interruption));
    }
    Machine first = machines.get(0);
    long equal = 0;
    Finding finding = null;
    while (finding == null && !interruption.requested()) {
      long target = Math.min(maxInstructions, (equal / every + 1) * every);
      first.runTo(target);
      if (interruption.requested()) {
        break;
      }
      lines += first.result().resumable() && !first.result().detail().isEmpty() ? 1 : 0;
      for (int i = 1; i < machines.size() && finding == null && !interruption.requested(); i++) {
        Machine other = machines.get(i);
        follow(first, other);
        if (!interruption.requested() && comparator.differ(first, other)) {
          finding = narrow(first.plan, other.plan, equal, Math.max(first.retired(), equal + 1));
        }
      }
      checkpoints++;
      equal = first.retired();
      progress.accept(equal);
      if (!first.result().resumable() || equal >= maxInstructions) {
        break;
      }
    }
    return report(machines, comparator, finding);
  }

  /** Brings a machine to where another one is. */
  private static void follow(Machine leader, Machine other) {
    other.runTo(leader.retired());
    if (!leader.result().resumable() && other.result().resumable()) {
      other.runOneMore();
    }
  }

  /** What was found, and where. @param before the machines before the instruction, null if it is not reproducible */
  private record Finding(String right, long instructions, List<Comparator.Difference> differences,
      OneInstruction instruction,
      List<VerifyReport.Side> walks) {}

  /** The first instruction in a range after which two machines differ. They are equal at its begin. */
  private Finding narrow(Machine.Plan left, Machine.Plan right, long from, long to) {
    long lo = from;
    long hi = to;
    Comparator comparator = new Comparator(strict);
    while (hi - lo > 1) {
      Machine a = new Machine(left, false, interruption);
      Machine b = new Machine(right, false, interruption);
      a.runTo(lo);
      b.runTo(lo);
      long step = Math.max(1, (hi - lo) / PARTS);
      long at = lo;
      boolean found = false;
      while (!found && at < hi) {
        long next = Math.min(hi, at + step);
        a.runTo(next);
        b.runTo(next);
        found = comparator.differ(a, b);
        if (found) {
          hi = next;
          lo = at;
        }
        at = next;
      }
      if (!found || interruption.requested()) {
        return new Finding(right.name(), hi,
            List.of(new Comparator.Difference("machines", "differ", "but only when run in one go")),
            null, List.of());
      }
    }
    return look(left, right, lo, comparator);
  }

  private Finding look(Machine.Plan left, Machine.Plan right, long before, Comparator comparator) {
    Machine a = new Machine(left, false, interruption);
    Machine b = new Machine(right, false, interruption);
    a.runTo(before);
    b.runTo(before);
    OneInstruction instruction = OneInstruction.at(a.vm);
    List<VerifyReport.Side> walks = new ArrayList<>();
    for (OneInstruction.Operand operand : instruction.operands()) {
      walks.add(side(a, operand));
      walks.add(side(b, operand));
    }
    a.runTo(before + 1);
    b.runTo(before + 1);
    return new Finding(right.name(), before, comparator.differences(a, b), instruction, walks);
  }

  private VerifyReport.Side side(Machine machine, OneInstruction.Operand operand) {
    int access = operand.access() | AddressWalk.currentPrivilege(machine.vm.current().cpu());
    String what = operand.name() + ((access & Access.FETCH) != 0 ? ", fetch"
        : (access & Access.WRITE) != 0 ? ", write" : ", read");
    try {
      WalkReport walk = new AddressWalk(machine.vm, machine.vm.current(), operand.gva(), access)
          .report(provenance, machine.plan.name(), false);
      return new VerifyReport.Side(machine.plan.name(), what, walk, "");
    } catch (IllegalArgumentException e) {
      return new VerifyReport.Side(machine.plan.name(), what, null, e.getMessage());
    }
  }

  private VerifyReport report(List<Machine> machines, Comparator comparator, Finding finding) {
    Map<String, Long> retired = new LinkedHashMap<>();
    machines.forEach(machine -> retired.put(machine.plan.name(), machine.retired()));
    Machine first = machines.get(0);
    List<VerifyReport.Flags> apart = comparator.apart().stream().map(flags -> new VerifyReport.Flags(flags.machine(),
        "0x" + Long.toHexString(flags.gpa()), String.format("0x%016x", flags.left()),
        String.format("0x%016x", flags.right()), flags.instructions())).toList();
    VerifyReport.Difference difference = finding == null ? null
        : new VerifyReport.Difference(finding.right, finding.instructions,
            finding.instruction == null ? "" : "0x" + Long.toHexString(finding.instruction.rip()),
        finding.instruction == null ? "" : finding.instruction.bytes(), finding.differences.stream()
        .map(one -> new VerifyReport.Values(one.what(), one.left(), one.right())).toList(), finding.walks);
    return new VerifyReport(provenance, first.plan.guest().name(), first.plan.guest().parameters(), retired,
        checkpoints, lines, first.result() == null ? "" : first.result().end().name(),
        first.result() == null ? 0 : first.result().status(), difference, apart);
  }
}
