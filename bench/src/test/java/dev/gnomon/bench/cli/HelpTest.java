package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HelpTest {
  @ParameterizedTest
  @ValueSource(strings = {"run", "compare", "exits", "walk", "trace", "verify", "workloads", "initramfs", "bench",
      "completion"})
  void shouldExplainEachCommandWithExamplesAndExitCodes(String command) {
    Cli.Result result = Cli.run(command, "--help");
    assertThat(result.code()).isZero();
    assertThat(result.err()).isEmpty();
    assertThat(result.out()).contains("Usage: gnomon " + command).contains("Examples:").contains("gnomon " + command)
        .contains("Exit codes:").doesNotContain("\u001b");
    assertThat(Cli.run("--help").out()).contains(command);
  }

  @Test
  void shouldTellTheVersion() {
    Cli.Result result = Cli.run("--version");
    assertThat(result.code()).isZero();
    assertThat(result.out()).startsWith("gnomon ").contains("Java ");
  }

  @Test
  void shouldPrintACompletionScriptWithEveryCommand() {
    Cli.Result result = Cli.run("completion");
    assertThat(result.code()).isZero();
    assertThat(result.out()).contains("complete -F").contains("compare").contains("--max-instructions")
        .contains("walk");
  }

  @Test
  void shouldListWorkloadsWithTheirParameters() {
    Cli.Result result = Cli.run("workloads", "gups");
    assertThat(result.code()).isZero();
    assertThat(result.out()).contains("gups:").contains("size").contains("updates").doesNotContain("ptchurn");
    assertThat(Cli.run("workloads").out()).contains("ptchurn").contains("polled");
  }
}
