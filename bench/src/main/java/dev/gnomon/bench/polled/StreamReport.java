package dev.gnomon.bench.polled;

import dev.gnomon.bench.ExitCount;
import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Plot;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.Table;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/**
 * The result of {@code gnomon polled}.
 *
 * @param results in order of mode, back end and rate
 * @param hostMs milliseconds of host time by {@code mode/back end/rate}, which alone differ between equal runs
 */
public record StreamReport(Provenance provenance, int requests, Crossover.Model model, List<StreamResult> results,
    List<Crossover> crossovers, Map<String, Long> hostMs) implements Report {
  private static final double NS_PER_US = 1000;
  private static final double PERCENT = 100;

  @Override
  public List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    blocks.add(new Block.Heading(1,
        String.format(Locale.ROOT, "One stream of %,d requests through each way to a ring", requests)));
    blocks.add(new Block.Paragraph("Virtual time, in which an exit takes what the cost table gives. Latency from the "
        + "time that a request was due to its "
        + "answer, the wait for the one before it included. Exits are the device's: its registers, bell, interrupt "
        + "and end of interrupt. Cores are processors kept busy, the guest's own work and waiting apart."));
    for (String mode : results.stream().map(StreamResult::mode).distinct().toList()) {
      blocks.add(new Block.Heading(1, mode));
      blocks.add(overview(mode));
      blocks.add(new Block.Heading(2, "beside the model, " + mode));
      blocks.add(besideModel(mode));
      blocks.add(new Block.Heading(2, "exits of all rates, " + mode));
      blocks.add(exits(mode));
      plot(blocks, mode, "median latency, ", "median latency, µs", result -> result.latency().p50() / NS_PER_US);
      plot(blocks, mode, "99th percentile of latency, ", "99th percentile, µs",
          result -> result.latency().p99() / NS_PER_US);
      plot(blocks, mode, "processor cost, ", "processors kept busy", StreamResult::cores);
    }
    crossovers(blocks);
    blocks.add(new Block.Paragraph("cost table " + provenance.costs().name() + ", cycles each at "
        + provenance.costs().megahertz()
        + " MHz (--cost KEY=CYCLES overrides): " + provenance.costs().costs().entrySet().stream()
        .map(entry -> entry.getKey() + " " + String.format(Locale.ROOT, "%.0f", entry.getValue()))
        .collect(Collectors.joining(" · "))));
    long host = hostMs.values().stream().mapToLong(Long::longValue).sum();
    blocks.add(
        new Block.Paragraph(String.format(Locale.ROOT, "host time of all %d runs: %.1f s", hostMs.size(),
        host / NS_PER_US)));
    return blocks;
  }

  private Table overview(String mode) {
    Table.Builder table = new Table.Builder(Column.text("back end"), Column.count("rate/s"),
        Column.count("completed/s"), Column.factor("exits/request"), Column.count("avoided"), Column.factor("p50 µs"),
        Column.factor("p99 µs"), Column.factor("p99.9 µs"), Column.factor("max µs"),
        Column.average("polls/request"), Column.percent("empty"), Column.factor("exit cores"),
        Column.factor("poller cores"));
    for (StreamResult result : results) {
      if (result.mode().equals(mode)) {
        table.row(result.backEnd().toString(), (long) result.rate(), result.completedRate(),
            (double) result.deviceExits() / requests, result.exitsAvoided(), result.latency().p50() / NS_PER_US,
            result.latency().p99() / NS_PER_US, result.latency().p999() / NS_PER_US,
            result.latency().max() / NS_PER_US, result.pollsPerCompletion(),
            result.polls() == 0 ? 0 : PERCENT * result.emptyPolls() / result.polls(), result.exitCores(),
            result.pollerCores());
      }
    }
    return table.build();
  }

  private Table besideModel(String mode) {
    Table.Builder table = new Table.Builder(Column.text("back end"), Column.count("rate/s"), Column.factor("mean µs"),
        Column.factor("model µs"), Column.factor("cores"), Column.factor("model cores"),
        Column.factor("burnt µs/request"));
    for (StreamResult result : results) {
      if (result.mode().equals(mode)) {
        StreamResult.Model model = result.model();
        table.row(result.backEnd().toString(), (long) result.rate(), result.latency().mean() / NS_PER_US,
            model == null ? null : model.latencyNs() / NS_PER_US, result.cores(), model == null ? null : model.cores(),
            result.burntNsPerCompletion() / NS_PER_US);
      }
    }
    return table.build();
  }

  private Table exits(String mode) {
    Map<BackEnd, Map<String, ExitCount>> sums = new LinkedHashMap<>();
    Map<BackEnd, Long> runs = new LinkedHashMap<>();
    for (StreamResult result : results) {
      if (result.mode().equals(mode)) {
        runs.merge(result.backEnd(), 1L, Long::sum);
        Map<String, ExitCount> sum = sums.computeIfAbsent(result.backEnd(), key -> new LinkedHashMap<>());
        result.exits().forEach(exit -> sum.merge(exit.reason() + exit.cause(), exit,
            (a, b) -> new ExitCount(a.reason(), a.cause(), a.count() + b.count())));
      }
    }
    Table.Builder table = new Table.Builder(Column.text("back end"), Column.text("reason"), Column.text("cause"),
        Column.text("whose"), Column.count("exits"), Column.factor("a request"));
    sums.forEach((backEnd, sum) -> {
      if (sum.isEmpty()) {
        table.row(backEnd.toString(), "none", "", "", 0L, 0.0);
      }
      sum.values().forEach(exit -> table.row(backEnd.toString(), exit.reason(), exit.cause(),
          StreamRun.isDevices(exit) ? "device" : "memory", exit.count(),
          (double) exit.count() / requests / runs.get(backEnd)));
    });
    return table.build();
  }

  private void plot(List<Block> blocks, String mode, String title, String axis, ToDoubleFunction<StreamResult> value) {
    Map<BackEnd, List<Plot.Point>> curves = new LinkedHashMap<>();
    for (StreamResult result : results) {
      if (result.mode().equals(mode)) {
        curves.computeIfAbsent(result.backEnd(), key -> new ArrayList<>())
            .add(new Plot.Point(result.rate(), value.applyAsDouble(result)));
      }
    }
    blocks.add(new Plot(title + mode, "requests due a second", axis,
        curves.entrySet().stream().map(curve -> new Plot.Curve(curve.getKey().toString(), curve.getValue())).toList()));
  }

  private void crossovers(List<Block> blocks) {
    if (crossovers.isEmpty()) {
      return;
    }
    blocks.add(new Block.Heading(1, "Rate from which on polling burns less than a doorbell with interrupt"));
    blocks.add(new Block.Paragraph(String.format(Locale.ROOT,
        "Model: λ* = c / (E_g + E_h + I) = c × %,.0f/s with E_g = %,d ns (exit at the bell), "
        + "E_h = %,d ns (wake-up of the host's thread), I = %,d ns (kick, delivery, end of interrupt), and c the "
        + "processors that the poller keeps busy; "
        + "adaptive: its rule in a queue of requests, with no machine. Model latency: E_g + E_h + I, half a distance "
        + "of looks, or what the queue gives.",
        model.rate(), model.bellNs(), model.wakeNs(), model.interruptNs())));
    Table.Builder table = new Table.Builder(Column.text("mode"), Column.text("back end"), Column.count("model λ*/s"),
        Column.count("measured λ*/s"));
    crossovers.forEach(one -> table.row(one.mode(), one.backEnd().toString(), one.model(), one.measured()));
    blocks.add(table.build());
    blocks.add(
        new Block.Paragraph(
        "The last crossing: above it polling burns less. Nothing where it burns more, or less, at all rates."));
  }

  @Override
  public Table flat() {
    Table.Builder table = new Table.Builder(Column.text("mode"), Column.text("back_end"), Column.count("rate"),
        Column.factor("completed_rate"), Column.count("requests"), Column.count("virtual_ns"), Column.count("exits"),
        Column.count("device_exits"), Column.count("exits_avoided"), Column.count("latency_p50_ns"),
        Column.count("latency_p90_ns"), Column.count("latency_p99_ns"), Column.count("latency_p999_ns"),
        Column.count("latency_max_ns"), Column.factor("latency_mean_ns"), Column.count("service_p50_ns"),
        Column.count("service_p99_ns"), Column.count("polls"), Column.count("empty_polls"), Column.factor("exit_cores"),
        Column.factor("poller_cores"), Column.factor("cores"), Column.factor("burnt_ns_per_completion"),
        Column.factor("model_latency_ns"), Column.factor("model_cores"));
    for (StreamResult r : results) {
      table.row(r.mode(), r.backEnd().toString(), (long) r.rate(), r.completedRate(), (long) r.requests(),
          r.virtualNs(), r.exits().stream().mapToLong(ExitCount::count).sum(), r.deviceExits(), r.exitsAvoided(),
          r.latency().p50(), r.latency().p90(), r.latency().p99(), r.latency().p999(), r.latency().max(),
          r.latency().mean(), r.service().p50(), r.service().p99(), r.polls(), r.emptyPolls(), r.exitCores(),
          r.pollerCores(), r.cores(), r.burntNsPerCompletion(), r.model() == null ? null : r.model().latencyNs(),
          r.model() == null ? null : r.model().cores());
    }
    return table.build();
  }
}
