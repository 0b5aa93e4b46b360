package dev.gnomon.bench.cli;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --dirty-log} of run and compare. */
class DirtyLogCommandTest {
  private static final int PAGES = 50;
  private static final long DATA = 0x400000;

  @TempDir
  private Path directory;

  /** Writes a byte of each of {@link #PAGES} pages, twice; 4 instructions a page. */
  private static void guest(Assembler a) {
    for (int round = 0; round < 2; round++) {
      a.mov(EDI, DATA);
      a.mov(ECX, PAGES);
      Label next = a.here();
      a.mov(ptr(EDI), AL);
      a.add(EDI, 4096);
      a.dec(ECX);
      a.jnz(next);
    }
    TestGuests.exit(a, 0);
  }

  private Cli.Result run(String... more) {
    return Cli.run(TestGuests.arguments(directory, "run", DirtyLogCommandTest::guest, more));
  }

  private static JsonNode json(Cli.Result result) throws IOException {
    return new ObjectMapper().readTree(result.out());
  }

  @ParameterizedTest
  @CsvSource({"ept, wp", "ept, dbit", "ept, pml", "shadow, wp"})
  void shouldReportPagesByPeriod(String mode, String method) throws IOException {
    Cli.Result result = run("--mode", mode, "--dirty-log", method, "--dirty-period", "202", "--out", "json:-");
    assertThat(result.code()).as(result.err()).isEqualTo(ExitCode.DONE);
    JsonNode log = json(result).get("dirtyLog");
    assertThat(log.get("method").asText()).isEqualTo(method);
    assertThat(log.get("scope").asText()).isEqualTo("whole run");
    JsonNode slots = log.get("slots");
    long tables = slots.get(0).get("written").asLong();
    assertThat(slots.get(0).get("name").asText()).isEqualTo("low RAM");
    assertThat(tables).as("of the guest's three page tables").isBetween(0L, 3L);
    assertThat(slots.get(1).get("name").asText()).isEqualTo("RAM");
    assertThat(slots.get(1).get("written").asLong()).isEqualTo(PAGES);
    assertThat(log.get("written").asLong()).isEqualTo(PAGES + tables);
    JsonNode periods = log.get("periods");
    assertThat(periods).hasSize(3);
    assertThat(periods.get(0).get("pages").asLong()).isEqualTo(PAGES + tables);
    assertThat(periods.get(0).get("first").asLong()).isEqualTo(PAGES + tables);
    assertThat(periods.get(1).get("begin").asLong()).isEqualTo(202);
    assertThat(periods.get(1).get("end").asLong()).isEqualTo(404);
    assertThat(periods.get(1).get("pages").asLong()).isBetween((long) PAGES, PAGES + tables);
    assertThat(periods.get(1).get("first").asLong()).isZero();
  }

  @Test
  void shouldPrintATableWithoutStats() {
    Cli.Result result = run("--mode", "ept", "--dirty-log", "pml", "--dirty-period", "202");
    assertThat(result.out()).contains("dirty log by pml, whole run: 53 of 1,952 pages written (0.2 MiB)")
        .containsPattern("RAM +1,792 +50\\b").contains("3 periods, 109 pages fetched, 36.3 a period");
    assertThat(run("--mode", "ept").out()).doesNotContain("dirty log");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "--mode native --dirty-log wp | expected ept or shadow",
      "--mode shadow --dirty-log pml | or the method wp",
      "--mode ept --no-ept-ad --dirty-log dbit | expected mode ept with accessed and dirty flags",
      "--mode ept --dirty-log page | expected wp (write-protection), dbit",
      "--mode ept --dirty-period 5 | expected --dirty-log METHOD with it",
      "--mode ept --ept levels=6 | expected levels=4, levels=5, mbec, ve or views=N",
      "--mode ept --ept views=0 | expected 1 to 512"})
  void shouldRefuseWhatTheMachineDoesNotHave(String arguments, String message) {
    Cli.Result result = run(arguments.split(" "));
    assertThat(result.err()).contains(message);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
  }

  @ParameterizedTest
  @CsvSource({"wp", "dbit", "pml"})
  void shouldCompareModesByWhatWorkloadsWriteInTheirRegion(String method) throws IOException {
    Cli.Result result = Cli.run("compare", "gups:updates=400,size=1M", "--dirty-log", method, "--ept", "levels=5,mbec",
        "--out", "json:-");
    assertThat(result.code()).as(result.err()).isEqualTo(ExitCode.DONE);
    JsonNode modes = json(result).get("guests").get(0).get("modes");
    assertThat(modes.get(0).has("dirtyLog")).as("native").isFalse();
    JsonNode ept = modes.get(1).get("dirtyLog");
    JsonNode shadow = modes.get(2).get("dirtyLog");
    assertThat(ept.get("method").asText()).isEqualTo(method);
    assertThat(shadow.get("method").asText()).isEqualTo("wp");
    assertThat(ept.get("scope").asText()).isEqualTo("measured region");
    assertThat(shadow.get("written").asLong()).isBetween(1L, 300L);
    assertThat(ept.get("written").asLong()).as("EPT's A and D flags make guest tables count that are only read")
        .isGreaterThanOrEqualTo(shadow.get("written").asLong());
    assertThat(Cli.run("compare", "gups:updates=400,size=1M", "--dirty-log", method).out()).contains("pages fetched");
  }
}
