package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TraceCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir
  private Path directory;

  private Cli.Result trace(String... more) {
    return Cli.run(TestGuests.arguments(directory, "trace", TestGuests::mixed, more));
  }

  @ParameterizedTest
  @ValueSource(strings = {"ept", "shadow"})
  void shouldPrintTheKernelsNamesFieldsAndFormats(String mode) {
    Cli.Result result = trace("--mode", mode, "--events", "all", "--max-events", "150");
    Golden.check("trace-" + mode + ".txt", result.out());
    assertThat(result.err()).isEqualTo("gnomon: 150 events in " + result.err().replaceAll(".* in |\\R", "") + "\n");
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
  }

  @Test
  void shouldTellOfGuestEventsNatively() {
    Cli.Result result =
        Cli.run("trace", "pfloop:iterations=5", "--mode", "native", "--events", "guest,tlb", "--region");
    assertThat(result.out()).contains("guest_event: vector 0xe type exception").contains("tlb_fill: addr ")
        .doesNotContain("kvm_");
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
  }

  @Test
  void shouldCountWhatExitsCounts() throws IOException {
    String[] lines =
        Cli.run("trace", "ptchurn:iterations=50", "--mode", "shadow", "--region", "--events", "exit", "--out", "json:-")
        .out().split("\n");
    List<JsonNode> events = new ArrayList<>();
    for (String line : lines) {
      events.add(JSON.readTree(line));
    }
    long invlpg = events.stream().filter(event -> event.path("reason").asText().equals("INVLPG")).count();
    assertThat(invlpg).isEqualTo(50);
    long before = 0;
    String last = "";
    for (JsonNode event : events) {
      assertThat(event.get("ns").asLong()).isGreaterThanOrEqualTo(before);
      assertThat(event.get("event").asText()).as("entries and exits alternate").isNotEqualTo(last);
      before = event.get("ns").asLong();
      last = event.get("event").asText();
    }
  }

  @Test
  void shouldWriteSlicesThatPerfettoOpens() throws IOException {
    Path file = directory.resolve("trace.json");
    assertThat(trace("--mode", "shadow", "--out", "perfetto:" + file, "--events", "all").out()).isEmpty();
    JsonNode json = JSON.readTree(Files.readString(file));
    assertThat(json.get("displayTimeUnit").asText()).isEqualTo("ns");
    double end = 0;
    int slices = 0;
    for (JsonNode event : json.get("traceEvents")) {
      String phase = event.get("ph").asText();
      assertThat(phase).isIn("M", "X", "i");
      assertThat(event.get("pid").isInt() && event.get("tid").isInt()).isTrue();
      if (phase.equals("X") && event.get("tid").asInt() == 1) {
        slices++;
        assertThat(event.get("ts").asDouble()).as("slices of a lane do not overlap").isGreaterThanOrEqualTo(end);
        end = event.get("ts").asDouble() + event.get("dur").asDouble();
      }
    }
    assertThat(slices).isGreaterThan(2);
  }

  @Test
  void shouldWriteAProfileThatSpeedscopeOpens() throws IOException {
    Path file = directory.resolve("trace.speedscope.json");
    trace("--mode", "ept", "--out", "speedscope:" + file);
    JsonNode json = JSON.readTree(Files.readString(file));
    assertThat(json.get("$schema").asText()).isEqualTo("https://www.speedscope.app/file-format-schema.json");
    int frames = json.at("/shared/frames").size();
    JsonNode profile = json.at("/profiles/0");
    assertThat(profile.get("type").asText()).isEqualTo("evented");
    Deque<Integer> open = new ArrayDeque<>();
    long at = profile.get("startValue").asLong();
    for (JsonNode event : profile.get("events")) {
      assertThat(event.get("at").asLong()).isGreaterThanOrEqualTo(at);
      at = event.get("at").asLong();
      int frame = event.get("frame").asInt();
      assertThat(frame).isBetween(0, frames - 1);
      if (event.get("type").asText().equals("O")) {
        open.push(frame);
      } else {
        assertThat(open.pop()).isEqualTo(frame);
      }
    }
    assertThat(open).isEmpty();
    assertThat(profile.get("endValue").asLong()).isEqualTo(at);
  }

  @Test
  void shouldBeginLate() throws IOException {
    String first = trace("--mode", "ept", "--from", "500", "--out", "json:-").out().lines().findFirst().orElseThrow();
    assertThat(JSON.readTree(first).get("instructions").asLong()).isGreaterThanOrEqualTo(500);
  }

  @Test
  void shouldNotChangeWhatTheGuestOrTheCountersSee() throws IOException {
    String[] all = {"--mode", "shadow", "--events", "all"};
    String traced = trace(all).err();
    String plain =
        Cli.run(TestGuests.arguments(directory, "run", TestGuests::mixed, "--mode", "shadow", "--out", "json:-")).out();
    assertThat(traced.replaceAll("[^0-9 ]", ""))
        .contains(" " + JSON.readTree(plain).at("/counters/instructions").asText());
    long exits =
        Arrays.stream(trace("--mode", "shadow", "--events", "kvm_exit", "--out", "json:-").out().split("\n")).count();
    assertThat(exits).isEqualTo(JSON.readTree(plain).at("/counters/exitTotal").asLong());
  }
}
