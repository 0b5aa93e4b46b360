package dev.gnomon.bench.cli;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** A bar on stderr while stderr is a terminal, else nothing. */
final class Progress implements AutoCloseable {
  private static final double MILLION = 1e6;
  private static final int WIDTH = 100;

  private final ProgressBar bar;
  private String step = "";

  /** @param steps runs to come */
  Progress(Environment environment, String task, int steps) {
    bar = !environment.errIsTerminal() ? null : new ProgressBarBuilder()
        .setTaskName(task)
        .setInitialMax(steps)
        .setStyle(ProgressBarStyle.ASCII)
        .setMaxRenderedLength(WIDTH)
        .setConsumer(
        new ConsoleProgressBarConsumer(new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.err), true,
            StandardCharsets.UTF_8)))
        .clearDisplayOnFinish()
        .build();
  }

  /** A run begins. */
  void begin(String name) {
    step = name;
    message(0);
  }

  /** Instructions done in the run in hand. */
  void message(long instructions) {
    if (bar != null) {
      bar.setExtraMessage(String.format(Locale.ROOT, "%s %.0fM", step, instructions / MILLION));
    }
  }

  /** The run is over. */
  void end() {
    if (bar != null) {
      bar.step();
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
