package dev.gnomon.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Says in one sentence why one mode costs fewer modelled cycles than another. */
final class Explanation {
  /** Below this ratio the two are called equal. */
  private static final double EQUAL = 1.02;

  private Explanation() {}

  /**
   * The mode with the fewest cycles among those with a hypervisor if there are two, else among all; null for fewer than
   * two modes.
   */
  static ModeResult winner(List<ModeResult> modes) {
    List<ModeResult> field = field(modes);
    return field.size() < 2 ? null : field.stream().min(Comparator.comparingLong(mode -> mode.cycles().total()))
        .orElseThrow();
  }

  /** The winner's name; {@code tie} if the others cost nearly the same, empty if there is nothing to compare. */
  static String verdict(List<ModeResult> modes) {
    ModeResult winner = winner(modes);
    return winner == null ? "" : ratio(winner, loser(modes, winner)) < EQUAL ? "tie" : winner.mode();
  }

  private static ModeResult loser(List<ModeResult> modes, ModeResult winner) {
    return field(modes).stream().filter(mode -> mode != winner)
        .max(Comparator.comparingLong(mode -> mode.cycles().total())).orElseThrow();
  }

  private static double ratio(ModeResult winner, ModeResult loser) {
    return (double) loser.cycles().total() / Math.max(1, winner.cycles().total());
  }

  private static List<ModeResult> field(List<ModeResult> modes) {
    List<ModeResult> virtual = modes.stream().filter(mode -> !mode.mode().equals("native")).toList();
    return virtual.size() >= 2 ? virtual : modes;
  }

  /** The sentence, empty for fewer than two modes. */
  static String why(List<ModeResult> modes, CostModel costs) {
    ModeResult winner = winner(modes);
    if (winner == null) {
      return "";
    }
    ModeResult loser = loser(modes, winner);
    double ratio = ratio(winner, loser);
    if (ratio < EQUAL) {
      return String.format(Locale.ROOT, "%s and %s cost the same within %.0f %%: %s", winner.mode(), loser.mode(),
          100 * (EQUAL - 1), dominant(winner, costs));
    }
    return String.format(Locale.ROOT, "%s beats %s by %.2fx because %s", winner.mode(), loser.mode(), ratio,
        difference(winner, loser, costs));
  }

  private static String dominant(ModeResult mode, CostModel costs) {
    Map<String, Long> parts = parts(mode.cycles());
    String largest = parts.entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow().getKey();
    return switch (largest) {
      case "walks" -> "page walks dominate both, at " + perMiss(mode) + " references a miss";
      case "exits" -> "the same exits dominate both, most of them " + topExit(mode, costs);
      case "hostMemory" -> "backing memory on first touch dominates both";
      default -> "both mostly just run instructions, with few TLB misses and exits";
    };
  }

  private static Map<String, Long> parts(Cycles cycles) {
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("execution", cycles.execution());
    parts.put("walks", cycles.walks());
    parts.put("delivery", cycles.delivery());
    parts.put("flushes", cycles.flushes());
    parts.put("exits", cycles.exits());
    parts.put("hostMemory", cycles.hostMemory());
    return parts;
  }

  private static String difference(ModeResult winner, ModeResult loser, CostModel costs) {
    Map<String, Long> cheap = parts(winner.cycles());
    List<Map.Entry<String, Long>> excess = new ArrayList<>();
    parts(loser.cycles()).forEach((part, cycles) -> excess.add(Map.entry(part, cycles - cheap.get(part))));
    excess.sort(Map.Entry.<String, Long>comparingByValue().reversed());
    String main = excess.get(0).getKey();
    String because = switch (main) {
      case "walks"
          -> String.format(Locale.ROOT,
          "%s pays %s references a TLB miss instead of %s, and walks are %s of its cycles", loser.mode(),
          perMiss(loser), perMiss(winner), share(loser, loser.cycles().walks()));
      case "exits"
          -> String.format(Locale.ROOT,
          "%s leaves the guest %,d times instead of %,d, most expensively for %s, and exits are %s of its "
          + "cycles", loser.mode(), loser.counters().exitTotal(), winner.counters().exitTotal(), topExit(loser, costs),
          share(loser, loser.cycles().exits()));
      case "hostMemory" -> String.format(Locale.ROOT, "its memory is backed on first touch, %,d pieces",
          loser.counters().backedPieces());
      case "flushes" -> String.format(Locale.ROOT, "%s spends %s of its cycles in TLB invalidations", loser.mode(),
          share(loser, loser.cycles().flushes()));
      case "delivery" -> String.format(Locale.ROOT, "more faults and interrupts reach the guest under %s",
          loser.mode());
      default -> String.format(Locale.ROOT, "%s misses the first-level TLB more often", loser.mode());
    };
    long saved = cheapElsewhere(winner, loser);
    if (main.equals("exits") && saved > 0) {
      return because
          + String.format(Locale.ROOT,
          "; its cheaper walks (%s references a miss instead of %s) do not make up for that",
          perMiss(loser), perMiss(winner));
    }
    if (main.equals("walks") && loser.cycles().exits() < winner.cycles().exits()) {
      return because + String.format(Locale.ROOT, "; having fewer exits (%,d instead of %,d) does not make up for that",
          loser.counters().exitTotal(), winner.counters().exitTotal());
    }
    return because;
  }

  /** Cycles that the loser saves on walks. */
  private static long cheapElsewhere(ModeResult winner, ModeResult loser) {
    return winner.cycles().walks() - loser.cycles().walks();
  }

  private static String perMiss(ModeResult mode) {
    return String.format(Locale.ROOT, "%.1f", mode.counters().tlb().referencesPerMiss());
  }

  private static String share(ModeResult mode, long cycles) {
    return String.format(Locale.ROOT, "%.0f %%", 100.0 * cycles / Math.max(1, mode.cycles().total()));
  }

  private static String topExit(ModeResult mode, CostModel costs) {
    return mode.counters().exits().stream().max(Comparator.comparingDouble(exit -> exit.count() * costs.exitCost(exit)))
        .map(exit -> exit.reason() + (exit.cause().isEmpty() ? "" : " " + exit.cause())).orElse("none");
  }
}
