package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExitsCommandTest {
  @TempDir
  private Path directory;

  private Cli.Result exits(String... more) {
    return Cli.run(TestGuests.arguments(directory, "exits", TestGuests::mixed, more));
  }

  @ParameterizedTest
  @CsvSource({"ept,vmexit", "shadow,vmexit", "shadow,mmio", "ept,ioport"})
  void shouldPrintWhatItDid(String mode, String event) {
    Cli.Result result = exits("--mode", mode, "--event", event);
    assertThat(result.code()).isZero();
    Golden.check("exits-" + mode + "-" + event + ".txt", result.out());
  }

  @Test
  void shouldKeepPerfsColumns() {
    List<String> lines = exits("--mode", "shadow").out().lines().toList();
    assertThat(lines).contains("Analyze events for all VMs, all VCPUs:",
        "             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time ");
    assertThat(lines)
        .anyMatch(line
        -> line.matches(" {7}EXCEPTION_NMI {1,10}\\d+ {1,8}[\\d.]+% {1,8}[\\d.]+% {1,9}[\\d.]+us {1,10}[\\d.]+us {1,10}"
        + "[\\d.]+us \\( \\+- {1,6}[\\d.]+% \\)"));
    assertThat(lines).anyMatch(line -> line.matches(" {4}hidden \\(shadow fill\\) +\\d+ .*"));
    assertThat(lines).anyMatch(line -> line.matches("Total Samples:\\d+, Total events handled time:[\\d.]+us\\."));
  }

  @Test
  void shouldSortBySamplesOrTime() throws IOException {
    JsonNode byTime = new ObjectMapper().readTree(exits("--mode", "shadow", "-k", "time", "--cost",
        "exit.CPUID=90000000", "--out", "json:-").out()).get("rows");
    double last = Double.MAX_VALUE;
    for (JsonNode row : byTime) {
      double time = row.get("samples").asLong() * row.get("averageMicroseconds").asDouble();
      assertThat(time).isLessThanOrEqualTo(last);
      last = time;
    }
    JsonNode bySample = new ObjectMapper().readTree(exits("--mode", "shadow", "--out", "json:-").out()).get("rows");
    assertThat(byTime.get(0).get("name").asText()).isEqualTo("CPUID");
    assertThat(bySample.get(0).get("name").asText()).isEqualTo("EXCEPTION_NMI");
  }

  /** The second processor waits for a start-up message that never comes, so that all exits are the first one's. */
  @Test
  void shouldCountByVirtualProcessor() throws IOException {
    String[] two = {"--mode", "ept", "--machine", "pc", "--cpus", "2"};
    JsonNode all = new ObjectMapper().readTree(exits(with(two, "--out", "json:-")).out());
    assertThat(all.get("vcpus").get(0).get("samples")).isEqualTo(all.get("totalSamples"));
    assertThat(all.get("vcpus").get(1).get("samples").asLong()).isZero();
    assertThat(exits(two).out()).containsPattern("vcpu +samples\n +0 +[1-9][0-9,]*\n +1 +0");
    assertThat(exits(with(two, "--vcpu", "0")).out()).contains("all VMs, VCPU 0:",
        "Total Samples:" + all.get("totalSamples").asLong() + ",");
    assertThat(exits(with(two, "--vcpu", "1")).out()).contains("all VMs, VCPU 1:", "Total Samples:0,");
  }

  private static String[] with(String[] some, String... more) {
    return Stream.concat(Arrays.stream(some), Arrays.stream(more)).toArray(String[]::new);
  }

  @Test
  void shouldAddUp() throws IOException {
    JsonNode report = new ObjectMapper().readTree(exits("--mode", "ept", "--out", "json:-").out());
    long samples = 0;
    double percent = 0;
    for (JsonNode row : report.get("rows")) {
      samples += row.get("samples").asLong();
      percent += row.get("timePercent").asDouble();
    }
    assertThat(samples).isEqualTo(report.get("totalSamples").asLong()).isPositive();
    assertThat(percent).isBetween(99.9, 100.1);
  }

  @Test
  void shouldSayThatNativeHasNone() {
    assertThat(exits("--mode", "native").out()).contains("native runs no hypervisor").contains("Total Samples:0");
  }
}
