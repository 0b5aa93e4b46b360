package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompareCommandTest {
  private static final String SMALL = "gups:size=256K,updates=2000";

  @TempDir
  private Path directory;

  private static JsonNode json(String... args) throws IOException {
    String[] all = java.util.Arrays.copyOf(args, args.length + 2);
    all[args.length] = "--out";
    all[args.length + 1] = "json:-";
    Cli.Result result = Cli.run(all);
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isZero();
    JsonNode tree = new ObjectMapper().readTree(result.out());
    tree.findParents("host").forEach(mode -> ((ObjectNode) mode).remove("host"));
    return tree;
  }

  @Test
  void shouldCompareAKernelOverAGivenNumberOfInstructions() {
    Cli.Result result = Cli.run(TestGuests.arguments(directory, "compare", TestGuests::mixed, "--max-instructions",
        "1000"));
    assertThat(result.code()).isZero();
    Golden.check("compare.txt", result.modelled());
  }

  @Test
  void shouldGiveTheSameNumbersTwice() throws IOException {
    assertThat(json("compare", SMALL)).isEqualTo(json("compare", SMALL));
  }

  @Test
  void shouldHaveModesRetireTheSameInstructions() throws IOException {
    JsonNode modes = json("compare", SMALL, "ptchurn:iterations=50").at("/guests");
    for (JsonNode guest : modes) {
      assertThat(guest.get("problems")).isEmpty();
      assertThat(guest.get("modes").findValuesAsText("instructions").stream().distinct()).hasSize(1);
      assertThat(guest.get("modes").findValuesAsText("mode")).containsExactly("native", "ept", "shadow");
    }
  }

  @Test
  void shouldMeasureTheRegionAlone() throws IOException {
    long one = instructions("gups:size=256K,updates=1000");
    long two = instructions("gups:size=256K,updates=2000");
    long three = instructions("gups:size=256K,updates=3000");
    assertThat(three - two).isEqualTo(two - one).isPositive();
    assertThat(one).isLessThan(2 * (two - one));
  }

  private static long instructions(String workload) throws IOException {
    return json("compare", workload, "--mode", "native").at("/guests/0/modes/0/counters/instructions").asLong();
  }

  @Test
  void shouldCountNoExitOfAPolledDevice() throws IOException {
    JsonNode result = json("compare", "polled:requests=20", "--mode", "ept").at("/guests/0/modes/0/counters");
    assertThat(result.get("exits")).isEmpty();
    assertThat(result.get("exitTotal").asLong()).isZero();
    assertThat(result.at("/kvm/io_exits").asLong()).isZero();
  }

  @Test
  void shouldTakeTheSeedForWorkloads() throws IOException {
    assertThat(json("compare", SMALL, "--mode", "native", "--seed", "7").at("/guests/0/parameters/seed").asText())
        .isEqualTo("7");
    assertThat(json("compare", SMALL + ",seed=3", "--mode", "native", "--seed",
        "7").at("/guests/0/parameters/seed").asText()).isEqualTo("3");
  }

  @Test
  void shouldPriceWithOverriddenCosts() throws IOException {
    Path file = directory.resolve("costs");
    Files.writeString(file, "instruction = 3 # each\n\nwalk.guest-reference=0\n");
    JsonNode result = json("compare", SMALL, "--mode", "native", "--cost-file", file.toString(), "--cost",
        "tlb.l2-hit=0", "--cost", "instruction=5");
    JsonNode mode = result.at("/guests/0/modes/0");
    assertThat(mode.at("/cycles/total").asLong()).isEqualTo(5 * mode.at("/counters/instructions").asLong());
    assertThat(result.at("/provenance/costs/name").asText()).isEqualTo("clx-2.5GHz+");
    assertThat(result.at("/provenance/costs/costs/instruction").asDouble()).isEqualTo(5);
  }

  @Test
  void shouldSayWhatTheResultWasMadeWith() throws IOException {
    JsonNode provenance = json("compare", SMALL, "--mode", "native", "--backing", "4k", "--no-pwc", "--shadow",
        "no-unsync,audit").get("provenance");
    assertThat(provenance.get("command").asText()).isEqualTo("compare");
    assertThat(provenance.at("/options/backing").asText()).isEqualTo("4k");
    assertThat(provenance.at("/options/tlb").asText()).isEqualTo("skylake,no-pwc");
    assertThat(provenance.at("/options/shadow").asText()).isEqualTo("no-unsync,prefetch,large-pages,pages=4096,audit");
  }

  @Test
  void shouldWriteSeveralFormatsAtOnce() throws IOException {
    Path csv = directory.resolve("r.csv");
    Path md = directory.resolve("r.md");
    Cli.Result result = Cli.run("compare", SMALL, "--mode", "ept,shadow", "--out", "csv:" + csv, "--out", "md:" + md);
    assertThat(result.code()).isZero();
    assertThat(result.out()).contains("gups size=256K").contains("why: ");
    assertThat(Files.readString(csv)).startsWith("guest,mode,end,instructions").hasLineCount(3);
    assertThat(Files.readString(md)).startsWith("## gups").contains("| mode | instructions |").contains("|---|---:|");
  }

  @Test
  void shouldReportAGuestThatDies() {
    Cli.Result result = Cli.run(TestGuests.arguments(directory, "compare", a -> a.ud2(), "--mode", "native,ept"));
    assertThat(result.code()).isEqualTo(ExitCode.GUEST_DIED);
    assertThat(result.err()).contains("native: triple fault").contains("ept: triple fault").hasLineCount(2);
    assertThat(result.out()).contains("PROBLEM: native: triple fault");
  }

  @Test
  void shouldReportAWorkloadThatDoesNotReachItsEnd() {
    Cli.Result result = Cli.run("compare", SMALL, "--mode", "native", "--max-instructions", "1000");
    assertThat(result.code()).isEqualTo(ExitCode.BUDGET_USED_UP);
    assertThat(result.err()).contains("instruction budget used up").hasLineCount(1);
  }
}
