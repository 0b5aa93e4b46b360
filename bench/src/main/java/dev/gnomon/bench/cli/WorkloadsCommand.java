package dev.gnomon.bench.cli;

import dev.gnomon.bench.WorkloadList;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** {@code gnomon workloads}. */
@Command(name = "workloads",
    description = "Lists the workloads with their parameters and what those default to.",
    footer = {"  gnomon workloads", "  gnomon workloads gups", "  gnomon workloads --out json:-"})
final class WorkloadsCommand implements Callable<Integer> {
  @ParentCommand
  private Gnomon gnomon;
  @Spec
  private CommandSpec spec;
  @Parameters(paramLabel = "WORKLOAD", description = "Only these.")
  private List<String> names = List.of();
  @Mixin
  private OutputOptions output = new OutputOptions();

  @Override
  public Integer call() throws IOException {
    output.check();
    output.write(WorkloadList.of(names), spec.commandLine().getOut(), gnomon.environment().outIsTerminal());
    return ExitCode.DONE;
  }
}
