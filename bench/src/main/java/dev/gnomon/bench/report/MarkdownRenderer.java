package dev.gnomon.bench.report;

import java.util.List;

/** GitHub's Markdown. */
final class MarkdownRenderer {
  private MarkdownRenderer() {}

  static String render(List<Block> blocks) {
    StringBuilder text = new StringBuilder();
    for (Block block : blocks) {
      if (block instanceof Plot) {
        continue;
      }
      if (!text.isEmpty()) {
        text.append('\n');
      }
      if (block instanceof Block.Heading heading) {
        text.append("#".repeat(heading.level() + 1)).append(' ').append(escaped(heading.text())).append('\n');
      } else if (block instanceof Block.Paragraph paragraph) {
        text.append(escaped(paragraph.text())).append('\n');
      } else if (block instanceof Block.Preformatted preformatted) {
        text.append("```\n").append(preformatted.text().stripTrailing()).append("\n```\n");
      } else if (block instanceof Table table) {
        table(text, table);
      }
    }
    return text.toString();
  }

  private static void table(StringBuilder text, Table table) {
    for (Column column : table.columns()) {
      text.append("| ").append(escaped(column.title())).append(' ');
    }
    text.append("|\n");
    for (Column column : table.columns()) {
      text.append(column.kind() == Column.Kind.TEXT ? "|---" : "|---:");
    }
    text.append("|\n");
    for (int row = 0; row < table.rows().size(); row++) {
      for (int column = 0; column < table.columns().size(); column++) {
        // Leading blanks show nesting, which Markdown would drop.
        String cell = table.cell(row, column);
        int indent = cell.length() - cell.stripLeading().length();
        text.append("| ").append("&nbsp;".repeat(indent)).append(escaped(cell.strip())).append(' ');
      }
      text.append("|\n");
    }
  }

  private static String escaped(String text) {
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;");
  }
}
