package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.gnomon.vmm.guests.DebianPackage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Debian's kernel and busybox, as packaged, through the commands; skipped where they cannot be fetched. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class LinuxWorkloadCommandTest {
  private static final String APPEND = "console=ttyS0 quiet acpi=off noapic nolapic nohpet tsc=reliable no_timer_check "
      + "mitigations=off panic=-1 reboot=t cryptomgr.notests";

  private Path kernel;
  private Path busybox;

  @BeforeAll
  void fetch(@TempDir Path directory) throws IOException, InterruptedException {
    kernel = Files.write(directory.resolve("vmlinuz"), DebianPackage.kernel("linux-image-cloud-amd64"));
    busybox = Files.write(directory.resolve("busybox"), DebianPackage.file("busybox-static", "bin/busybox"));
  }

  private Cli.Result gnomon(String command, String... more) {
    List<String> arguments = new ArrayList<>(List.of(command, "--kernel", kernel.toString()));
    arguments.addAll(Arrays.asList(more));
    return Cli.run(arguments.toArray(String[]::new));
  }

  @Test
  void shouldMeasureTheRegionAloneAndTheSameInstructionsInAllModes() throws IOException {
    Cli.Result result = gnomon("compare", "--busybox", busybox.toString(), "--workload", "linux:fork,count=20",
        "--tlb", "skylake", "--out", "json:-");
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    JsonNode modes = new ObjectMapper().readTree(result.out()).at("/guests/0/modes");
    long instructions = modes.at("/0/counters/instructions").asLong();
    assertThat(instructions).as("without the boot").isBetween(5_000_000L, 50_000_000L);
    for (JsonNode mode : modes) {
      assertThat(mode.at("/counters/instructions").asLong()).isEqualTo(instructions);
    }
    String ept = modes.at("/1/counters/exits").toString();
    assertThat(ept).as("EPT: no exit for CR3, INVLPG or #PF").doesNotContain("CR_ACCESS", "INVLPG", "EXCEPTION_NMI");
    String shadow = modes.at("/2/counters/exits").toString();
    assertThat(shadow).contains("CR_ACCESS", "INVLPG", "EXCEPTION_NMI").doesNotContain("EPT_");
    assertThat(modes.at("/2/counters/kvm/pf_guest").asLong()).isGreaterThan(500);
  }

  @Test
  void shouldReachAPolledDeviceByDevMemWithoutAnExit() throws IOException {
    Cli.Result result = gnomon("compare", "--busybox", busybox.toString(), "--workload", "linux:polled,count=2",
        "--polled", "request", "--out", "json:-", "--ns-per-instruction", "8");
    assertThat(result.err()).as("the answers are right").isEmpty();
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    JsonNode modes = new ObjectMapper().readTree(result.out()).at("/guests/0/modes");
    assertThat(modes).hasSize(3);
    for (int mode = 1; mode < 3; mode++) {
      for (JsonNode exit : modes.at("/" + mode + "/counters/exits")) {
        String cause = exit.at("/reason").asText() + " " + exit.at("/cause").asText();
        assertThat(cause).as("timer, its controllers, CPUID at exec, and under shadow paging the guest's own tables")
            .matches(
                "EXTERNAL_INTERRUPT device timer|INTERRUPT_WINDOW |CPUID |IO_INSTRUCTION (in|out) 0x(20|21|40|80|a0|a1)"
            + "|(EPT_MISCONFIG|EXCEPTION_NMI) mmio"
            + (mode == 1 ? "" : "|EXCEPTION_NMI (hidden|guest fault|pt write|spurious) ?.*"
            + "|INVLPG |CR_ACCESS cr[03] (read|write)"));
        if (cause.endsWith(" mmio")) {
          assertThat(exit.at("/count").asLong()).as("the mark that ends the region").isEqualTo(1);
        }
      }
    }
    assertThat(modes.at("/2/counters/kvm/pf_fixed").asLong()).as("fills are counted").isPositive();
    assertThat(modes.at("/2/counters/exits").findValuesAsText("cause")).as("those of the device's page apart")
        .contains("hidden (device page) 0x10000000");
  }

  @Test
  void shouldTakeAShellsAnswersFromAScriptAndReplayThemUnderEpt(@TempDir Path directory) throws IOException {
    Path script = Files.writeString(directory.resolve("shell.sh"), "sh -i\n");
    Path initrd = directory.resolve("initrd.gz");
    assertThat(Cli.run("initramfs", "--busybox", busybox.toString(), "--script", script.toString(), "--gzip", "--out",
        initrd.toString()).code()).isEqualTo(ExitCode.DONE);
    Path log = directory.resolve("log");
    String[] machine = {"--initrd", initrd.toString(), "--append", APPEND, "-m", "128M", "--max-instructions", "2G"};
    List<String> recorded = new ArrayList<>(Arrays.asList(machine));
    recorded.addAll(List.of("--record", log.toString(), "--expect", "# ", "--send", "echo $((6 * 7))x\\n", "--expect",
        "42x", "--expect", "# ", "--send", "devmem 0xFEDE0000 8 0\\n"));
    Cli.Result result = gnomon("run", recorded.toArray(String[]::new));
    assertThat(result.err()).contains("reports success").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    List<String> replayed = new ArrayList<>(Arrays.asList(machine));
    replayed.addAll(List.of("--replay", log.toString(), "--mode", "ept"));
    Cli.Result again = gnomon("run", replayed.toArray(String[]::new));
    assertThat(again.out()).isEqualTo(result.out());
    assertThat(again.err()).isEqualTo(result.err());
  }
}
