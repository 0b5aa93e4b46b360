package dev.gnomon.vmm.harness;

import java.time.Duration;
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
 * @param idleSteps steps that find nothing, with nothing changed, after which a device is left alone until something
 *     changes
 * @param pctDepth switches that PCT forces
 * @param stepLimit host time after which a step or a driver that has not come back has failed; zero to wait for ever
 */
public record Exploration(String name, int schedules, Strategy strategy, MemoryModel model, int storeBuffer, long seed,
    int maxPoints, int idleSteps, int pctDepth, Duration stepLimit) {
  /** Virtual nanoseconds that a choice stands for. */
  private static final long NS_PER_ACCESS = 10;
  private static final Duration STEP_LIMIT = Duration.ofSeconds(10);

  public Exploration {
    if (stepLimit.isNegative()) {
      throw new IllegalArgumentException("steps of at most " + stepLimit.toSeconds() + " s: expected at least 0");
    }
    if (schedules < 1 || storeBuffer < 1 || storeBuffer > 64 || maxPoints < 1 || idleSteps < 1 || pctDepth < 0) {
      throw new IllegalArgumentException(schedules + " schedules, store buffers of " + storeBuffer + ", at most "
          + maxPoints + " choices, "
          + idleSteps + " idle steps, PCT depth " + pctDepth
          + ": expected at least 1 of each, and buffers of at most 64");
    }
  }

  /** 10,000 random schedules under TSO with buffers of 8. */
  public static Exploration of(String name) {
    return new Exploration(name, 10_000, Strategy.RANDOM, MemoryModel.TSO, 8, 0, 20_000, 4, 3, STEP_LIMIT);
  }

  public Exploration withSchedules(int value) {
    return new Exploration(name, value, strategy, model, storeBuffer, seed, maxPoints, idleSteps, pctDepth, stepLimit);
  }

  public Exploration withStrategy(Strategy value) {
    return new Exploration(name, schedules, value, model, storeBuffer, seed, maxPoints, idleSteps, pctDepth, stepLimit);
  }

  public Exploration withModel(MemoryModel value) {
    return new Exploration(name, schedules, strategy, value, storeBuffer, seed, maxPoints, idleSteps,
        pctDepth, stepLimit);
  }

  public Exploration withStoreBuffer(int value) {
    return new Exploration(name, schedules, strategy, model, value, seed, maxPoints, idleSteps, pctDepth, stepLimit);
  }

  public Exploration withSeed(long value) {
    return new Exploration(name, schedules, strategy, model, storeBuffer, value, maxPoints, idleSteps,
        pctDepth, stepLimit);
  }

  public Exploration withMaxPoints(int value) {
    return new Exploration(name, schedules, strategy, model, storeBuffer, seed, value, idleSteps, pctDepth, stepLimit);
  }

  public Exploration withIdleSteps(int value) {
    return new Exploration(name, schedules, strategy, model, storeBuffer, seed, maxPoints, value, pctDepth, stepLimit);
  }

  public Exploration withStepLimit(Duration value) {
    return new Exploration(name, schedules, strategy, model, storeBuffer, seed, maxPoints, idleSteps, pctDepth, value);
  }

  private Rig rig() {
    return new Rig(new Rig.Config(model, storeBuffer, maxPoints, idleSteps, NS_PER_ACCESS));
  }

  /** Where an exploration is, for whoever watches it. */
  private static final class Progress {
    volatile Rig rig;
    volatile int index;
    /** Why the schedule failed that is being shortened, null before; and how short it is by now. */
    volatile Throwable found;
    volatile int foundChoices;
    volatile int[] shortest;

    Rig begin(Rig next) {
      rig = next;
      return next;
    }
  }

  /** Runs the schedules. @param test sets a rig up, runs it, and throws if the outcome is bad */
  public Report run(Consumer<Rig> test) {
    Progress progress = new Progress();
    progress.begin(rig());
    try {
      return Watch.over(stepLimit, () -> progress.rig.watch(), () -> explore(progress, test));
    } catch (Watch.Late late) {
      // A schedule that was being shortened is short enough: what fails otherwise is no shorter form of it.
      Throwable failure = progress.found != null ? progress.found : late.failure();
      int[] choices = progress.found != null ? progress.shortest : progress.rig.scheduler().taken();
      int foundChoices = progress.found != null ? progress.foundChoices : choices.length;
      return new Report(this, progress.index + 1, false, explain(foundChoices, choices, failure, progress.index, test),
          new Histogram(3), Work.NONE);
    }
  }

  private Report explore(Progress progress, Consumer<Rig> test) {
    Rig rig = progress.rig;
    Choices.Exhaustive exhaustive = new Choices.Exhaustive();
    Histogram latencies = new Histogram(3);
    Work work = Work.NONE;
    int length = 64;
    for (int i = 0; i < schedules; i++) {
      progress.index = i;
      Choices choices;
      if (strategy == Strategy.EXHAUSTIVE) {
        if (!exhaustive.next()) {
          return new Report(this, i, true, null, latencies, work);
        }
        choices = exhaustive;
      } else {
        choices = strategy == Strategy.PCT ? new Choices.Pct(seed + i, length, pctDepth) : new Choices.Random(seed + i);
      }
      Throwable failure = attempt(rig, choices, false, test);
      if (failure != null) {
        progress.shortest = rig.scheduler().taken();
        progress.foundChoices = progress.shortest.length;
        progress.found = failure;
        shrink(progress, kind(failure), test);
        return new Report(this, i + 1, false, explain(progress.foundChoices, progress.shortest, failure, i, test),
            latencies, work);
      }
      length = Math.max(length, rig.scheduler().points());
      work = work.plus(rig.work());
      rig.history().requests().values().forEach(request -> {
        if (request.ended >= 0) {
          latencies.recordValue(request.ended - request.begun);
        }
      });
    }
    return new Report(this, schedules, false, null, latencies, work);
  }

  /** Runs the one schedule of a replay. */
  public Report replay(String replay, Consumer<Rig> test) {
    int[] choices = Report.parse(replay);
    Rig rig = rig();
    Throwable failure = trace(rig, choices, test);
    Report.Failure found = failure == null ? null
        : new Report.Failure(failure, 0, -1, choices.length, choices, names(rig), rig.trace().render());
    return new Report(this, 1, false, found, new Histogram(3), failure == null ? rig.work() : Work.NONE);
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

  /** Runs one schedule for its timeline. */
  private Throwable trace(Rig rig, int[] choices, Consumer<Rig> test) {
    try {
      return Watch.over(stepLimit, rig::watch, () -> attempt(rig, new Choices.Replay(choices), true, test));
    } catch (Watch.Late late) {
      return late.failure();
    }
  }

  private Report.Failure explain(int foundChoices, int[] choices, Throwable first, int index, Consumer<Rig> test) {
    Rig rig = rig();
    Throwable failure = trace(rig, choices, test);
    if (failure == null) {
      // Only a test that does not depend on its rig alone comes here.
      return new Report.Failure(first, seed + index, index, foundChoices, choices, names(rig),
          "  (the schedule does not fail again)\n");
    }
    return new Report.Failure(failure, seed + index, index, foundChoices, choices, names(rig), rig.trace().render());
  }

  /** What must stay the same while a schedule is shortened. */
  private static String kind(Throwable failure) {
    return failure instanceof HarnessFailure found ? found.kind() : failure.getClass().getName();
  }

  /** Takes choices out as long as the test fails in the same way (Zeller and Hildebrandt's delta debugging). */
  private void shrink(Progress progress, String kind, Consumer<Rig> test) {
    Rig rig = progress.begin(rig());
    int[] best = progress.shortest;
    int attempts = 0;
    boolean shorter = true;
    while (shorter && attempts < rig.shrinkAttempts()) {
      shorter = false;
      for (int chunk = Math.max(1, best.length / 2); chunk >= 1 && attempts < rig.shrinkAttempts(); chunk /= 2) {
        for (int at = best.length - chunk; at >= 0 && attempts < rig.shrinkAttempts(); at -= chunk) {
          int[] candidate = without(best, at, chunk);
          attempts++;
          Throwable failure = attempt(rig, new Choices.Replay(candidate), false, test);
          if (failure != null && kind(failure).equals(kind)) {
            best = candidate;
            progress.shortest = best;
            shorter = true;
            at = Math.min(at, best.length);
          }
        }
      }
    }
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
