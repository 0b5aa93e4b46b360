package dev.gnomon.vmm.harness;

import java.util.ArrayList;
import java.util.List;
import org.HdrHistogram.Histogram;

/**
 * What an exploration found.
 *
 * @param exploration how it looked
 * @param schedules that were run
 * @param complete whether these are all that there are
 * @param failure the first bad schedule, null if there was none
 * @param latencies of all requests, in virtual nanoseconds
 * @param work of devices and drivers in all good schedules
 */
public record Report(Exploration exploration, int schedules, boolean complete, Failure failure, Histogram latencies,
    Work work) {
  /** System property that makes a test run one schedule. */
  public static final String REPLAY_PROPERTY = "polled.replay";
  /** System property that has each test print what its schedules came to. */
  public static final String REPORT_PROPERTY = "polled.report";
  /** System property that sets the seed of the first schedule. */
  public static final String SEED_PROPERTY = "polled.seed";

  /**
   * A schedule that went wrong.
   *
   * @param cause what the test threw under the shortened schedule
   * @param seed of the schedule in which it was found
   * @param index its number, from 0; −1 for a replay
   * @param foundChoices choices of the schedule in which it was found
   * @param choices those of the shortened one
   * @param actors names by id
   * @param timeline what happened in the shortened one
   */
  public record Failure(Throwable cause, long seed, int index, int foundChoices, int[] choices, List<String> actors,
      String timeline) {
    /** The choices as {@link Report#REPLAY_PROPERTY} takes them. */
    public String replay() {
      return Report.format(choices);
    }

    /** The shortened schedule in words: who acts, how often in a row. */
    public String schedule() {
      List<String> words = new ArrayList<>();
      for (int i = 0; i < choices.length; ) {
        int same = i;
        while (same < choices.length && choices[same] == choices[i]) {
          same++;
        }
        String who = choices[i] < 0 ? "#" + ~choices[i]
            : choices[i] < actors.size() ? actors.get(choices[i]) : "?" + choices[i];
        words.add(same - i == 1 ? who : who + " x" + (same - i));
        i = same;
      }
      return words.isEmpty() ? "(each acts as long as it can)" : String.join(", ", words);
    }
  }

  /** What all schedules came to, in three lines. */
  public String summary() {
    return exploration.name() + ": " + schedules + " schedules" + (complete ? ", which are all" : "") + "\n  " + work
        + (latencies.getTotalCount() == 0 ? "" : "; latency " + latencies.getValueAtPercentile(50) + " ns at 50 %, "
        + latencies.getValueAtPercentile(99) + " at 99 %, at most " + latencies.getMaxValue());
  }

  /** Whether nothing went wrong. */
  public boolean isClean() {
    return failure == null;
  }

  /** All that there is to say of a failure. @param command what runs the test alone, up to its properties */
  public String describe(String command) {
    String order = exploration.model() == MemoryModel.SC ? "SC" : "TSO with " + exploration.storeBuffer() + " stores";
    StringBuilder text = new StringBuilder(String.valueOf(failure.cause().getMessage())).append('\n');
    if (failure.index() >= 0) {
      text.append("  found in schedule ").append(failure.index() + 1).append(" of ").append(exploration.schedules())
          .append(", ")
          .append(exploration.strategy()).append(", ").append(order).append(", seed ").append(failure.seed())
          .append('\n');
      text.append("  shortened from ").append(failure.foundChoices()).append(" choices to ")
          .append(failure.choices().length).append(": ");
    } else {
      text.append("  replayed, ").append(order).append(": ");
    }
    text.append(failure.schedule()).append('\n').append("  timeline in virtual ns:\n").append(failure.timeline());
    return text.append("  replay: ").append(command).append(" -D").append(REPLAY_PROPERTY).append('=')
        .append(failure.replay()).toString();
  }

  /**
   * Choices as text: ids separated by dots, {@code *n} for repetition, {@code n} as {@code ~n} for numbers; {@code -}
   * for none.
   */
  static String format(int[] choices) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < choices.length; ) {
      int same = i;
      while (same < choices.length && choices[same] == choices[i]) {
        same++;
      }
      text.append(text.isEmpty() ? "" : ".").append(choices[i] < 0 ? "~" + ~choices[i] : String.valueOf(choices[i]));
      text.append(same - i > 1 ? "*" + (same - i) : "");
      i = same;
    }
    return text.isEmpty() ? "-" : text.toString();
  }

  /** The choices behind a text of {@link #format}. */
  static int[] parse(String replay) {
    List<Integer> choices = new ArrayList<>();
    try {
      for (String word : replay.equals("-") ? new String[0] : replay.split("\\.")) {
        int star = word.indexOf('*');
        int times = star < 0 ? 1 : Integer.parseInt(word.substring(star + 1));
        String choice = star < 0 ? word : word.substring(0, star);
        int value = choice.startsWith("~") ? ~Integer.parseInt(choice.substring(1)) : Integer.parseInt(choice);
        for (int i = 0; i < times; i++) {
          choices.add(value);
        }
      }
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("replay \"" + replay
          + "\": expected what a failed test has printed, such as 0*3.2.~1", e);
    }
    return choices.stream().mapToInt(Integer::intValue).toArray();
  }
}
