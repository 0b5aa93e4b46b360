package dev.gnomon.bench.cli;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.polled.BackEnd;
import dev.gnomon.bench.polled.Polling;
import dev.gnomon.bench.polled.StreamComparison;
import dev.gnomon.bench.polled.StreamReport;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.VmOptions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code gnomon polled}. */
@Command(name = "polled",
    description = {"Runs one stream of requests through each way to a device: ports, trapped memory, a doorbell with "
            + "interrupt, and shared memory that the host polls.",
        "Prints exits, latency, polls and processor time, and the rate from which on polling pays. Virtual time, in "
            + "which exits take what the cost table gives."},
    footer = {
        "  gnomon polled",
        "  gnomon polled --mode ept --rate 10k,100k,1M --requests 2000 --out html:polled.html",
        "  gnomon polled --back-end doorbell,spin --cost host.wake=12500 --out json:-",
        "  gnomon polled --back-end period,adaptive --period 2us --adaptive 40ns:8us:5us"})
final class PolledCommand implements Callable<Integer> {
  private static final int MAX_RATE = 100_000_000;

  @ParentCommand
  private Gnomon gnomon;
  @Spec
  private CommandSpec spec;
  @Option(names = "--mode", paramLabel = "MODE", split = ",", converter = ModeConverter.class,
      defaultValue = "ept,shadow",
      description = "Modes. Default: ${DEFAULT-VALUE}.")
  private List<Mode> modes;
  @Option(names = "--back-end", paramLabel = "NAME", split = ",", converter = BackEndConverter.class,
      defaultValue = "ports,mmio,doorbell,spin,period,adaptive",
          description = "Ways to the device. Default: ${DEFAULT-VALUE}.")
  private List<BackEnd> backEnds;
  @Option(names = "--rate", paramLabel = "N", split = ",", converter = Quantity.Count.class,
      defaultValue = "5k,10k,20k,50k,100k,200k,500k",
      description = "Requests that fall due a second, on average. Default: ${DEFAULT-VALUE}.")
  private List<Long> rates;
  @Option(names = "--requests", paramLabel = "N", converter = Quantity.Count.class, defaultValue = "400",
      description = "Requests of each run. Default: ${DEFAULT-VALUE}.")
  private long requests;
  @Option(names = "--period", paramLabel = "TIME", defaultValue = "10us",
      description = "Of back end period. Default: ${DEFAULT-VALUE}.")
  private String period;
  @Option(names = "--adaptive", paramLabel = "STEP:MOST:FALLBACK", defaultValue = "40ns:32768ns:20us",
      description =
          "Of back end adaptive: distance of polls without pause, how long to poll so at most, distance of the others. "
          + "Default: ${DEFAULT-VALUE}.")
  private String adaptive;
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
    VmOptions options = machine.vmOptions(false);
    for (long rate : rates) {
      if (rate < 1 || rate > MAX_RATE) {
        throw new IllegalArgumentException("--rate " + rate + ": expected 1 to " + MAX_RATE);
      }
    }
    StreamComparison comparison = new StreamComparison(options, machine.memory != null, costModel, requests,
        Polling.parse(Polling.Kind.PERIOD, "--period", period),
        Polling.parse(Polling.Kind.ADAPTIVE, "--adaptive", adaptive), environment.interruption());
    List<Mode> distinctModes = new ArrayList<>(new LinkedHashSet<>(modes));
    List<BackEnd> distinctBackEnds = new ArrayList<>(new LinkedHashSet<>(backEnds));
    List<Integer> distinctRates = new TreeSet<>(rates).stream().map(Long::intValue).toList();
    environment.interruption().check();
    try (Progress progress = new Progress(environment, "polled",
        distinctModes.size() * distinctBackEnds.size() * distinctRates.size())) {
      comparison.run(distinctModes, distinctBackEnds, distinctRates, budget.workloadInstructions(),
          new StreamComparison.Listener() {
        @Override
        public void begin(String name) {
          progress.begin(name);
        }

        @Override
        public void instructions(long done) {
          progress.message(done);
        }

        @Override
        public void end() {
          progress.end();
        }
      });
    }
    Map<String, String> described = MachineOptions.describe(options, machine.memory != null);
    described.put("requests", Long.toString(requests));
    described.put("period", period);
    described.put("adaptive", adaptive);
    described.put("max-instructions", budget.describe());
    StreamReport report = comparison.report(new Provenance(Version.number(), "polled", described, costModel));
    output.write(report, spec.commandLine().getOut(), environment.outIsTerminal());
    if (environment.interruption().requested()) {
      return ExitCode.INTERRUPTED;
    }
    comparison.problems().forEach(problem -> environment.err().println("gnomon: " + problem));
    return comparison.problems().isEmpty() ? ExitCode.DONE
        : comparison.ends().contains(RunResult.End.BUDGET) ? ExitCode.BUDGET_USED_UP : ExitCode.GUEST_DIED;
  }

  /** Reads {@code --back-end}. */
  static final class BackEndConverter implements ITypeConverter<BackEnd> {
    @Override
    public BackEnd convert(String text) {
      try {
        return BackEnd.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
