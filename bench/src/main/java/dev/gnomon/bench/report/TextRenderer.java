package dev.gnomon.bench.report;

import java.util.List;

/** Plain text for a terminal, in which only headings have colour. */
public final class TextRenderer {
  private static final String BOLD = "\u001b[1m";
  private static final String PLAIN = "\u001b[0m";
  private static final String GAP = "  ";
  private static final int WIDTH = 110;

  private TextRenderer() {}

  /** @param colour whether escape sequences may be used */
  public static String render(List<Block> blocks, boolean colour) {
    StringBuilder text = new StringBuilder();
    Block before = null;
    for (Block block : blocks) {
      if (block instanceof Plot) {
        continue;
      }
      if (before != null && (block instanceof Block.Heading || !(before instanceof Block.Heading)
          && !isProse(before, block))) {
        text.append('\n');
      }
      if (block instanceof Block.Heading heading) {
        text.append(colour ? BOLD + heading.text() + PLAIN : heading.text()).append('\n');
      } else if (block instanceof Block.Paragraph paragraph) {
        wrap(text, paragraph.text());
      } else if (block instanceof Block.Preformatted preformatted) {
        text.append(preformatted.text().stripTrailing()).append('\n');
      } else if (block instanceof Table table) {
        table(text, table);
      }
      before = block;
    }
    return text.toString();
  }

  private static boolean isProse(Block a, Block b) {
    return a instanceof Block.Paragraph && b instanceof Block.Paragraph;
  }

  private static void wrap(StringBuilder text, String paragraph) {
    int at = 0;
    for (String word : paragraph.split(" ")) {
      if (at > 0 && at + 1 + word.length() > WIDTH) {
        text.append("\n  ");
        at = 2;
      } else if (at > 0) {
        text.append(' ');
        at++;
      }
      text.append(word);
      at += word.length();
    }
    text.append('\n');
  }

  private static void table(StringBuilder text, Table table) {
    int columns = table.columns().size();
    int[] widths = new int[columns];
    for (int column = 0; column < columns; column++) {
      widths[column] = table.columns().get(column).title().length();
      for (int row = 0; row < table.rows().size(); row++) {
        widths[column] = Math.max(widths[column], table.cell(row, column).length());
      }
    }
    StringBuilder line = new StringBuilder();
    for (int row = -1; row < table.rows().size(); row++) {
      line.setLength(0);
      for (int column = 0; column < columns; column++) {
        String cell = row < 0 ? table.columns().get(column).title() : table.cell(row, column);
        String fill = " ".repeat(widths[column] - cell.length());
        boolean left = table.columns().get(column).kind() == Column.Kind.TEXT;
        line.append(GAP).append(left ? cell + fill : fill + cell);
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
  }
}
