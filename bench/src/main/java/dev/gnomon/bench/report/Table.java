package dev.gnomon.bench.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Rows of values under columns.
 *
 * @param columns their number is that of each row's values
 * @param rows values: a String for text, else a Long or Double; null where there is nothing to say
 */
public record Table(List<Column> columns, List<List<Object>> rows) implements Block {
  public Table {
    columns = List.copyOf(columns);
    rows = List.copyOf(rows);
    for (List<Object> row : rows) {
      if (row.size() != columns.size()) {
        throw new IllegalArgumentException("row of " + row.size() + " values: expected " + columns.size());
      }
    }
  }

  /** A value as people read it. */
  String cell(int row, int column) {
    Object value = rows.get(row).get(column);
    if (value == null) {
      return "";
    }
    if (value instanceof String text) {
      return text;
    }
    double number = ((Number) value).doubleValue();
    return switch (columns.get(column).kind()) {
      case TEXT -> value.toString();
      case COUNT -> String.format(Locale.ROOT, "%,d", Math.round(number));
      case AVERAGE -> String.format(Locale.ROOT, "%.1f", number);
      case FACTOR -> String.format(Locale.ROOT, "%.2f", number);
      case PERCENT -> String.format(Locale.ROOT, "%.1f%%", number);
    };
  }

  /** Collects rows. */
  public static final class Builder {
    private final List<Column> columns;
    private final List<List<Object>> rows = new ArrayList<>();

    public Builder(Column... columns) {
      this.columns = List.of(columns);
    }

    public Builder(List<Column> columns) {
      this.columns = List.copyOf(columns);
    }

    /** Adds a row; values may be null. */
    public Builder row(Object... values) {
      rows.add(java.util.Collections.unmodifiableList(new ArrayList<>(java.util.Arrays.asList(values))));
      return this;
    }

    public Table build() {
      return new Table(columns, rows);
    }
  }
}
