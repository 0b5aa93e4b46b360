package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonIgnore;
import dev.gnomon.vmm.ExitStatistics;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How often the guest was left for one reason and cause.
 *
 * @param reason KVM's name of the exit reason
 * @param cause what lay behind it, empty if the reason says all
 * @param count exits
 */
public record ExitCount(String reason, String cause, long count) {
  /**
   * The exit's name in a cost table: the reason, and behind a slash the cause with its remark dropped and blanks made
   * hyphens.
   */
  @JsonIgnore
  public String key() {
    return cause.isEmpty() ? reason : reason + "/" + slug(cause);
  }

  boolean is(String otherReason, String otherCause) {
    return reason.equals(otherReason) && cause.equals(otherCause);
  }

  static String slug(String cause) {
    return cause.replaceAll("\\(.*?\\)", "").strip().replaceAll("[^A-Za-z0-9=]+", "-");
  }

  /** All exits of a machine so far, reasons and their causes most frequent first. */
  static List<ExitCount> of(ExitStatistics exits) {
    List<ExitCount> counts = new ArrayList<>();
    for (ExitStatistics.Row reason : exits.reasons()) {
      long rest = reason.count();
      for (ExitStatistics.Row cause : exits.causes(reason.reason())) {
        counts.add(new ExitCount(reason.reasonName(), cause.cause(), cause.count()));
        rest -= cause.count();
      }
      if (rest != 0) {
        counts.add(new ExitCount(reason.reasonName(), "", rest));
      }
    }
    return counts;
  }

  /** What {@code later} has more than {@code earlier}, in the order of reasons and causes by frequency. */
  static List<ExitCount> difference(List<ExitCount> later, List<ExitCount> earlier) {
    Map<String, Long> before = new LinkedHashMap<>();
    earlier.forEach(exit -> before.merge(exit.reason + "\0" + exit.cause, exit.count, Long::sum));
    List<ExitCount> counts = new ArrayList<>();
    Map<String, Long> totals = new LinkedHashMap<>();
    for (ExitCount exit : later) {
      long count = exit.count - before.getOrDefault(exit.reason + "\0" + exit.cause, 0L);
      if (count != 0) {
        counts.add(new ExitCount(exit.reason, exit.cause, count));
        totals.merge(exit.reason, count, Long::sum);
      }
    }
    counts.sort(Comparator.<ExitCount>comparingLong(exit -> -totals.get(exit.reason)).thenComparing(ExitCount::reason)
        .thenComparingLong(exit -> -exit.count).thenComparing(ExitCount::cause));
    return counts;
  }
}
