package dev.gnomon.bench.cli;

import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.DX;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.gnomon.bench.Interruption;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RunCommandTest {
  @TempDir
  private Path directory;

  private Cli.Result run(Consumer<Assembler> code, String... more) {
    return Cli.run(TestGuests.arguments(directory, "run", code, more));
  }

  @ParameterizedTest
  @ValueSource(strings = {"native", "ept", "shadow"})
  void shouldPrintTheSerialConsoleAndNothingElseOnStdout(String mode) {
    Cli.Result result = run(a -> {
      TestGuests.print(a, "hello\n");
      TestGuests.exit(a, 0);
    }, "--mode", mode);
    assertThat(result.out()).isEqualTo("hello\n");
    assertThat(result.err()).startsWith("gnomon: the guest reports success").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
  }

  /** The boot sector looks for device 1 and ends the run with 0 if it is there. */
  @Test
  void shouldStartTheBootSectorOfTheFirstOfTwoDisksOnAMachinePc() throws IOException {
    Assembler a = new Assembler(16);
    a.mov(DX, 0x1F6);
    a.mov(AL, 0xF0);
    a.out(DX, AL);
    a.inc(DX);
    a.in(AL, DX);
    a.sub(AL, 0x50);
    a.mov(DX, 0xF4);
    a.out(DX, AL);
    byte[] sector = Arrays.copyOf(a.assemble(0x7C00), 512);
    sector[510] = 0x55;
    sector[511] = (byte) 0xAA;
    String first = Files.write(directory.resolve("first.img"), sector).toString();
    String second = Files.write(directory.resolve("second.img"), new byte[1]).toString();
    assertThat(Cli.run("run", "--disk", first, "--disk", second, "--cpus", "2").err())
        .startsWith("gnomon: the guest reports success");
    assertThat(Cli.run("run", "--disk", first).err()).contains("exit status 353");
    Cli.Result twice = Cli.run("run", "--disk", first, "--disk", first);
    assertThat(twice.err()).contains("twice: expected another image").hasLineCount(1);
    assertThat(twice.code()).isEqualTo(ExitCode.USAGE);
    assertThat(Cli.run("run", "--disk", first, "--disk", second, "--disk", first).err())
        .contains("expected at most 2 disks");
  }

  @Test
  void shouldTellAGuestsFailure() {
    Cli.Result result = run(a -> TestGuests.exit(a, 3));
    assertThat(result.err()).contains("reports failure, exit status 7").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.GUEST_DIED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"native", "ept", "shadow"})
  void shouldReportATripleFaultWithRegisters(String mode) {
    Cli.Result result = run(Assembler::ud2, "--mode", mode);
    assertThat(result.err()).startsWith("gnomon: the guest died: triple fault at rip 0x").contains("RAX=")
        .contains("CR0=");
    assertThat(result.code()).isEqualTo(ExitCode.GUEST_DIED);
  }

  @Test
  void shouldStopAtTheBudget() {
    Cli.Result result = run(a -> {
      Label loop = a.here();
      a.jmp(loop);
    }, "--max-instructions", "1.5K");
    assertThat(result.err()).contains("instruction budget used up after 1,500 instructions, at rip 0x")
        .contains("in ring 0").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.BUDGET_USED_UP);
  }

  @Test
  void shouldStopAPanickedKernelAndRepeatItsLastLines() {
    Cli.Result result = run(a -> {
      TestGuests.print(a, "one\nKernel panic - not syncing: no init\nCall Trace:\n---[ end Kernel panic ]---\n");
      Label loop = a.here();
      a.jmp(loop);
    }, "--max-instructions", "100M");
    assertThat(result.err()).startsWith("gnomon: the guest's kernel panicked, after ")
        .contains("one\nKernel panic - not syncing: no init\nCall Trace:\n---[ end");
    assertThat(result.code()).isEqualTo(ExitCode.GUEST_DIED);
  }

  @Test
  void shouldTellAPanicThoughTheKernelResetsTheMachine() {
    Cli.Result result = run(a -> {
      TestGuests.print(a, "Kernel panic - not syncing: no init\n");
      a.mov(DX, 0xCF9);
      a.mov(AL, 6);
      a.out(DX, AL);
      a.hlt();
    });
    assertThat(result.err()).contains("panicked");
    assertThat(result.code()).isEqualTo(ExitCode.GUEST_DIED);
  }

  @Test
  void shouldCallAGuestThatHaltsForEverDone() {
    Cli.Result result = run(a -> {
      a.cli();
      a.hlt();
    });
    assertThat(result.err()).contains("halted for ever").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
  }

  @Test
  void shouldEndAnInterruptedRunWithWhatThereIs() {
    Interruption interruption = new Interruption();
    interruption.request();
    Cli.Result result = Cli.run(interruption, TestGuests.arguments(directory, "run", a -> {
      Label loop = a.here();
      a.jmp(loop);
    }, "--stats"));
    assertThat(result.err()).contains("interrupted after");
    assertThat(result.out()).contains("instructions");
    assertThat(result.code()).isEqualTo(ExitCode.INTERRUPTED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"compare gups", "exits gups", "trace gups", "verify gups", "walk 1000 gups"})
  void shouldEndCleanlyWhenInterruptedWhileAGuestIsMade(String command) {
    Interruption interruption = new Interruption();
    interruption.request();
    Cli.Result result = Cli.run(interruption, command.split(" "));
    assertThat(result.err()).isEqualTo("gnomon: interrupted before a guest ran\n");
    assertThat(result.out()).isEmpty();
    assertThat(result.code()).isEqualTo(ExitCode.INTERRUPTED);
  }

  @Test
  void shouldPrintTheScreen() {
    Cli.Result result = run(TestGuests::mixed, "--screen");
    assertThat(result.out().lines().findFirst()).contains("A");
    assertThat(result.out()).hasLineCount(25);
  }

  @Test
  void shouldCountOnlyWhenAsked() throws IOException {
    assertThat(misses()).isZero();
    assertThat(misses("--count")).isPositive();
    assertThat(misses("--tlb", "nehalem")).isPositive();
    assertThat(misses("--no-count")).isZero();
  }

  private long misses(String... more) throws IOException {
    String[] all = java.util.Arrays.copyOf(more, more.length + 2);
    all[more.length] = "--out";
    all[more.length + 1] = "json:-";
    JsonNode json = new ObjectMapper().readTree(run(TestGuests::mixed, all).out());
    return json.at("/counters/tlb/misses").asLong();
  }

  @Test
  void shouldGiveTheSameNumbersTwiceAndWithBlocksOfOneInstruction() throws IOException {
    JsonNode first = numbers("64");
    assertThat(numbers("64")).isEqualTo(first);
    assertThat(numbers("1")).isEqualTo(first);
  }

  private JsonNode numbers(String blocks) throws IOException {
    Cli.Result result = run(TestGuests::mixed, "--count", "--mode", "shadow", "--blocks", blocks, "--out", "json:-");
    return new ObjectMapper().readTree(result.out()).get("counters");
  }
}
