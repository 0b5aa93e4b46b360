package dev.gnomon.bench.report;

import java.util.List;
import java.util.stream.Collectors;

/** Comma-separated values after RFC 4180, with plain line feeds. */
final class CsvRenderer {
  private CsvRenderer() {}

  static String render(Table table) {
    StringBuilder text = new StringBuilder();
    line(text, table.columns().stream().map(Column::title).toList());
    for (List<Object> row : table.rows()) {
      line(text, row.stream().map(value -> value == null ? "" : value.toString()).toList());
    }
    return text.toString();
  }

  private static void line(StringBuilder text, List<String> fields) {
    text.append(fields.stream().map(CsvRenderer::quoted).collect(Collectors.joining(","))).append('\n');
  }

  private static String quoted(String field) {
    return field.matches("(?s).*[\",\r\n].*") ? '"' + field.replace("\"", "\"\"") + '"' : field;
  }
}
