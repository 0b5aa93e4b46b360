package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Bad input gives one line on stderr that names the cause and what was expected, and exit code 2. */
class BadInputTest {
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "''                                        | no command: expected one of run, compare",
      "frobnicate                                | unknown command 'frobnicate'",
      "comparr                                   | did you mean compare",
      "run                                       | no guest: expected one workload",
      "run gups ptchurn                          | argument too many: 'ptchurn'",
      "run gubs                                  | did you mean \"gups\"?",
      "run gups:updates=0                        | expected 1 to",
      "run gups:sise=3                           | did you mean \"size\"?",
      "run gups --max-instruction 5              | or --max-instructions?",
      "run gups --max-instructions many          | expected a count such as",
      "run gups --max-instructions -1            | expected a count such as",
      "run gups -m 0                             | expected at least 4096",
      "run gups -m 4K                            | expected at least",
      "run gups -m 900G                          | expected at most",
      "run gups -m 99999999999999999999G         | expected a size such as",
      "run gups -m 4097B                         | expected a multiple of 4096",
      "run gups --mode vmx                       | expected native, ept or shadow",
      "run gups --tlb z80                        | expected one of skylake",
      "run gups --no-pwc                         | expected a counted TLB",
      "run gups --no-count --tlb zen2            | contradict each other",
      "run gups --backing 8k                     | expected 4k, 2m or 1g",
      "run gups --ept-page 4m                    | expected 4k, 2m or 1g",
      "run gups --shadow no-such                 | expected no-unsync",
      "run gups --shadow pages=1                 | expected at least 32",
      "run gups --ns-per-instruction 0           | expected 1 to 1000000",
      "run gups --ns-per-instruction fast        | expected a whole number",
      "run gups --cpu z80                        | expected minimal, default, max",
      "run gups --cpu max,+avx                   | processor feature 'avx': expected one of",
      "run gups --cpu minimal,+sse4.2            | sse4.2 needs sse4.1",
      "run gups --blocks 0                       | expected 1 to 64",
      "run gups --seed x                         | expected a whole number",
      "run gups --cpus 0                         | 0 processors: expected 1 to 64",
      "run gups --cpus 65 --machine pc           | 65 processors: expected 1 to 64",
      "run gups --cpus 2                         | 2 processors on machine minimal: expected machine pc with them",
      "run gups --turn 0 --cpus 2                | turns of 0 instructions: expected at least 1",
      "run gups --cpus two                       | expected a whole number",
      "run gups --machine pc --cpus 64 --shadow pages=64 | expected at least 284 with 64 processors",
      "exits gups --vcpu 1                       | --vcpu 1: expected 0 to 0, or more with --cpus",
      "exits gups --vcpu 0 --event mmio          | device memory is counted for all together",
      "walk 1000 gups --machine pc --cpus 2 --vcpu 2 | --vcpu 2: expected 0 to 1",
      "run gups --append x                       | expected --kernel FILE",
      "run --kernel no/such/file                 | no/such/file: no such file",
      "run --kernel .                            | is a directory, expected a file",
      "compare gups --mode native,vmx            | expected native, ept or shadow",
      "compare gups --cost speed=3               | cost key 'speed' is unknown",
      "compare gups --cost exit.NOTHING=3        | cost key 'exit.NOTHING' is unknown",
      "compare gups --cost instruction           | expected KEY=CYCLES",
      "compare gups --cost instruction=-1        | expected KEY=CYCLES",
      "compare gups --cost-file no/such/file     | no/such/file: no such file",
      "compare gups --cost-profile z80           | expected one of clx-2.5GHz, prescott",
      "compare gups --out json                   | expected FORMAT:FILE",
      "compare gups --out xml:x                  | expected json, csv, md, html or text",
      "compare gups --out json:no/such/x         | expected a file in a directory that exists",
      "exits gups --event tea                    | expected vmexit, mmio or ioport",
      "exits gups -k size                        | expected sample or time",
      "walk                                      | missing required parameter: 'ADDRESS'",
      "walk zz gups:updates=1                    | expected a hexadecimal address",
      "walk $foo gups:updates=1                  | expected $rip",
      "walk 8000000000000000 gups:updates=1      | is not canonical",
      "walk 1000 gups --at noon                  | or begin or end",
      "initramfs                                 | missing required options: '--busybox=FILE'",
      "initramfs --busybox no/such --script x --out y | no/such: no such file",
      "initramfs --busybox pom.xml --script pom.xml --out target/x | pom.xml: is no ELF program, expected a static",
      "initramfs --busybox pom.xml --script pom.xml --out no/such/x | expected a file in a directory that exists",
      "trace gups --events tea                   | --events 'tea': expected exit, page_fault, inject",
      "trace gups --out csv:x                    | expected text:FILE, json:FILE, perfetto:FILE or speedscope:FILE",
      "trace gups --out json:no/such/x           | expected a file in a directory that exists",
      "trace gups --max-events some              | expected a count such as",
      "verify gups --every 0                      | --every 0: expected at least 1",
      "verify gups --modes native,vmx            | expected native, ept or shadow",
      "compare linux:fork                        | expected one --kernel FILE and --busybox FILE with it",
      "compare --workload linux:fort             | 'linux:fort' is unknown: expected linux:boot, linux:fork",
      "compare linux:fork,count=0                | expected count=N, the number of forks, 1 to",
      "compare linux:boot,count=3                | 'linux:boot,count=3': expected no parameter",
      "run --bios no/such                        | no/such: no such file",
      "run --bios pom.xml                        | expected a multiple of 4096",
      "run --disk pom.xml                        | no boot sector: expected 512 bytes with 55 AA at the end",
      "run --disk no/such                        | no/such: expected a disk image",
      "run gups --disk-write                     | --disk-write: expected --disk FILE with it",
      "run --video-bios pom.xml                  | --video-bios: expected --bios FILE with it",
      "run gups --busybox pom.xml                | --busybox: expected a linux: workload",
      "workloads linux:x                         | 'linux:x' is unknown",
      "workloads gubs                            | did you mean \"gups\"?",
      "bench -- --no-such                        | JMH:"})
  void shouldNameCauseAndExpectationInOneLine(String arguments, String expected) {
    Cli.Result result = Cli.run(arguments.isEmpty() ? new String[0] : arguments.split(" +"));
    assertThat(result.err()).startsWith("gnomon: ").contains(expected).endsWith("\n").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
    assertThat(result.out()).isEmpty();
  }

  @Test
  void shouldRefuseBrokenImages(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("image");
    byte[][] contents = {{}, {1, 2, 3}, {0x7F, 'E', 'L', 'F'}, new byte[5000]};
    for (byte[] bytes : contents) {
      Files.write(file, bytes);
      Cli.Result result = Cli.run("run", "--kernel", file.toString());
      assertThat(result.err()).startsWith("gnomon: ").contains("image").contains("expected").hasLineCount(1);
      assertThat(result.code()).isEqualTo(ExitCode.USAGE);
    }
  }

  @Test
  void shouldRefuseABrokenCostFileWithItsLine(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("costs");
    Files.writeString(file, "# mine\ninstruction = 2\nexit.CPUID\n");
    Cli.Result result = Cli.run("compare", "gups", "--cost-file", file.toString());
    assertThat(result.err()).contains("costs:3: ").contains("expected KEY=CYCLES").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
    Files.write(file, new byte[] {(byte) 0xFF});
    result = Cli.run("compare", "gups", "--cost-file", file.toString());
    assertThat(result.err()).contains("costs: is no text, expected lines KEY=CYCLES").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void shouldPrintTheStackTraceOnlyOnRequest() {
    assertThat(Cli.run("run", "gups", "-m", "0", "--stacktrace").err()).contains("\tat dev.gnomon");
    assertThat(Cli.run("run", "gups", "--mode", "vmx", "--stacktrace").err()).contains("\tat picocli");
  }
}
