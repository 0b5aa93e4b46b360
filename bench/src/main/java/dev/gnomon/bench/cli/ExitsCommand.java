package dev.gnomon.bench.cli;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.ExitsReport;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.Provenance;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.device.ByteSink;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code gnomon exits}. */
@Command(name = "exits",
    description = {"Runs a guest and prints its VM exits in the layout of perf kvm stat report, their causes "
        + "indented below them.",
        "A workload is measured in the region that it marks; a kernel over its first instructions. Times are "
            + "modelled."},
    footer = {
        "  gnomon exits ptchurn --mode shadow",
        "  gnomon exits ptchurn --mode ept -k time",
        "  gnomon exits --kernel memtest86+x64.bin --append console=ttyS0,115200 -m 8M --event ioport",
        "  gnomon exits polled --mode ept --event mmio --out csv:-"})
final class ExitsCommand implements Callable<Integer> {
  @ParentCommand
  private Gnomon gnomon;
  @Spec
  private CommandSpec spec;
  @Parameters(arity = "0..1", paramLabel = "WORKLOAD", description = "Workload, as NAME or NAME:key=value,…")
  private String workload;
  @Option(names = "--mode", paramLabel = "MODE", converter = ModeConverter.class, defaultValue = "ept",
      description = "ept or shadow (native has no exits). Default: ${DEFAULT-VALUE}.")
  private Mode mode;
  @Option(names = "--event", paramLabel = "EVENT", converter = EventConverter.class, defaultValue = "vmexit",
      description = "vmexit, mmio (device memory by address) or ioport (ports). Default: ${DEFAULT-VALUE}.")
  private ExitsReport.Event event;
  @Option(names = {"-k", "--key"}, paramLabel = "KEY", converter = KeyConverter.class, defaultValue = "sample",
      description = "Sort by sample or time. Default: ${DEFAULT-VALUE}.")
  private ExitsReport.Key key;
  @Option(names = "--vcpu", paramLabel = "N", converter = Quantity.Whole.class,
      description = "Only the exits of one virtual processor, with --cpus. Default: all.")
  private Long vcpu;
  @Mixin
  private GuestOptions guests = new GuestOptions();
  @Mixin
  private MachineOptions machine = new MachineOptions();
  @Mixin
  private BudgetOptions budget = new BudgetOptions();
  @Mixin
  private CostOptions costs = new CostOptions();
  @Mixin
  private OutputOptions output = new OutputOptions();

  @Override
  public Integer call() throws IOException {
    Environment environment = gnomon.environment();
    output.check();
    CostModel costModel = costs.model();
    if (vcpu != null) {
      machine.checkVcpu(vcpu, event == ExitsReport.Event.MMIO);
    }
    Guest guest = guests.guest(workload, machine.seed);
    environment.interruption().check();
    GuestRun run = new GuestRun(guest, machine.vmOptions(false, guests).withMode(mode), machine.memory != null,
        ByteSink.DISCARD, environment.interruption());
    run.watchMmio();
    RunResult result;
    try (Progress progress = new Progress(environment, "exits", 1)) {
      progress.begin(guest.name());
      result = run.run(budget.instructions(guest), progress::message);
      progress.end();
    }
    Map<String, String> described = MachineOptions.describe(run.vm().options(), true);
    output.write(ExitsReport.of(run, new Provenance(Version.number(), "exits", described, costModel), costModel, event,
        key, vcpu == null ? ExitsReport.ALL_VCPUS : vcpu.intValue()), spec.commandLine().getOut(),
        environment.outIsTerminal());
    return Conclusion.ofMeasurement(run, result, environment);
  }

  /** Reads {@code --event}. */
  static final class EventConverter implements ITypeConverter<ExitsReport.Event> {
    @Override
    public ExitsReport.Event convert(String text) {
      return switch (text) {
        case "vmexit" -> ExitsReport.Event.VMEXIT;
        case "mmio" -> ExitsReport.Event.MMIO;
        case "ioport" -> ExitsReport.Event.IOPORT;
        default -> throw new TypeConversionException("'" + text + "': expected vmexit, mmio or ioport");
      };
    }
  }

  /** Reads {@code --key}. */
  static final class KeyConverter implements ITypeConverter<ExitsReport.Key> {
    @Override
    public ExitsReport.Key convert(String text) {
      return switch (text) {
        case "sample" -> ExitsReport.Key.SAMPLE;
        case "time" -> ExitsReport.Key.TIME;
        default -> throw new TypeConversionException("'" + text + "': expected sample or time");
      };
    }
  }
}
