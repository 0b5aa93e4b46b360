package dev.gnomon.bench.cli;

import dev.gnomon.bench.Interruption;
import java.io.ByteArrayOutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;

/** Runs a command in this process. */
final class Cli {
  /** What a command left. */
  record Result(int code, String out, String err) {
    /** Standard output without the lines that tell host time. */
    String modelled() {
      return out.replaceAll("(?m)^host time.*\\R", "");
    }
  }

  private Cli() {}

  static Result run(String... args) {
    return run(new Interruption(), args);
  }

  static Result run(Interruption interruption, String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    StringWriter err = new StringWriter();
    int code = Main.execute(new Environment(out, new PrintWriter(err, true), false, false, interruption, null), args);
    return new Result(code, out.toString(StandardCharsets.UTF_8), err.toString());
  }
}
