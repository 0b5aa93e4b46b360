package dev.gnomon.bench.cli;

import dev.gnomon.bench.report.Format;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.TextRenderer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Where results go. */
final class OutputOptions {
  /** @param file null for standard output */
  private record Target(Format format, Path file) {}

  @Option(names = "--out", paramLabel = "FORMAT:FILE", converter = TargetConverter.class,
      description =
          "Also write the result as json:FILE, csv:FILE, md:FILE, html:FILE or text:FILE (may be repeated); FILE - is "
          + "stdout, in place of the text.")
  List<Object> targets = List.of();

  /** Whether standard output is taken by a {@code --out}. */
  boolean takesStdout() {
    return targets.stream().anyMatch(target -> ((Target) target).file == null);
  }

  /** Fails at once, rather than after a long run, if a file could not be written. */
  void check() {
    for (Object object : targets) {
      Path file = ((Target) object).file;
      if (file != null) {
        InputFile.checkTarget("--out", file);
      }
    }
  }

  /** Writes the report to standard output, unless a {@code --out} goes there, and to all files. */
  void write(Report report, PrintWriter out, boolean colour) throws IOException {
    if (!takesStdout()) {
      out.print(TextRenderer.render(report.blocks(), colour));
    }
    writeTargets(report, out);
  }

  /** Writes only what {@code --out} asks for. */
  void writeTargets(Report report, PrintWriter out) throws IOException {
    for (Object object : targets) {
      Target target = (Target) object;
      String text = target.format.render(report);
      if (target.file == null) {
        out.print(text);
      } else {
        Files.writeString(target.file, text);
      }
    }
    out.flush();
  }

  /** Reads {@code --out}. */
  static final class TargetConverter implements ITypeConverter<Object> {
    @Override
    public Object convert(String text) {
      int colon = text.indexOf(':');
      if (colon <= 0 || colon == text.length() - 1) {
        throw new TypeConversionException("'" + text + "': expected FORMAT:FILE, such as json:result.json or csv:-");
      }
      try {
        String file = text.substring(colon + 1);
        return new Target(Format.parse(text.substring(0, colon)), file.equals("-") ? null : Path.of(file));
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
