package dev.gnomon.vmm.harness;

import java.util.ArrayList;
import java.util.List;

/** What happened in one schedule, in order. */
final class Timeline {
  private static final int MAX_LINES = 400;

  private record Event(long ns, String actor, String text) {
  }

  private final List<Event> events = new ArrayList<>();

  void add(long ns, String actor, String text) {
    events.add(new Event(ns, actor, text));
  }

  /** Time in ns, actor, and what it did, in columns. */
  String render() {
    int width = events.stream().mapToInt(event -> event.actor().length()).max().orElse(0);
    StringBuilder text = new StringBuilder();
    int first = Math.max(0, events.size() - MAX_LINES);
    if (first > 0) {
      text.append("  (").append(first).append(" earlier events)\n");
    }
    for (Event event : events.subList(first, events.size())) {
      text.append(String.format("  %6d  %-" + Math.max(1, width) + "s  %s%n", event.ns(), event.actor(), event.text()));
    }
    return text.toString();
  }
}
