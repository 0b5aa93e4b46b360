package dev.gnomon.bench.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class RendererTest {
  private final Table table = new Table.Builder(Column.text("name"), Column.count("n"), Column.factor("f"),
      Column.percent("p")).row("a,b", 1234567L, 1.005, 12.34)
      .row("  say \"x|y_z\"", null, 2.0, 100.0)
      .build();

  @Test
  void shouldAlignText() {
    assertThat(TextRenderer.render(List.of(new Block.Heading(1, "title"), table), false)).isEqualTo("""
        title
          name                   n     f       p
          a,b            1,234,567  1.01   12.3%
            say "x|y_z"             2.00  100.0%
        """.replace("1.01", String.format(java.util.Locale.ROOT, "%.2f", 1.005)));
  }

  @Test
  void shouldColourOnlyWhenAllowed() {
    List<Block> blocks = List.of(new Block.Heading(1, "title"));
    assertThat(TextRenderer.render(blocks, true)).isEqualTo("\u001b[1mtitle\u001b[0m\n");
    assertThat(TextRenderer.render(blocks, false)).isEqualTo("title\n");
  }

  @Test
  void shouldQuoteCsvAndKeepFullPrecision() {
    assertThat(CsvRenderer.render(table)).isEqualTo("""
        name,n,f,p
        "a,b",1234567,1.005,12.34
        "  say ""x|y_z""\",,2.0,100.0
        """);
  }

  @Test
  void shouldEscapeMarkdown() {
    List<Block> blocks = List.of(new Block.Heading(1, "a*b"), table, new Block.Preformatted("x  y\n"));
    assertThat(MarkdownRenderer.render(blocks)).isEqualTo("""
        ## a\\*b

        | name | n | f | p |
        |---|---:|---:|---:|
        | a,b | 1,234,567 | %s | 12.3%% |
        | &nbsp;&nbsp;say "x\\|y\\_z" |  | 2.00 | 100.0%% |

        ```
        x  y
        ```
        """.formatted(String.format(java.util.Locale.ROOT, "%.2f", 1.005)));
  }

  @Test
  void shouldEscapeHtmlAndDrawPercentages() {
    List<Block> blocks = List.of(new Block.Heading(1, "a<b"), table, new Block.Preformatted("x  y\n"));
    String html = HtmlRenderer.render(blocks);
    assertThat(html).startsWith("<!DOCTYPE html>\n").endsWith("</html>\n").contains("<title>a&lt;b</title>",
        "<h1>a&lt;b</h1>", "<th>name</th><th class=\"n\">n</th>", "<td class=\"n\">1,234,567</td>",
        "<td>  say &quot;x|y_z&quot;</td><td class=\"n\"></td>", "var(--bar) 12%,transparent 12%)\">12.3%</td>",
        "<pre>x  y</pre>").doesNotContain("<script", "http");
  }

  @Test
  void shouldRefuseRowsOfAnotherWidth() {
    Table.Builder builder = new Table.Builder(Column.text("a")).row("x", "y");
    assertThatThrownBy(builder::build).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected 1");
  }

  @Test
  void shouldWrapLongParagraphsBetweenWords() {
    String text = TextRenderer.render(List.of(new Block.Paragraph("word ".repeat(60).strip())), false);
    assertThat(text.lines()).allMatch(line -> line.length() <= 110).hasSizeGreaterThan(2);
    assertThat(text.replaceAll("\\s+", " ").strip()).isEqualTo("word ".repeat(60).strip());
  }
}
