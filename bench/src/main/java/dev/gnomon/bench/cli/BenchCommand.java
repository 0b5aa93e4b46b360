package dev.gnomon.bench.cli;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code gnomon bench}. */
@Command(name = "bench",
    description = {"Runs the JMH benchmarks of Gnomon's own speed on this host; arguments go to JMH.",
        "dispatch, RAM access, soft-TLB hit, 1-D walk, 2-D walk, shadow fill, exit round trip, sync."},
    footer = {
        "  gnomon bench -- -l",
        "  gnomon bench -- Walk -f 1 -wi 3 -i 5",
        "  gnomon bench -- Dispatch -prof gc"})
final class BenchCommand implements Callable<Integer> {
  @Parameters(paramLabel = "JMH-ARGUMENT", description = "Options and name patterns of JMH, behind --.")
  private List<String> arguments = List.of();

  @Override
  public Integer call() throws IOException {
    try {
      CommandLineOptions options = new CommandLineOptions(arguments.toArray(String[]::new));
      Runner runner = new Runner(options);
      if (options.shouldList()) {
        runner.list();
      } else if (options.shouldHelp()) {
        options.showHelp();
      } else {
        runner.run();
      }
      return ExitCode.DONE;
    } catch (CommandLineOptionException | RunnerException e) {
      throw new IllegalArgumentException("JMH: " + e.getMessage(), e);
    }
  }
}
