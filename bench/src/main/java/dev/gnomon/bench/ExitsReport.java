package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;
import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.Table;
import dev.gnomon.vmm.Mode;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The result of {@code gnomon exits}: VM exits, or accesses to device memory or ports, in the layout of {@code perf kvm
 * stat report}, with the causes of an exit indented below it. Times are modelled.
 *
 * @param scope what the counters cover, in words
 * @param event what the rows are
 * @param rows as sorted
 * @param totalMicroseconds modelled time of all rows
 * @param vcpu the virtual processor whose exits these are, −1 for all
 * @param vcpus exits of each one of several, if the rows are of all
 */
public record ExitsReport(Provenance provenance, String guest, Map<String, String> parameters, String mode,
    String scope, Event event, List<Row> rows, long totalSamples, double totalMicroseconds, @JsonIgnore int vcpu,
    @JsonInclude(JsonInclude.Include.NON_EMPTY) List<VcpuSamples> vcpus) implements Report {
  /** For all virtual processors together. */
  public static final int ALL_VCPUS = -1;

  private static final int NAME_WIDTH = 20;
  private static final int SAMPLES_WIDTH = 10;

  /** What is reported, by perf's names. */
  public enum Event {
    VMEXIT("VM-EXIT"),
    MMIO("MMIO Access"),
    IOPORT("IO Port Access");

    private final String title;

    Event(String title) {
      this.title = title;
    }
  }

  /** What rows are sorted by, most first. */
  public enum Key { SAMPLE, TIME }

  /**
   * A line.
   *
   * @param name exit reason, or address or port with its direction
   * @param timePercent share of modelled time
   * @param deviationPercent relative standard error of the average
   * @param causes below a reason; empty if it has none
   */
  public record Row(String name, long samples, double samplesPercent, double timePercent, double minMicroseconds,
      double maxMicroseconds, double averageMicroseconds, double deviationPercent, List<Cause> causes) {
    double totalMicroseconds() {
      return samples * averageMicroseconds;
    }
  }

  /** Exits of a virtual processor. */
  public record VcpuSamples(int vcpu, long samples) {}

  /** A cause of an exit reason. */
  public record Cause(String name, long samples, double averageMicroseconds) {}

  private record Sample(String row, String cause, long count, double cycles) {}

  /**
   * What a run's measured part gives.
   *
   * @param vcpu number of the virtual processor whose exits to show, or {@link #ALL_VCPUS}
   */
  public static ExitsReport of(GuestRun run, Provenance provenance, CostModel costs, Event event, Key key, int vcpu) {
    Counters counters = run.measured();
    Mode mode = run.vm().options().mode();
    List<Sample> samples = samples(counters, vcpu < 0 || counters.vcpus().isEmpty() ? counters.exits()
        : counters.vcpus().get(vcpu).exits(), costs, event, mode);
    Map<String, List<Sample>> groups = new LinkedHashMap<>();
    samples.forEach(sample -> groups.computeIfAbsent(sample.row, name -> new ArrayList<>()).add(sample));
    long total = samples.stream().mapToLong(Sample::count).sum();
    double time = samples.stream().mapToDouble(sample -> sample.count * sample.cycles).sum();
    List<Row> rows = new ArrayList<>();
    groups.forEach((name, group) -> rows.add(row(name, group, total, time, costs.megahertz())));
    Comparator<Row> order = key == Key.TIME ? Comparator.comparingDouble(row -> -row.totalMicroseconds())
        : Comparator.comparingLong(row -> -row.samples);
    rows.sort(order.thenComparing(Row::name));
    String scope = run.region().complete() ? "measured region"
        : String.format(Locale.ROOT, "first %,d instructions", counters.instructions());
    return new ExitsReport(provenance, run.guest().name(), run.guest().parameters(), mode.toString(), scope, event,
        rows, total, round(time / costs.megahertz()), vcpu, vcpu >= 0 || event != Event.VMEXIT ? List.of()
            : counters.vcpus().stream().map(one -> new VcpuSamples(one.vcpu(), one.exitTotal())).toList());
  }

  private static List<Sample> samples(Counters counters, List<ExitCount> exits, CostModel costs, Event event,
      Mode mode) {
    List<Sample> samples = new ArrayList<>();
    if (event == Event.MMIO) {
      ExitCount exit = mode == Mode.SHADOW ? new ExitCount("EXCEPTION_NMI", "mmio", 1)
          : new ExitCount("EPT_MISCONFIG", "mmio", 1);
      double cycles = mode == Mode.NATIVE ? 0 : costs.exitCost(exit);
      for (MmioCount access : counters.mmio()) {
        String place = "0x" + Long.toHexString(access.gpa()) + (access.write() ? ":W" : ":R");
        samples.add(new Sample(place, "", access.count(), cycles));
      }
      return samples;
    }
    for (ExitCount exit : exits) {
      if (event == Event.VMEXIT) {
        samples.add(new Sample(exit.reason(), exit.cause(), exit.count(), costs.exitCost(exit)));
      } else if (exit.reason().equals("IO_INSTRUCTION")) {
        String port = exit.cause().substring(exit.cause().indexOf(' ') + 1);
        samples.add(new Sample(port + (exit.cause().startsWith("in") ? ":PIN" : ":POUT"), "", exit.count(),
            costs.exitCost(exit)));
      }
    }
    return samples;
  }

  private static Row row(String name, List<Sample> group, long allSamples, double allTime, int megahertz) {
    long n = group.stream().mapToLong(Sample::count).sum();
    double time = group.stream().mapToDouble(sample -> sample.count * sample.cycles).sum();
    double mean = time / n;
    double squares = group.stream()
        .mapToDouble(sample -> sample.count * (sample.cycles - mean) * (sample.cycles - mean)).sum();
    double deviation = n < 2 || mean == 0 ? 0 : 100 * Math.sqrt(squares / (n - 1) / n) / mean;
    List<Cause> causes = group.stream().filter(sample -> !sample.cause.isEmpty())
        .sorted(Comparator.comparingLong(sample -> -sample.count))
        .map(sample -> new Cause(sample.cause, sample.count, round(sample.cycles / megahertz))).toList();
    return new Row(name, n, round(100.0 * n / allSamples), allTime == 0 ? 0 : round(100 * time / allTime),
        round(group.stream().mapToDouble(Sample::cycles).min().orElse(0) / megahertz),
        round(group.stream().mapToDouble(Sample::cycles).max().orElse(0) / megahertz), round(mean / megahertz),
        round(deviation), causes);
  }

  private static double round(double value) {
    return Math.round(value * 1e4) / 1e4;
  }

  @Override
  public List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    blocks.add(new Block.Heading(1, guest + " under " + mode + ", " + scope + ", modelled time ("
        + provenance.costs().name() + ")"));
    blocks.add(new Block.Preformatted(perfLayout()));
    if (!vcpus.isEmpty() && !rows.isEmpty()) {
      Table.Builder table = new Table.Builder(Column.text("vcpu"), Column.count("samples"));
      vcpus.forEach(one -> table.row(Integer.toString(one.vcpu), one.samples));
      blocks.add(table.build());
    }
    if (rows.isEmpty()) {
      blocks.add(new Block.Paragraph(mode.equals("native") && event != Event.MMIO
          ? "native runs no hypervisor: there are no exits" : "no such event in the " + scope));
    }
    return blocks;
  }

  private String perfLayout() {
    StringBuilder text =
        new StringBuilder("\nAnalyze events for all VMs, " + (vcpu < 0 ? "all VCPUs" : "VCPU " + vcpu) + ":\n\n");
    text.append(String.format(Locale.ROOT, "%" + NAME_WIDTH + "s %" + SAMPLES_WIDTH + "s %9s %9s %11s %11s %16s %n%n",
        event.title, "Samples", "Samples%", "Time%", "Min Time", "Max Time", "Avg time"));
    for (Row row : rows) {
      text.append(String.format(Locale.ROOT, "%" + NAME_WIDTH + "s %" + SAMPLES_WIDTH
          + "d %8.2f%% %8.2f%% %9.2fus %9.2fus %9.2fus ( +-%7.2f%% )%n", row.name, row.samples, row.samplesPercent,
          row.timePercent, row.minMicroseconds, row.maxMicroseconds, row.averageMicroseconds,
          row.deviationPercent));
      for (Cause cause : row.causes) {
        String indented = "    " + cause.name;
        int width = Math.max(1, NAME_WIDTH + SAMPLES_WIDTH - indented.length());
        text.append(String.format(Locale.ROOT, "%s %" + width + "d %9s %9s %11s %11s %9.2fus%n", indented,
            cause.samples, "", "", "", "", cause.averageMicroseconds));
      }
    }
    text.append(String.format(Locale.ROOT, "%nTotal Samples:%d, Total events handled time:%.2fus.%n", totalSamples,
        totalMicroseconds));
    return text.toString().replace(System.lineSeparator(), "\n");
  }

  @Override
  public Table flat() {
    Table.Builder table = new Table.Builder(Column.text("name"), Column.text("cause"), Column.count("samples"),
        Column.percent("samples_percent"), Column.percent("time_percent"), Column.factor("min_us"),
        Column.factor("max_us"), Column.factor("avg_us"), Column.percent("deviation_percent"));
    for (Row row : rows) {
      table.row(row.name, "", row.samples, row.samplesPercent, row.timePercent, row.minMicroseconds,
          row.maxMicroseconds, row.averageMicroseconds, row.deviationPercent);
      row.causes.forEach(cause -> table.row(row.name, cause.name, cause.samples, null, null, null, null,
          cause.averageMicroseconds, null));
    }
    return table.build();
  }
}
