package dev.gnomon.bench.polled;

import dev.gnomon.vmm.polled.PollPolicy;
import java.math.BigDecimal;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * When devices are polled, as the command line says it: {@code spin}, {@code period=TIME}, {@code adaptive} or
 * {@code random=MIN:MAX}. A policy remembers, so each machine gets one of its own.
 *
 * @param text as given
 * @param kind word before the equals sign
 * @param times in virtual nanoseconds, in the order given
 */
public record Polling(String text, Kind kind, long[] times) {
  /**
   * What a poll that finds nothing takes, so that polls without pause come once in that time: 100 cycles at 2.5 GHz.
   */
  public static final long SPIN_NS = 40;
  /** How long an adaptive poller looks without pause at most: QEMU's {@code IOTHREAD_POLL_MAX_NS_DEFAULT}. */
  public static final long ADAPTIVE_MAX_NS = 32_768;
  /**
   * Distance of an adaptive poller's looks while it does not poll without pause; it learns only from waits shorter than
   * it may poll.
   */
  public static final long ADAPTIVE_FALLBACK_NS = 20_000;

  /** The policies and how many times each takes. */
  public enum Kind {
    SPIN(0, 1),
    PERIOD(1, 1),
    ADAPTIVE(0, 3),
    RANDOM(2, 2);

    private final int least;
    private final int most;

    Kind(int least, int most) {
      this.least = least;
      this.most = most;
    }
  }

  private static final Pattern TIME = Pattern.compile("(\\d{1,12}(?:\\.\\d{1,9})?)(ns|us|ms|s|)");
  private static final String EXPECTED =
      "expected spin[=TIME], period=TIME, adaptive[=STEP:MOST:FALLBACK] or random=MIN:MAX, times such as 500ns, "
      + "10us or 1ms";

  /** Once in 10 µs of virtual time. */
  public static Polling defaults() {
    return parse("period=10us");
  }

  /**
   * Reads what the command line gives.
   *
   * @throws IllegalArgumentException if that is no policy or a time is out of range
   */
  public static Polling parse(String text) {
    int equals = text.indexOf('=');
    String word = equals < 0 ? text : text.substring(0, equals);
    for (Kind kind : Kind.values()) {
      Polling polling = kind.name().equalsIgnoreCase(word)
          ? read(kind, text, equals < 0 ? null : text.substring(equals + 1)) : null;
      if (polling != null) {
        return polling;
      }
    }
    throw new IllegalArgumentException("--poll '" + text + "': " + EXPECTED);
  }

  /**
   * Reads the times of one policy, which have an option of their own.
   *
   * @throws IllegalArgumentException if they are none or out of range
   */
  public static Polling parse(Kind kind, String option, String times) {
    Polling polling = read(kind, kind.name().toLowerCase(Locale.ROOT) + "=" + times, times);
    if (polling == null) {
      throw new IllegalArgumentException(option + " '" + times + "': expected "
          + (kind.most == 1 ? "a time" : kind.most + " times, separated by colons,")
          + " such as 500ns, 10us or 1ms");
    }
    return polling;
  }

  /** @param list of times, null if there is none. @return null if these are not the policy's times */
  private static Polling read(Kind kind, String text, String list) {
    String[] parts = list == null ? new String[0] : list.split(":", -1);
    long[] times = new long[parts.length];
    for (int i = 0; i < parts.length; i++) {
      times[i] = nanos(parts[i]);
      if (times[i] < 0) {
        return null;
      }
    }
    if (times.length != 0 && times.length != kind.most || times.length < kind.least) {
      return null;
    }
    Polling polling = new Polling(text, kind, times);
    polling.policy(0);
    return polling;
  }

  /** A time such as {@code 10us} in nanoseconds, −1 if it is none. */
  static long nanos(String time) {
    Matcher matcher = TIME.matcher(time);
    if (!matcher.matches()) {
      return -1;
    }
    long unit = switch (matcher.group(2)) {
      case "us" -> 1000;
      case "ms" -> 1_000_000;
      case "s" -> 1_000_000_000;
      default -> 1;
    };
    return new BigDecimal(matcher.group(1)).multiply(BigDecimal.valueOf(unit)).longValue();
  }

  /** A policy for one device of one machine. @param seed of random distances */
  public PollPolicy policy(long seed) {
    return switch (kind) {
      case SPIN -> PollPolicy.period(times.length == 0 ? SPIN_NS : times[0]);
      case PERIOD -> PollPolicy.period(times[0]);
      case ADAPTIVE -> times.length == 0 ? PollPolicy.adaptive(SPIN_NS, ADAPTIVE_MAX_NS, ADAPTIVE_FALLBACK_NS)
          : PollPolicy.adaptive(times[0], times[1], times[2]);
      case RANDOM -> PollPolicy.random(seed, times[0], times[1]);
    };
  }

  @Override
  public String toString() {
    return text;
  }
}
