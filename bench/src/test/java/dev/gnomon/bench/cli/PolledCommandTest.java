package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code gnomon polled}. */
class PolledCommandTest {
  private static final int REQUESTS = 60;
  private static final String[] SMALL = {"polled", "--requests", Integer.toString(REQUESTS), "--rate", "20k,400k",
      "--out", "json:-"};

  private static JsonNode run(String... more) throws IOException {
    List<String> arguments = new ArrayList<>(List.of(SMALL));
    arguments.addAll(List.of(more));
    return report(arguments);
  }

  private static JsonNode report(List<String> arguments) throws IOException {
    Cli.Result result = Cli.run(arguments.toArray(String[]::new));
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    return new ObjectMapper().readTree(result.out());
  }

  private static JsonNode find(JsonNode report, String mode, String backEnd, int rate) {
    for (JsonNode result : report.at("/results")) {
      if (result.at("/mode").asText().equals(mode) && result.at("/backEnd").asText().equals(backEnd)
          && result.at("/rate").asInt() == rate) {
        return result;
      }
    }
    throw new AssertionError("no result for " + mode + " " + backEnd + " " + rate);
  }

  private static double p50(JsonNode report, String mode, String backEnd) {
    return find(report, mode, backEnd, 20_000).at("/latency/p50").asDouble();
  }

  @Test
  void shouldExitAsEachBackEndMustAndOrderThemByLatency() throws IOException {
    JsonNode report = run();
    assertThat(report.at("/results")).hasSize(2 * 6 * 2);
    for (JsonNode result : report.at("/results")) {
      String name = result.at("/mode").asText() + " " + result.at("/backEnd").asText();
      long exits = result.at("/deviceExits").asLong();
      switch (result.at("/backEnd").asText()) {
        case "PORTS" -> assertThat(exits).as(name).isEqualTo(8 * REQUESTS);
        case "MMIO" -> assertThat(exits).as(name).isEqualTo(6 * REQUESTS);
        case "DOORBELL" -> assertThat(exits).as(name + ": bell, interrupt, its end").isEqualTo(3 * REQUESTS);
        default -> {
          assertThat(exits).as(name).isZero();
          assertThat(result.at("/exitsAvoided").asLong()).as(name).isEqualTo(3 * REQUESTS);
          assertThat(result.at("/exits").toString()).as(name)
              .doesNotContain("EPT_", "IO_INSTRUCTION", "mmio", "EXTERNAL_INTERRUPT");
        }
      }
      assertThat(result.at("/polls").asLong() - result.at("/emptyPolls").asLong())
          .as(name + ": each request is served once, some together").isBetween(1L, (long) REQUESTS);
      assertThat(result.at("/latency/p50").asLong()).as(name).isGreaterThanOrEqualTo(result.at("/service/p50").asLong())
          .isLessThanOrEqualTo(result.at("/latency/p99").asLong());
    }
    for (String mode : List.of("ept", "shadow")) {
      assertThat(p50(report, mode, "SPIN")).as("a look, not a round trip").isLessThan(200)
          .isLessThan(p50(report, mode, "DOORBELL"));
      assertThat(p50(report, mode, "DOORBELL")).isLessThan(p50(report, mode, "PORTS"));
      assertThat(p50(report, mode, "PORTS")).isLessThan(p50(report, mode, "MMIO"));
      assertThat(p50(report, mode, "PERIOD")).as("half a period, and more").isBetween(2000.0, 15_000.0);
      assertThat(find(report, mode, "SPIN", 20_000).at("/pollerCores").asDouble()).as("a whole processor")
          .isBetween(0.99, 1.0);
      assertThat(find(report, mode, "PERIOD", 20_000).at("/pollerCores").asDouble()).isLessThan(0.2);
    }
  }

  @Test
  void shouldFindTheRateFromWhichPollingPaysNearTheModels() throws IOException {
    JsonNode report = run("--mode", "ept", "--back-end", "doorbell,spin,period");
    assertThat(report.at("/model/rate").asDouble())
        .isEqualTo(1e9 / (540 + 2000 + 1060), org.assertj.core.api.Assertions.within(1.0));
    for (JsonNode crossover : report.at("/crossovers")) {
      double model = crossover.at("/model").asDouble();
      assertThat(crossover.at("/measured").asDouble()).as(crossover.toString()).isBetween(0.7 * model, 1.3 * model);
    }
    assertThat(report.at("/crossovers")).hasSize(2);
    assertThat(run("--mode", "ept", "--back-end", "doorbell,spin", "--cost", "host.wake=20000").at("/model/rate")
        .asDouble()).as("a dearer wake-up").isLessThan(120_000);
  }

