package dev.gnomon.bench.cli;

import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The {@code gnomon} command: a table of subcommands. */
@Command(name = "gnomon",
    description = "Runs x86 guests natively, under EPT and under shadow paging, and counts what memory "
        + "virtualization costs.",
    synopsisSubcommandLabel = "COMMAND",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    versionProvider = Version.class,
    usageHelpWidth = 110,
    sortOptions = false,
    commandListHeading = "%nCommands:%n",
    optionListHeading = "%nOptions:%n",
    parameterListHeading = "%nArguments:%n",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
        "0:done",
        "1:internal error",
        "2:usage: unknown option, bad value, unreadable or malformed file",
        "3:the guest died",
        "4:the instruction budget is used up",
        "5:a check failed",
        "130:ended by Ctrl-C"},
    footerHeading = "%nExamples:%n",
    footer = {
        "  gnomon compare",
        "  gnomon compare gups ptchurn --mode ept,shadow",
        "  gnomon run --kernel memtest86+x64.bin --append \"console=ttyS0,115200\" -m 8M --mode ept",
        "  gnomon exits ptchurn --mode shadow -k time",
        "  gnomon COMMAND --help"},
    subcommands = {RunCommand.class, CompareCommand.class, ExitsCommand.class, WalkCommand.class, TraceCommand.class,
        VerifyCommand.class,
    PolledCommand.class, WorkloadsCommand.class, InitramfsCommand.class, BenchCommand.class,
        Gnomon.Completion.class})
public final class Gnomon implements Runnable {
  private final Environment environment;

  @Spec
  private CommandSpec spec;

  @Option(names = "--stacktrace", scope = ScopeType.INHERIT, order = 1000,
      description = "Print the stack trace of an error.")
  private boolean stacktrace;

  @Option(names = "--verbose", scope = ScopeType.INHERIT, order = 1001,
      description = "Log what the machine does to stderr.")
  private boolean verbose;

  Gnomon(Environment environment) {
    this.environment = environment;
  }

  Environment environment() {
    return environment;
  }

  boolean stacktrace() {
    return stacktrace;
  }

  boolean verbose() {
    return verbose;
  }

  @Override
  public void run() {
    throw new CommandLine.ParameterException(spec.commandLine(), "no command: expected one of "
        + String.join(", ", spec.subcommands().keySet()));
  }

  /** Shell completion. */
  @Command(name = "completion", helpCommand = false,
      description = "Prints a completion script for bash and zsh.",
      footer = {"  source <(gnomon completion)"})
  static final class Completion implements Runnable {
    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
      CommandLine root = spec.root().commandLine();
      root.getOut().print(AutoComplete.bash(root.getCommandName(), root));
      root.getOut().flush();
    }
  }
}
