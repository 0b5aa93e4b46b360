package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class WalkCommandTest {
  private static final String GUEST = "gups:size=64K,updates=10";
  private static final String HEAP = "0x100000123";

  @TempDir
  private Path directory;

  private static JsonNode walks(String... args) throws IOException {
    String[] all = java.util.Arrays.copyOf(args, args.length + 1);
    all[args.length] = "--json";
    Cli.Result result = Cli.run(all);
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isZero();
    return new ObjectMapper().readTree(result.out()).get("walks");
  }

  @ParameterizedTest
  @CsvSource({
      "native, 2m, 4k, 4, 0",
      "ept,    4k, 4k, 4, 20",
      "ept,    2m, 4k, 4, 15",
      "ept,    4k, 2m, 3, 16",
      "ept,    2m, 2m, 3, 12",
      "shadow, 4k, 4k, 4, 0",
      "shadow, 2m, 2m, 3, 0"})
  void shouldShowEachReadOfTheWalk(String mode, String backing, String page, int guestReads, int eptReads)
  throws IOException {
    JsonNode walk = walks("walk", "0x100000123", "gups:size=4M,updates=10,page=" + page, "--mode", mode, "--backing",
        backing).get(0);
    assertThat(walk.get("guestReads").asInt()).isEqualTo(guestReads);
    assertThat(walk.get("eptReads").asInt()).isEqualTo(eptReads);
    JsonNode rows = walk.get("rows");
    assertThat(rows).hasSize(guestReads + 1);
    assertThat(rows.get(rows.size() - 1).get("name").asText()).isEqualTo("data");
    assertThat(walk.get("outcome").asText()).startsWith("= hpa 0x").contains("rw-");
    int read = 1;
    for (JsonNode row : rows) {
      assertThat(row.get("firstRead").asInt()).isEqualTo(read);
      read = row.get("lastRead").asInt() + 1;
    }
    assertThat(read - 1).isEqualTo(guestReads + eptReads);
  }

  @Test
  void shouldShowTheGuestsTablesBesideTheShadows() throws IOException {
    JsonNode walks = walks("walk", HEAP, GUEST, "--mode", "shadow");
    assertThat(walks).hasSize(2);
    assertThat(walks.get(0).get("tables").asText()).startsWith("shadow tables");
    assertThat(walks.get(1).get("tables").asText()).startsWith("guest tables");
    assertThat(walks.get(1).get("outcome").asText()).startsWith("= gpa 0x");
  }

  @ParameterizedTest
  @CsvSource({"native, delivered to the guest", "ept, delivered to the guest without an exit",
      "shadow, reflected to the guest"})
  void shouldSayWhoGetsAFault(String mode, String expected) throws IOException {
    JsonNode walk = walks("walk", "0x100000000", "touchall:size=64K", "--mode", mode, "--at", "begin", "-w",
        "-u").get(0);
    assertThat(walk.get("outcome").asText()).startsWith("#PF error 0x6 (W|U, not present)").contains(expected);
  }

  @Test
  void shouldSayThatAShadowEntryWouldBeFilled() throws IOException {
    String[] args = TestGuests.arguments(directory, "walk", TestGuests::mixed, "0x500000", "--mode", "shadow", "--at",
        "2");
    JsonNode walk = walks(args).get(0);
    assertThat(walk.get("outcome").asText()).contains("hidden from the guest");
  }

  @Test
  void shouldShowAnExit() throws IOException {
    String[] args = TestGuests.arguments(directory, "walk", TestGuests::mixed, "0x400000", "--mode", "ept", "--at",
        "2", "-w");
    assertThat(walks(args).get(0).get("outcome").asText()).startsWith("EPT_VIOLATION exit for gpa 0x400000")
        .contains("ACC_WRITE");
  }

  @ParameterizedTest
  @ValueSource(strings = {"native", "ept", "shadow"})
  void shouldChangeNothing(String mode) {
    String[] plain = TestGuests.arguments(directory, "walk", TestGuests::mixed, "$rip", "--mode", mode, "--at", "500",
        "-x", "--grid");
    Cli.Result first = Cli.run(plain);
    Golden.check("walk-" + mode + ".txt", first.out());
    assertThat(Cli.run(plain).out()).isEqualTo(first.out());
  }

  @Test
  void shouldTakeLabelsOfTheWorkload() {
    assertThat(Cli.run("walk", "result_report+0x8", GUEST, "--mode", "native").out()).startsWith("gva 0xffffffff8");
  }
}