  /** The adaptive poller's rule in a queue foretells what it costs and how long it lets wait in a machine. */
  @Test
  void shouldModelTheAdaptivePoller() throws IOException {
    JsonNode report =
        report(List.of("polled", "--out", "json:-", "--mode", "ept", "--back-end", "doorbell,adaptive", "--rate",
        "10k,30k,60k,100k,150k,200k", "--requests", "2000"));
    for (JsonNode result : report.at("/results")) {
      String name = result.at("/backEnd").asText() + " " + result.at("/rate").asInt();
      assertThat(result.at("/cores").asDouble() / result.at("/model/cores").asDouble()).as(name).isBetween(0.8, 1.25);
      if (result.at("/backEnd").asText().equals("ADAPTIVE")) {
        assertThat(result.at("/latency/mean").asDouble() / result.at("/model/latencyNs").asDouble()).as(name)
            .isBetween(0.75, 1.35);
      }
      assertThat(result.at("/burntNsPerCompletion").asDouble()).as(name)
          .isCloseTo(result.at("/cores").asDouble() * result.at("/virtualNs").asDouble() / 2000,
              org.assertj.core.api.Assertions.within(1.0));
    }
    JsonNode crossover = report.at("/crossovers/0");
    assertThat(crossover.at("/backEnd").asText()).isEqualTo("ADAPTIVE");
    assertThat(crossover.at("/measured").asDouble())
        .isBetween(0.7 * crossover.at("/model").asDouble(), 1.3 * crossover.at("/model").asDouble());
    JsonNode cheap = run("--mode", "ept", "--back-end", "doorbell,adaptive", "--cost", "poll.sleep=0", "--cost",
        "poll.idle=0", "--cost", "host.wake=50000");
    assertThat(cheap.at("/crossovers/0/model").isNull()).as("never dearer than the doorbell").isTrue();
  }

  @Test
  void shouldShowTheModelBesideWhatWasMeasured() {
    String text = Cli.run("polled", "--requests", "40", "--rate", "20k,50k", "--mode", "ept").out();
    assertThat(text).contains("beside the model, ept").containsPattern("doorbell +20,000 +\\S+ +3\\.60 +\\S+ +0\\.07 ")
        .containsPattern("spin +20,000 +\\S+ +0\\.02 +\\S+ +1\\.00 ")
        .containsPattern("period +50,000 +\\S+ +5\\.00 +\\S+ +0\\.10 ")
        .containsPattern("adaptive +50,000 +\\S+ +\\d+\\.\\d+ +\\S+ +0\\.\\d+ ");
  }

  @Test
  void shouldGiveEqualNumbersForEqualSeeds() throws IOException {
    ObjectNode one = (ObjectNode) run("--back-end", "doorbell,adaptive", "--seed", "7");
    ObjectNode two = (ObjectNode) run("--back-end", "doorbell,adaptive", "--seed", "7");
    ObjectNode other = (ObjectNode) run("--back-end", "doorbell,adaptive", "--seed", "8");
    for (ObjectNode report : List.of(one, two, other)) {
      report.remove("hostMs");
    }
    assertThat(two).isEqualTo(one);
    assertThat(other.at("/results")).isNotEqualTo(one.at("/results"));
  }

  @Test
  void shouldWriteAPageThatNeedsNothingElse(@TempDir Path directory) throws IOException {
    Path page = directory.resolve("polled.html");
    Path table = directory.resolve("polled.csv");
    Path markdown = directory.resolve("polled.md");
    Cli.Result result = Cli.run("polled", "--requests", "20", "--rate", "20k,50k", "--mode", "ept", "--back-end",
        "doorbell,spin", "--out", "html:" + page, "--out", "csv:" + table, "--out", "md:" + markdown);
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    assertThat(result.out()).contains("EXTERNAL_INTERRUPT  device interrupt", "cost table clx-2.5GHz",
        "host.wake 5000");
    String html = Files.readString(page);
    assertThat(html).contains("<canvas id=\"plot0\"", "median latency, ept", "processor cost, ept", "new Chart(")
        .doesNotContain("src=", "href=", "@import");
    assertThat(html.split("</script>", -1)).as("the library and the plots").hasSize(3);
    assertThat(Files.readAllLines(table)).hasSize(5);
    assertThat(Files.readString(markdown)).contains("| doorbell | 20,000 |");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "--back-end carrier-pigeon | expected one of ports, mmio, doorbell, spin, period, adaptive",
      "--rate 0                  | --rate 0: expected 1 to 100000000",
      "--rate often              | expected a count such as",
      "--requests 0              | --requests 0: expected 1 to 87381",
      "--requests 1M             | --requests 1000000: expected 1 to 87381",
      "--period soon             | --period 'soon': expected a time such as 500ns, 10us or 1ms",
      "--period 0                | poll period of 0 ns: expected at least 1",
      "--adaptive 1us            | --adaptive '1us': expected 3 times, separated by colons, such as",
      "--cpus 2 --machine pc     | --cpus 2: expected one processor",
      "--mode vmx                | expected native, ept or shadow",
      "--cost host.nap=3         | cost key 'host.nap' is unknown"})
  void shouldRefuseInOneLine(String options, String expected) {
    Cli.Result result = Cli.run(("polled " + options).split(" +"));
    assertThat(result.err()).startsWith("gnomon: ").contains(expected).endsWith("\n").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void shouldSayWhenTheBudgetEnds() {
    Cli.Result result = Cli.run("polled", "--requests", "20", "--rate", "20k", "--mode", "ept", "--back-end", "spin",
        "--max-instructions", "1000");
    assertThat(result.err()).contains("ept spin at 20000/s: instruction budget used up").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.BUDGET_USED_UP);
  }
}
