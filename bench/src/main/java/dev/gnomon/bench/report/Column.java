package dev.gnomon.bench.report;

/**
 * A column of a {@link Table}.
 *
 * @param title printed heading; the field's name in CSV
 * @param kind how its values are printed
 */
public record Column(String title, Kind kind) {
  /** Kinds of value. */
  public enum Kind {
    /** Left-aligned text. */
    TEXT,
    /** A whole number, its thousands separated for people. */
    COUNT,
    /** A number with one decimal. */
    AVERAGE,
    /** A factor with two decimals. */
    FACTOR,
    /** A percentage with one decimal, given as such. */
    PERCENT
  }

  public static Column text(String title) {
    return new Column(title, Kind.TEXT);
  }

  public static Column count(String title) {
    return new Column(title, Kind.COUNT);
  }

  public static Column average(String title) {
    return new Column(title, Kind.AVERAGE);
  }

  public static Column factor(String title) {
    return new Column(title, Kind.FACTOR);
  }

  public static Column percent(String title) {
    return new Column(title, Kind.PERCENT);
  }
}
