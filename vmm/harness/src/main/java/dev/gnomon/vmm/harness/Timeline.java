package dev.gnomon.vmm.harness;

import java.util.ArrayList;
import java.util.List;

/** What happened in one schedule, in order. */
final class Timeline {
  private static final int MAX_LINES = 400;

  /** What an actor does as often in a row, first and last at these times. */
  private record Event(long ns, long last, int times, String actor, String text) {
  }

  private final List<Event> events = new ArrayList<>();

  void add(long ns, String actor, String text) {
    Event before = events.isEmpty() ? null : events.get(events.size() - 1);
    if (before != null && before.actor.equals(actor) && before.text.equals(text)) {
      events.set(events.size() - 1, new Event(before.ns, ns, before.times + 1, actor, text));
    } else {
      events.add(new Event(ns, ns, 1, actor, text));
    }
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
      String again = event.times() == 1 ? "" : ", " + event.times() + " times until " + event.last();
      text.append(String.format("  %6d  %-" + Math.max(1, width) + "s  %s%s%n", event.ns(), event.actor(),
          event.text(), again));
    }
    return text.toString();
  }
}
