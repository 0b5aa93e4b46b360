package dev.gnomon.workloads;

import java.util.List;

/**
 * One parameter of a workload.
 *
 * @param name key on the command line
 * @param kind what values look like
 * @param defaultValue as a number; of a choice its index, of a switch 0 or 1
 * @param min least number
 * @param max greatest number
 * @param choices words of a choice, else empty
 * @param description what it means, a few words
 */
public record Parameter(String name, Kind kind, long defaultValue, long min, long max, List<String> choices,
    String description) {
  /** What values look like. */
  public enum Kind {
    /** A whole number. */
    COUNT,
    /** Bytes: a whole number, with K, M or G for powers of 1024. */
    SIZE,
    /** Any 64-bit number, in decimal or with 0x. */
    SEED,
    /** One of some words. */
    CHOICE,
    /** {@code on} or {@code off}. */
    SWITCH
  }

  public Parameter {
    choices = List.copyOf(choices);
  }

  static Parameter count(String name, long defaultValue, long min, long max, String description) {
    return new Parameter(name, Kind.COUNT, defaultValue, min, max, List.of(), description);
  }

  static Parameter size(String name, long defaultValue, long min, long max, String description) {
    return new Parameter(name, Kind.SIZE, defaultValue, min, max, List.of(), description);
  }

  static Parameter seed() {
    return new Parameter("seed", Kind.SEED, 1, Long.MIN_VALUE, Long.MAX_VALUE, List.of(), "seed of the random numbers");
  }

  /** The first word is the default. */
  static Parameter choice(String name, String description, String... words) {
    return new Parameter(name, Kind.CHOICE, 0, 0, words.length - 1, List.of(words), description);
  }

  static Parameter onOff(String name, boolean defaultValue, String description) {
    return new Parameter(name, Kind.SWITCH, defaultValue ? 1 : 0, 0, 1, List.of("off", "on"), description);
  }

  /** A value as it is written: {@code 16M}, {@code 4k}, {@code on}. */
  public String format(long value) {
    return switch (kind) {
      case CHOICE, SWITCH -> choices.get((int) value);
      case SIZE -> formatSize(value);
      case COUNT, SEED -> Long.toString(value);
    };
  }

  /** What may be written, for help and messages: {@code 4K to 1G}, {@code 4k|2m}. */
  public String range() {
    return switch (kind) {
      case CHOICE, SWITCH -> String.join("|", choices);
      case SIZE, COUNT -> format(min) + " to " + format(max);
      case SEED -> "a 64-bit number";
    };
  }

  /**
   * Reads a value.
   *
   * @throws IllegalArgumentException if it is not one
   */
  long parse(String workload, String text) {
    try {
      long value = switch (kind) {
        case CHOICE, SWITCH -> choices.indexOf(text);
        case COUNT -> Long.parseLong(text);
        case SEED -> Long.decode(text);
        case SIZE -> parseSize(text);
      };
      if (value >= min && value <= max) {
        return value;
      }
    } catch (NumberFormatException | ArithmeticException e) {
      // Said below, in the same words as a number out of range.
    }
    throw new IllegalArgumentException("workload " + workload + ": " + name + "=" + text + ": expected " + range());
  }

  private static long parseSize(String text) {
    long unit = text.isEmpty() ? 1 : unit(text.charAt(text.length() - 1));
    return Math.multiplyExact(Long.parseLong(unit == 1 ? text : text.substring(0, text.length() - 1)), unit);
  }

  private static long unit(char suffix) {
    return switch (suffix) {
      case 'k', 'K' -> 1L << 10;
      case 'm', 'M' -> 1L << 20;
      case 'g', 'G' -> 1L << 30;
      default -> 1;
    };
  }

  private static String formatSize(long value) {
    int unit = 0;
    while (unit < 3 && value != 0 && (value & 1023) == 0) {
      value >>= 10;
      unit++;
    }
    return value + (unit == 0 ? "" : String.valueOf("KMG".charAt(unit - 1)));
  }
}
