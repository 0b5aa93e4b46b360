package dev.gnomon.bench.cli;

import ch.qos.logback.classic.Level;
import dev.gnomon.bench.Interruption;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;

/** Entry point of the jar. */
public final class Main {
  private static final int SECONDS_TO_FINISH = 10;

  private Main() {}

  /** Runs a command and exits with its code. */
  public static void main(String[] args) {
    Interruption interruption = new Interruption();
    OutputStream out = new FileOutputStream(FileDescriptor.out);
    PrintWriter err = new PrintWriter(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
    boolean outIsTerminal = Terminal.isTerminal(Terminal.STDOUT);
    CountDownLatch finished = new CountDownLatch(1);
    // Ctrl-C starts the shutdown: the run in hand is asked to stop, and the JVM waits until its results are printed.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      interruption.request();
      await(finished);
    }, "interrupt"));
    boolean someoneSits = outIsTerminal && Terminal.isTerminal(Terminal.STDIN);
    int code = execute(new Environment(out, err, outIsTerminal, Terminal.isTerminal(Terminal.STDERR), interruption,
        someoneSits ? RawTerminal::new : null), args);
    finished.countDown();
    System.exit(code);
  }

  private static void await(CountDownLatch finished) {
    try {
      finished.await(SECONDS_TO_FINISH, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Runs a command. @return its exit code */
  static int execute(Environment environment, String... args) {
    PrintWriter out = new PrintWriter(environment.out(), false, StandardCharsets.UTF_8);
    Gnomon gnomon = new Gnomon(environment);
    Errors errors = new Errors(gnomon, environment.err());
    CommandLine commandLine = new CommandLine(gnomon)
        .setOut(out)
        .setErr(environment.err())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setAbbreviatedOptionsAllowed(false)
        .setColorScheme(CommandLine.Help.defaultColorScheme(environment.outIsTerminal() ? CommandLine.Help.Ansi.ON
        : CommandLine.Help.Ansi.OFF)).setParameterExceptionHandler(errors)
        .setExecutionExceptionHandler(errors)
        .setExecutionStrategy(parsed -> {
          if (gnomon.verbose()) {
            ((ch.qos.logback.classic.Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME))
                .setLevel(Level.DEBUG);
          }
          return new CommandLine.RunLast().execute(parsed);
        });
    commandLine.getSubcommands().get("completion").setColorScheme(commandLine.getColorScheme());
    int code;
    try {
      code = commandLine.execute(args);
    } catch (OutOfMemoryError | StackOverflowError e) {
      // picocli passes only exceptions to its handlers.
      environment.err().println("gnomon: the Java heap is too small (" + e.getClass().getSimpleName()
          + "): expected more with java -Xmx");
      code = ExitCode.INTERNAL_ERROR;
    }
    out.flush();
    environment.err().flush();
    return code;
  }
}
