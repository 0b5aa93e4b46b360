package dev.gnomon.bench.polled;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.Interruption;
import dev.gnomon.bench.Provenance;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.workloads.RequestStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Runs the same streams through several back ends and sets the results side by side. */
public final class StreamComparison {
  private static final long NS_PER_MS = 1_000_000;

  /** Told how far it is. */
  public interface Listener {
    /** A run begins. */
    void begin(String name);

    /** Instructions done in the run in hand. */
    void instructions(long done);

    /** A run is over. */
    void end();
  }

  private final VmOptions options;
  private final boolean memoryGiven;
  private final CostModel costs;
  private final int requests;
  private final Polling period;
  private final Polling adaptive;
  private final Interruption interruption;
  private final List<StreamResult> results = new ArrayList<>();
  private final List<String> problems = new ArrayList<>();
  private final List<RunResult.End> ends = new ArrayList<>();
  private final Map<String, Long> hostMs = new LinkedHashMap<>();

  /**
   * @param requests of each run
   * @param period of {@link BackEnd#PERIOD}
   * @param adaptive of {@link BackEnd#ADAPTIVE}
   * @throws IllegalArgumentException if there are too few or too many requests, or several processors
   */
  public StreamComparison(VmOptions options, boolean memoryGiven, CostModel costs, long requests, Polling period,
      Polling adaptive, Interruption interruption) {
    if (requests < 1 || requests > RequestStream.MAX_REQUESTS) {
      throw new IllegalArgumentException("--requests " + requests + ": expected 1 to " + RequestStream.MAX_REQUESTS);
    }
    if (options.platform().processors().count() != 1) {
      throw new IllegalArgumentException("--cpus " + options.platform().processors().count()
          + ": expected one processor, whose exits take time");
    }
    this.options = options;
    this.memoryGiven = memoryGiven;
    this.costs = costs;
    this.requests = (int) requests;
    this.period = period;
    this.adaptive = adaptive;
    this.interruption = interruption;
  }

  /** Runs all combinations, or those until an interruption. @param rates in ascending order */
  public void run(List<Mode> modes, List<BackEnd> backEnds, List<Integer> rates, long maxInstructions,
      Listener listener) {
    for (Mode mode : modes) {
      for (BackEnd backEnd : backEnds) {
        for (int rate : rates) {
          if (interruption.requested()) {
            return;
          }
          listener.begin(mode + " " + backEnd + " " + rate + "/s");
          run(mode, backEnd, rate, maxInstructions, listener);
          listener.end();
        }
      }
    }
  }

  private void run(Mode mode, BackEnd backEnd, int rate, long maxInstructions, Listener listener) {
    StreamRun run = new StreamRun(backEnd, polling(backEnd), rate, requests, options.withMode(mode), memoryGiven, costs,
        interruption);
    StreamResult result = run.run(maxInstructions, listener::instructions);
    hostMs.put(mode + "/" + backEnd + "/" + rate, run.hostNs() / NS_PER_MS);
    if (result != null) {
      results.add(result);
    } else if (!interruption.requested()) {
      problems.add(run.problem());
      ends.add(run.end().end());
    }
  }

  private Polling polling(BackEnd backEnd) {
    return backEnd == BackEnd.PERIOD ? period : backEnd == BackEnd.ADAPTIVE ? adaptive
        : Polling.parse("spin=" + Math.max(1, ExitClock.ns(costs, costs.cost("poll.idle"))));
  }

  /** Runs that came to no good end, a line each. */
  public List<String> problems() {
    return problems;
  }

  /** How they ended. */
  public List<RunResult.End> ends() {
    return ends;
  }

  /** What there is so far. */
  public StreamReport report(Provenance provenance) {
    Crossover.Model model = Crossover.Model.of(costs);
    List<StreamResult> compared = results.stream().map(result -> result.beside(
        Crossover.find(results, result.mode(), BackEnd.DOORBELL, result.rate()),
        model.of(result.backEnd(), polling(result.backEnd()), costs, result.rate()))).toList();
    List<Crossover> crossovers = new ArrayList<>();
    for (StreamResult result : compared) {
      boolean known = crossovers.stream()
          .anyMatch(one -> one.mode().equals(result.mode()) && one.backEnd() == result.backEnd());
      if (result.backEnd().isPolled() && result.exitsAvoided() != null && !known) {
        crossovers.add(Crossover.of(result.mode(), result.backEnd(), polling(result.backEnd()), costs,
            model, compared));
      }
    }
    return new StreamReport(provenance, requests, model, compared, crossovers, hostMs);
  }
}
