package dev.gnomon.bench.cli;

import dev.gnomon.bench.Comparer;
import dev.gnomon.bench.Comparison;
import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestComparison;
import dev.gnomon.bench.ModeResult;
import dev.gnomon.bench.Provenance;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.workloads.Workload;
import dev.gnomon.workloads.WorkloadCatalog;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** {@code gnomon compare}. */
@Command(name = "compare",
    description = {"Runs guests in several modes and sets what they cost side by side.",
        "A workload is measured in the region that it marks; a kernel over its first instructions, "
            + "--max-instructions of them."},
    footer = {
        "  gnomon compare",
        "  gnomon compare gups:size=64M ptchurn --mode ept,shadow",
        "  gnomon compare --kernel memtest86+x64.bin --append console=ttyS0,115200 -m 8M --max-instructions 200M",
        "  gnomon compare --kernel vmlinuz --busybox busybox --workload linux:fork --workload linux:pipe",
        "  gnomon compare gups --backing 4k --no-pwc --cost walk.ept-reference=10",
        "  gnomon compare --out json:result.json --out md:result.md"})
final class CompareCommand implements Callable<Integer> {
  @ParentCommand
  private Gnomon gnomon;
  @Spec
  private CommandSpec spec;
  @Parameters(paramLabel = "WORKLOAD",
      description = "Workloads, each as NAME or NAME:key=value,… Default: all, if there is no --kernel.")
  private List<String> workloads = List.of();
  @Option(names = "--mode", paramLabel = "MODE", split = ",", converter = ModeConverter.class,
      defaultValue = "native,ept,shadow",
      description = "Modes, the first being what the others are relative to. Default: ${DEFAULT-VALUE}.")
  private List<Mode> modes;
  @Mixin
  private GuestOptions guests = new GuestOptions();
  @Mixin
  private MachineOptions machine = new MachineOptions();
  @Mixin
  private BudgetOptions budget = new BudgetOptions();
  @Mixin
  private DirtyLogOptions dirtyLog = new DirtyLogOptions();
  @Mixin
  private CostOptions costs = new CostOptions();
  @Mixin
  private OutputOptions output = new OutputOptions();

  @Override
  public Integer call() throws IOException {
    Environment environment = gnomon.environment();
    output.check();
    CostModel costModel = costs.model();
    VmOptions options = machine.vmOptions(true, guests);
    List<Mode> distinct = new ArrayList<>(new LinkedHashSet<>(modes));
    List<String> names = workloads.isEmpty() && guests.none() ? WorkloadCatalog.all().stream()
        .map(Workload::name).toList() : workloads;
    List<Guest> all = guests.guests(names, machine.seed);
    environment.interruption().check();
    Comparer comparer = new Comparer(options, machine.memory != null, costModel, environment.interruption(),
        dirtyLog.plan());
    List<GuestComparison> results = new ArrayList<>();
    try (Progress progress = new Progress(environment, "compare", all.size())) {
      for (Guest guest : all) {
        if (environment.interruption().requested()) {
          break;
        }
        progress.begin(guest.name());
        results.add(comparer.compare(guest, distinct, budget.instructions(guest), progress::message));
        progress.end();
      }
    }
    Map<String, String> described = MachineOptions.describe(options, machine.memory != null);
    described.put("max-instructions", budget.describe());
    output.write(new Comparison(new Provenance(Version.number(), "compare", described, costModel), results),
        spec.commandLine().getOut(), environment.outIsTerminal());
    return exitCode(results);
  }

  private int exitCode(List<GuestComparison> results) {
    if (gnomon.environment().interruption().requested()) {
      return ExitCode.INTERRUPTED;
    }
    int code = ExitCode.DONE;
    for (GuestComparison result : results) {
      for (String problem : result.problems()) {
        gnomon.environment().err().println("gnomon: " + result.guest() + ": " + problem);
      }
      code = code != ExitCode.DONE ? code : exitCode(result);
    }
    return code;
  }

  private static int exitCode(GuestComparison result) {
    if (result.problems().isEmpty()) {
      return ExitCode.DONE;
    }
    List<ModeResult> modes = result.modes();
    if (modes.stream().anyMatch(mode -> mode.end().equals("TRIPLE_FAULT") || mode.end().equals("INTERNAL_ERROR")
        || mode.verdict() == Guest.Verdict.FAILURE)) {
      return ExitCode.GUEST_DIED;
    }
    boolean ended = modes.stream().noneMatch(mode -> mode.end().equals("BUDGET"));
    return ended ? ExitCode.CHECK_FAILED : ExitCode.BUDGET_USED_UP;
  }
}
