package dev.gnomon.vmm.harness;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.HdrHistogram.Histogram;

/**
 * Runs a test under many schedules until one fails, and shortens that one.
 *
 * @param name of the test, for the report
 * @param schedules most to try
 * @param strategy how they are chosen
 * @param model in which order stores are seen
 * @param storeBuffer stores that an agent's buffer holds under TSO, 1 to 64
 * @param seed of the first schedule; each further one has the next
 * @param maxPoints choices after which a schedule is given up
 * @param idleSteps steps that find nothing, with nothing changed, after which a device is left alone until something changes
 * @param pctDepth switches that PCT forces
 */
public record Exploration(String name, int schedules, Strategy strategy, MemoryModel model, int storeBuffer, long seed, int maxPoints, int idleSteps,
    int pctDepth) {
  /** Virtual nanoseconds that a choice stands for. */
  private static final long NS_PER_ACCESS = 10;
  private static final int SHRINK_ATTEMPTS = 4000;

  public Exploration {
    if (schedules < 1 || storeBuffer < 1 || storeBuffer > 64 || maxPoints < 1 || idleSteps < 1 || pctDepth < 0) {
      throw new IllegalArgumentException(schedules + " schedules, store buffers of " + storeBuffer + ", at most " + maxPoints + " choices, "
          + idleSteps + " idle steps, PCT depth " + pctDepth + ": expected at least 1 of each, and buffers of at most 64");
    }
  }

  /** 10,000 random schedules under TSO with buffers of 8. */
  public static Exploration of(String name) {
    return new Exploration(name, 10_000, Strategy.RANDOM, MemoryModel.TSO, 8, 0, 20_000, 4, 3);
  }

  public Exploration withSchedules(int value) {
    return new Exploration(name, value, strategy, model, storeBuffer, seed, maxPoints, idleSteps, pctDepth);
  }

  public Exploration withStrategy(Strategy value) {
    return new Exploration(name, schedules, value, model, storeBuffer, seed, maxPoints, idleSteps, pctDepth);
  }

  public Exploration withModel(MemoryModel value) {
    return new Exploration(name, schedules, strategy, value, storeBuffer, seed, maxPoints, idleSteps, pctDepth);
  }

  public Exploration withStoreBuffer(int value) {
    return new Exploration(name, schedules, strategy, model, value, seed, maxPoints, idleSteps, pctDepth);
  }

  public Exploration withSeed(long value) {
    return new Exploration(name, schedules, strategy, model, storeBuffer, value, maxPoints, idleSteps, pctDepth);
  }

  public Exploration withMaxPoints(int value) {
    return new Exploration(name, schedules, strategy, model, storeBuffer, seed, value, idleSteps, pctDepth);
  }

  public Exploration withIdleSteps(int value) {
    return new Exploration(name, schedules, strategy, model, storeBuffer, seed, maxPoints, value, pctDepth);
  }

  private Rig rig() {
    return new Rig(new Rig.Config(model, storeBuffer, maxPoints, idleSteps, NS_PER_ACCESS));
  }

  /** Runs the schedules. @param test sets a rig up, runs it, and throws if the outcome is bad */
  public Report run(Consumer<Rig> test) {
    Rig rig = rig();
    Choices.Exhaustive exhaustive = new Choices.Exhaustive();
    Histogram latencies = new Histogram(3);
    int length = 64;
    for (int i = 0; i < schedules; i++) {
      Choices choices;
      if (strategy == Strategy.EXHAUSTIVE) {
        if (!exhaustive.next()) {
          return new Report(this, i, true, null, latencies);
        }
        choices = exhaustive;
      } else {
        choices = strategy == Strategy.PCT ? new Choices.Pct(seed + i, length, pctDepth) : new Choices.Random(seed + i);
      }
      Throwable failure = attempt(rig, choices, false, test);
      if (failure != null) {
        return new Report(this, i + 1, false, explain(rig.scheduler().taken(), failure, i, test), latencies);
      }
      length = Math.max(length, rig.scheduler().points());
      rig.history().requests().values().forEach(request -> {
        if (request.ended >= 0) {
          latencies.recordValue(request.ended - request.begun);
        }
      });
    }
    return new Report(this, schedules, false, null, latencies);
  }

  /** Runs the one schedule of a replay. */
  public Report replay(String replay, Consumer<Rig> test) {
    int[] choices = Report.parse(replay);
    Rig rig = rig();
    Throwable failure = attempt(rig, new Choices.Replay(choices), true, test);
    Report.Failure found = failure == null ? null
        : new Report.Failure(failure, 0, -1, choices.length, choices, names(rig), rig.timeline().render());
    return new Report(this, 1, false, found, new Histogram(3));
  }

  private static Throwable attempt(Rig rig, Choices choices, boolean traced, Consumer<Rig> test) {
    rig.begin(choices, traced);
    try {
      test.accept(rig);
      return null;
    } catch (Control control) {
      if (control != Control.REDUNDANT) {
        throw control;
      }
      return null;
    } catch (Exception | AssertionError | StackOverflowError failure) {
      return failure;
    }
  }

  private static List<String> names(Rig rig) {
    return rig.scheduler().actors().stream().map(actor -> actor.name).toList();
  }

  private Report.Failure explain(int[] found, Throwable first, int index, Consumer<Rig> test) {
    int[] shortest = shrink(found, kind(first), test);
    Rig rig = rig();
    Throwable failure = attempt(rig, new Choices.Replay(shortest), true, test);
    if (failure == null) {
      // Only a test that does not depend on its rig alone comes here.
      return new Report.Failure(first, seed + index, index, found.length, found, names(rig), "  (the schedule does not fail again)\n");
    }
    return new Report.Failure(failure, seed + index, index, found.length, shortest, names(rig), rig.timeline().render());
  }

  /** What must stay the same while a schedule is shortened. */
  private static String kind(Throwable failure) {
    return failure instanceof HarnessFailure found ? found.kind() : failure.getClass().getName();
  }

  /** Takes choices out as long as the test fails in the same way (Zeller and Hildebrandt's delta debugging). */
  private int[] shrink(int[] found, String kind, Consumer<Rig> test) {
    Rig rig = rig();
    int[] best = found;
    int attempts = 0;
    boolean shorter = true;
    while (shorter && attempts < SHRINK_ATTEMPTS) {
      shorter = false;
      for (int chunk = Math.max(1, best.length / 2); chunk >= 1 && attempts < SHRINK_ATTEMPTS; chunk /= 2) {
        for (int at = best.length - chunk; at >= 0 && attempts < SHRINK_ATTEMPTS; at -= chunk) {
          int[] candidate = without(best, at, chunk);
          attempts++;
          Throwable failure = attempt(rig, new Choices.Replay(candidate), false, test);
          if (failure != null && kind(failure).equals(kind)) {
            best = candidate;
            shorter = true;
            at = Math.min(at, best.length);
          }
        }
      }
    }
    return best;
  }

  private static int[] without(int[] list, int from, int count) {
    List<Integer> rest = new ArrayList<>();
    for (int i = 0; i < list.length; i++) {
      if (i < from || i >= from + count) {
        rest.add(list[i]);
      }
    }
    return rest.stream().mapToInt(Integer::intValue).toArray();
  }
}
