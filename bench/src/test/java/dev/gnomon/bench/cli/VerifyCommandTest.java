package dev.gnomon.bench.cli;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.gnomon.guest.asm.Assembler;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VerifyCommandTest {
  @TempDir
  private Path directory;

  @ParameterizedTest
  @ValueSource(strings = {"ptchurn:iterations=300", "forkcow:iterations=1", "ctxswitch:switches=20",
      "pfloop:iterations=2"})
  void shouldFindWorkloadsTheSameInAllModesAndVariants(String workload) throws IOException {
    Cli.Result result = Cli.run("verify", workload, "--every", "20K", "--variants", "--strict-ad", "--out", "json:-");
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    JsonNode json = new ObjectMapper().readTree(result.out());
    assertThat(json.get("difference").isNull()).isTrue();
    assertThat(json.get("instructions").size()).isEqualTo(13);
    assertThat(json.get("checkpoints").asInt()).isPositive();
  }

  /** Maps another page without a flush, which a TLB that keeps all it may does not see. */
  private static void forgetful(Assembler a) {
    a.mov(RDI, 0x600000);
    a.mov(RAX, ptr(RDI));
    a.mov(RDX, 0x3018);
    a.mov(RBX, 0x4000A3);
    a.mov(ptr(RDX), RBX);
    a.mov(RBX, 0x5500);
    a.mov(RSI, 0x400000);
    a.mov(ptr(RSI), RBX);
    a.mov(RAX, ptr(RDI));
    TestGuests.exit(a, 0);
  }

  @Test
  void shouldPrintTheInstructionAndBothWalks() {
    Cli.Result result =
        Cli.run(TestGuests.arguments(directory, "verify", VerifyCommandTest::forgetful, "--modes", "native,shadow",
        "--tlb", "stale"));
    assertThat(result.code()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(result.err()).isEqualTo("gnomon: shadow differs at instruction 10\n");
    Golden.check("verify-difference.txt", result.out());
  }

  @Test
  void shouldAskForTwoMachines() {
    Cli.Result result = Cli.run("verify", "gups", "--modes", "ept");
    assertThat(result.err()).contains("expected at least two machines").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
  }
}
