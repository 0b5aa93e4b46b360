package dev.gnomon.bench.cli;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.verify.Verifier;
import dev.gnomon.bench.verify.VerifyReport;
import dev.gnomon.ept.EptEntry;
import dev.gnomon.shadow.ShadowOptions;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.VmOptions;
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

/** {@code gnomon verify}. */
@Command(name = "verify",
    description = {"Runs the same guest in several modes side by side and compares all that it can see: registers, "
            + "memory, output, the screen, and time.",
        "The first difference is narrowed to the instruction and printed with both sides' walks; exit code 5."},
    footer = {
        "  gnomon verify ptchurn",
        "  gnomon verify forkcow --every 100K --variants",
        "  gnomon verify --kernel vmlinuz --initrd initrd.cpio --append console=ttyS0 -m 128M --max-instructions 2G",
        "  gnomon verify ctxswitch --modes ept,shadow --shadow no-unsync --out json:result.json"})
final class VerifyCommand implements Callable<Integer> {
  private static final int SWITCHES = 8;
  private static final int SHIFT_4K = 12;

  @ParentCommand
  private Gnomon gnomon;
  @Spec
  private CommandSpec spec;
  @Parameters(arity = "0..1", paramLabel = "WORKLOAD", description = "Workload, as NAME or NAME:key=value,…")
  private String workload;
  @Option(names = {"--modes", "--mode"}, paramLabel = "MODE", split = ",", converter = ModeConverter.class,
      defaultValue = "native,ept,shadow",
      description = "Modes, the first being what the others are compared with. Default: ${DEFAULT-VALUE}.")
  private List<Mode> modes;
  @Option(names = "--every", paramLabel = "N", converter = Quantity.Count.class, defaultValue = "10M",
      description =
          "Instructions between comparisons; there is also one at each console line. Default: ${DEFAULT-VALUE}.")
  private long every;
  @Option(names = "--variants",
      description =
          "Also shadow paging with unsync, prefetch and large pages each on and off, EPT with 4K pages, and with "
          + "5 levels and mode-based execute control; takes memory for each.")
  private boolean variants;
  @Option(names = "--strict-ad",
      description = "A and D flags of the guest's tables that differ are a difference, not a remark.")
  private boolean strict;
  @Mixin
  private GuestOptions guests = new GuestOptions();
  @Mixin
  private MachineOptions machine = new MachineOptions();
  @Mixin
  private BudgetOptions budget = new BudgetOptions();
  @Mixin
  private OutputOptions output = new OutputOptions();

  @Override
  public Integer call() throws IOException {
    Environment environment = gnomon.environment();
    output.check();
    Guest guest = guests.guest(workload, machine.seed);
    environment.interruption().check();
    VmOptions options = machine.vmOptions(false, guests);
    boolean memoryGiven = machine.memory != null;
    Map<String, String> described = MachineOptions.describe(options, memoryGiven);
    described.put("every", Long.toString(every));
    Verifier verifier = new Verifier(new Provenance(Version.number(), "verify", described, CostModel.cascadeLake()),
        every, strict, environment.interruption());
    int machines = 0;
    for (Mode mode : new LinkedHashSet<>(modes)) {
      verifier.add(mode.toString(), guest, options.withMode(mode), memoryGiven);
      machines++;
    }
    if (variants) {
      for (Variant variant : variants(options)) {
        verifier.add(variant.name, guest, variant.options, memoryGiven);
        machines++;
      }
    }
    if (machines < 2) {
      throw new IllegalArgumentException("--modes " + modes.get(0) + ": expected at least two machines to compare");
    }
    VerifyReport report;
    try (Progress progress = new Progress(environment, "verify", 1)) {
      progress.begin(guest.name());
      report = verifier.run(budget.instructions(guest), progress::message);
      progress.end();
    }
    output.write(report, spec.commandLine().getOut(), environment.outIsTerminal());
    return conclude(report, guest, environment);
  }

  private record Variant(String name, VmOptions options) {}

  private static List<Variant> variants(VmOptions options) {
    List<Variant> variants = new ArrayList<>();
    variants.add(new Variant("ept,4k", options.withMode(Mode.EPT).withEptMaxPageShift(SHIFT_4K)));
    variants.add(new Variant("ept,levels=5,mbec",
        options.withMode(Mode.EPT).withEpt(options.ept().withLevels(EptEntry.MAX_LEVELS).withModeBasedExecute(true))));
    for (int i = 0; i < SWITCHES; i++) {
      boolean unsync = (i & 1) == 0;
      boolean prefetch = (i & 2) == 0;
      boolean large = (i & 4) == 0;
      ShadowOptions shadow = options.shadow().withUnsync(unsync).withPrefetch(prefetch).withLargePages(large);
      String name = "shadow" + (unsync ? ",unsync" : ",no-unsync") + (prefetch ? ",prefetch" : ",no-prefetch")
          + (large ? ",large-pages" : ",no-large-pages");
      variants.add(new Variant(name, options.withMode(Mode.SHADOW).withShadow(shadow)));
    }
    return variants;
  }

  private static int conclude(VerifyReport report, Guest guest, Environment environment) {
    if (environment.interruption().requested()) {
      environment.err().println("gnomon: interrupted");
      return ExitCode.INTERRUPTED;
    }
    if (report.difference() != null) {
      environment.err().println("gnomon: " + report.difference().machine() + " differs at instruction "
          + (report.difference().instructions() + 1));
      return ExitCode.CHECK_FAILED;
    }
    return switch (RunResult.End.valueOf(report.end())) {
      case BUDGET -> {
        if (guest.marksRegion()) {
          environment.err().println("gnomon: no difference; instruction budget used up before the guest's end");
        }
        yield guest.marksRegion() ? ExitCode.BUDGET_USED_UP : ExitCode.DONE;
      }
      case HALTED, RESET, POWER_OFF -> ExitCode.DONE;
      case GUEST_EXIT -> guest.verdict(report.status()) == Guest.Verdict.SUCCESS ? ExitCode.DONE : ExitCode.GUEST_DIED;
      default -> ExitCode.GUEST_DIED;
    };
  }
}
