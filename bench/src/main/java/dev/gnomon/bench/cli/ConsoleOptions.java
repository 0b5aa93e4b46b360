package dev.gnomon.bench.cli;

import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.console.HostTerminal;
import dev.gnomon.bench.console.InputLog;
import dev.gnomon.bench.console.Keyboard;
import dev.gnomon.bench.console.Script;
import dev.gnomon.bench.console.Session;
import dev.gnomon.vmm.device.ByteSink;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** Options that say who uses the guest's console. */
final class ConsoleOptions {
  private static final long DEFAULT_TIMEOUT = 2_000_000_000;

  /** One step of a script. */
  static final class Step {
    @Option(names = "--expect", paramLabel = "TEXT", required = false,
        description = "Wait until the guest has written TEXT on its console.")
    private String expect;
    @Option(names = "--send", paramLabel = "TEXT", required = false,
        description = "Then type TEXT; \\n, \\r, \\t, \\e, \\\\ and \\xHH stand for characters.")
    private String send;
  }

  @Option(names = "--interactive", negatable = true, fallbackValue = "true",
      description = "Let the terminal's keyboard be the guest's. Default: on a terminal, unless --expect, --send or "
          + "--replay is given.")
  private Boolean interactive;

  @ArgGroup(exclusive = false, multiplicity = "0..*")
  private List<Step> steps = new ArrayList<>();

  @Option(names = "--expect-timeout", paramLabel = "N", converter = Quantity.Count.class,
      description = "Instructions after which an --expect has failed, exit code 5. Default: 2G.")
  private Long timeout;

  @Option(names = "--record", paramLabel = "FILE",
      description = "Write all input to a log, stamped with instruction counts.")
  private Path record;

  @Option(names = "--replay", paramLabel = "FILE",
      description =
          "Give the guest the input of a log and run to where it ends; in any mode, with the same machine and "
          + "guest.")
  private Path replay;

  /** Whether input is recorded or replayed. */
  boolean logs() {
    return record != null || replay != null;
  }

  /** A console as the options want it. */
  Session session(ByteSink screen) throws IOException {
    if (replay != null && (!steps.isEmpty() || Boolean.TRUE.equals(interactive) || record != null)) {
      throw new IllegalArgumentException("--replay: expected no --expect, --send, --interactive or --record with it");
    }
    if (timeout != null && steps.isEmpty()) {
      throw new IllegalArgumentException("--expect-timeout: expected --expect TEXT with it");
    }
    if (record != null) {
      InputFile.checkTarget("--record", record);
    }
    Session session = new Session(screen);
    if (!steps.isEmpty()) {
      List<Script.Step> script = new ArrayList<>();
      for (Step step : steps) {
        byte[] send = step.send == null ? new byte[0] : Script.unescape(step.send);
        byte[] expect = step.expect == null ? new byte[0] : Script.unescape(step.expect);
        script.add(new Script.Step(new String(expect, StandardCharsets.UTF_8), send));
      }
      session.follow(new Script(script, timeout == null ? DEFAULT_TIMEOUT : timeout));
    }
    if (replay != null) {
      session.replay(InputLog.parse(replay.toString(), InputFile.lines(replay, "an input log as --record writes it")));
    }
    return session;
  }

  /** The guest is loaded. */
  void begin(Session session, GuestRun run) throws IOException {
    if (record != null) {
      session.record(new PrintWriter(Files.newBufferedWriter(record)));
    }
    run.attach(session);
    session.begin(run.vm(), run.guest().parameters(), String.valueOf(replay));
  }

  /** Opens the keyboard, if it is to be used, until it is closed. */
  Typing typing(Session session, GuestRun run, Runnable flush, Environment environment) throws IOException {
    boolean wanted = interactive != null ? interactive
        : environment.terminal() != null && steps.isEmpty() && replay == null;
    if (!wanted) {
      return new Typing(null, null);
    }
    if (environment.terminal() == null) {
      throw new IllegalArgumentException("--interactive: expected a terminal on standard input and output");
    }
    HostTerminal terminal;
    try {
      terminal = open(environment);
    } catch (IOException e) {
      if (interactive != null) {
        throw e;
      }
      environment.err().println("gnomon: " + e.getMessage() + "; the guest gets no input");
      return new Typing(null, null);
    }
    Keyboard keyboard = new Keyboard(terminal, session, run::stop, flush, environment.interruption()::requested);
    run.attach(keyboard);
    keyboard.start();
    return new Typing(terminal, keyboard);
  }

  private static HostTerminal open(Environment environment) throws IOException {
    try {
      return environment.terminal().call();
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException("cannot open the terminal: " + e.getMessage(), e);
    }
  }

  /** The keyboard while it is used. Both null if it is not. */
  record Typing(HostTerminal terminal, Keyboard keyboard) implements AutoCloseable {
    boolean left() {
      return keyboard != null && keyboard.left();
    }

    @Override
    public void close() {
      if (terminal != null) {
        terminal.close();
      }
    }
  }
}
