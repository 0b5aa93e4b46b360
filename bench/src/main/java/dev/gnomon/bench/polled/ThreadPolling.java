package dev.gnomon.bench.polled;

import dev.gnomon.vmm.polled.HostPolling;

/**
 * When threads of the host poll devices, in the host's time, as the command line says it: {@code spin}, {@code park},
 * {@code period=TIME} or {@code adaptive}.
 *
 * @param text as given
 */
public record ThreadPolling(String text, HostPolling polling) {
  private static final long PARK_AFTER_NS = 50_000;
  /** How often a thread that does not poll without pause looks all the same, for guests that ring no doorbell. */
  private static final long PAUSE_NS = 1_000_000;
  private static final String EXPECTED =
      "expected spin, park[=SPIN:PAUSE], period=TIME or adaptive[=MOST:PAUSE], times such as 500ns, 10us or 1ms";

  /** Reads what the command line gives. @throws IllegalArgumentException if that is none of these */
  public static ThreadPolling parse(String text) {
    int equals = text.indexOf('=');
    String word = equals < 0 ? text : text.substring(0, equals);
    String[] parts = equals < 0 ? new String[0] : text.substring(equals + 1).split(":", -1);
    long[] times = new long[parts.length];
    for (int i = 0; i < parts.length; i++) {
      times[i] = Polling.nanos(parts[i]);
      if (times[i] < 1) {
        throw bad(text);
      }
    }
    return new ThreadPolling(text, switch (word + " " + times.length) {
      case "spin 0" -> HostPolling.spin();
      case "park 0" -> HostPolling.spinThenPark(PARK_AFTER_NS, PAUSE_NS);
      case "park 2" -> HostPolling.spinThenPark(times[0], times[1]);
      case "period 1" -> HostPolling.period(times[0]);
      case "adaptive 0" -> HostPolling.adaptive(Polling.ADAPTIVE_MAX_NS, PAUSE_NS);
      case "adaptive 2" -> HostPolling.adaptive(times[0], times[1]);
      default -> throw bad(text);
    });
  }

  private static IllegalArgumentException bad(String text) {
    return new IllegalArgumentException("--poll-thread '" + text + "': " + EXPECTED);
  }

  @Override
  public String toString() {
    return text;
  }
}
