package dev.gnomon.bench.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.UncheckedIOException;
import java.util.Locale;

/** Formats that a report can be written in. */
public enum Format {
  JSON {
    @Override
    public String render(Report report) {
      DefaultIndenter indenter = new DefaultIndenter("  ", "\n");
      DefaultPrettyPrinter printer = new DefaultPrettyPrinter().withObjectIndenter(indenter)
          .withArrayIndenter(indenter);
      try {
        return new ObjectMapper().writer(printer).writeValueAsString(report) + "\n";
      } catch (JsonProcessingException e) {
        throw new UncheckedIOException(e);
      }
    }
  },
  CSV {
    @Override
    public String render(Report report) {
      return CsvRenderer.render(report.flat());
    }
  },
  MD {
    @Override
    public String render(Report report) {
      return MarkdownRenderer.render(report.blocks());
    }
  },
  /** One page without anything beside it. */
  HTML {
    @Override
    public String render(Report report) {
      return HtmlRenderer.render(report.blocks());
    }
  },
  /** What the terminal shows. */
  TEXT {
    @Override
    public String render(Report report) {
      return TextRenderer.render(report.blocks(), false);
    }
  };

  /** The whole report. */
  public abstract String render(Report report);

  /** The format of that name in either case. */
  public static Format parse(String name) {
    for (Format format : values()) {
      if (format.name().equalsIgnoreCase(name)) {
        return format;
      }
    }
    throw new IllegalArgumentException("output format '" + name + "': expected json, csv, md, html or text");
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
