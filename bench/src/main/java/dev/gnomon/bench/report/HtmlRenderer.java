package dev.gnomon.bench.report;

import java.util.ArrayList;
import java.util.List;

/**
 * One HTML page that needs nothing else: no file beside it, and a script in it only if it has plots. Percentages have
 * bars, so that a table can be read at a glance; light and dark follow the viewer's setting.
 */
final class HtmlRenderer {
  private static final String STYLE = """
      :root { color-scheme: light dark; --line: #8884; --bar: #4a90d955; }
      body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 88em; padding: 0 1em; } p { max-width: 75em; }
      h1 { font-size: 1.2em; margin: 2em 0 .5em; } h2 { font-size: 1em; margin: 1.5em 0 .3em; }
      table { border-collapse: collapse; margin: .8em 0; display: block; overflow-x: auto; }
      th, td { border-bottom: 1px solid var(--line); padding: .2em .8em; text-align: left; white-space: pre; }
      .n { text-align: right; font-variant-numeric: tabular-nums; }
      pre { overflow-x: auto; }
      .plot { max-width: 60em; }
      """;

  private HtmlRenderer() {}

  static String render(List<Block> blocks) {
    String title = blocks.stream().filter(Block.Heading.class::isInstance).map(block -> ((Block.Heading) block).text())
        .findFirst().orElse("gnomon");
    StringBuilder text = new StringBuilder("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        + "<meta name=\"viewport\" content=\"width=device-width\">\n<title>").append(escaped(title))
        .append("</title>\n<style>\n").append(STYLE).append("</style>\n</head>\n<body>\n");
    List<Plot> plots = new ArrayList<>();
    for (Block block : blocks) {
      if (block instanceof Block.Heading heading) {
        String tag = heading.level() == 1 ? "h1" : "h2";
        element(text, tag, heading.text());
      } else if (block instanceof Block.Paragraph paragraph) {
        element(text, "p", paragraph.text());
      } else if (block instanceof Block.Preformatted preformatted) {
        element(text, "pre", preformatted.text().stripTrailing());
      } else if (block instanceof Table table) {
        table(text, table);
      } else if (block instanceof Plot plot) {
        element(text, "h2", plot.title());
        text.append("<div class=\"plot\"><canvas id=\"plot").append(plots.size())
            .append("\" role=\"img\" aria-label=\"").append(escaped(plot.title())).append("\"></canvas></div>\n");
        plots.add(plot);
      }
    }
    if (!plots.isEmpty()) {
      text.append(PlotScript.of(plots));
    }
    return text.append("</body>\n</html>\n").toString();
  }

  private static void element(StringBuilder text, String tag, String content) {
    text.append('<').append(tag).append('>').append(escaped(content)).append("</").append(tag).append(">\n");
  }

  private static void table(StringBuilder text, Table table) {
    text.append("<table>\n<thead><tr>");
    for (Column column : table.columns()) {
      text.append(column.kind() == Column.Kind.TEXT ? "<th>" : "<th class=\"n\">").append(escaped(column.title()))
          .append("</th>");
    }
    text.append("</tr></thead>\n<tbody>\n");
    for (int row = 0; row < table.rows().size(); row++) {
      text.append("<tr>");
      for (int column = 0; column < table.columns().size(); column++) {
        cell(text, table, row, column);
      }
      text.append("</tr>\n");
    }
    text.append("</tbody>\n</table>\n");
  }

  private static void cell(StringBuilder text, Table table, int row, int column) {
    Column.Kind kind = table.columns().get(column).kind();
    Object value = table.rows().get(row).get(column);
    text.append(kind == Column.Kind.TEXT ? "<td" : "<td class=\"n\"");
    if (kind == Column.Kind.PERCENT && value != null) {
      long percent = Math.round(Math.max(0, Math.min(100, ((Number) value).doubleValue())));
      text.append(" style=\"background:linear-gradient(to right,var(--bar) ").append(percent).append("%,transparent ")
          .append(percent).append("%)\"");
    }
    text.append('>').append(escaped(table.cell(row, column))).append("</td>");
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
  }
}
