package dev.gnomon.vmm.guests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Processors;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.io.ByteArrayOutputStream;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** Debian's memtest86+, unmodified: a real guest that must see the same machine in every mode. */
class Memtest86Test {
  private static final String COMMAND_LINE = "console=ttyS0,115200 nosmp keyboard=legacy nobench nosm nopause";
  private static final long FIRST_TESTS = 100_000_000L;
  private static final long ONE_PASS = 7_300_000_000L;
  /** A clock so fast that the bit-fade test, which waits 160 s, takes few instructions. */
  private static final long FAST_CLOCK_NS = 1024;

  /** What the guest shows at one instruction. */
  private record Shown(List<String> screen, String serial, long retired, RunResult.End end) {}

  private static Shown run(Mode mode, long instructions, long nsPerInstruction) throws Exception {
    return run(VmOptions.of(mode).withNsPerInstruction(nsPerInstruction), COMMAND_LINE, instructions);
  }

  private static Shown run(VmOptions options, String commandLine, long instructions) throws Exception {
    byte[] image = DebianPackage.file("memtest86+", "boot/memtest86+x64.bin");
    ByteArrayOutputStream serial = new ByteArrayOutputStream();
    Vm vm = new VmBuilder(options.withMemoryBytes(8 << 20)).console(serial::write).build();
    vm.boot(GuestImages.recognize(BootRequest.of("memtest86+x64.bin", image).withCommandLine(commandLine)));
    RunResult result = vm.run(instructions);
    return new Shown(vm.platform().screen().screenText(), serial.toString(), vm.retired(), result.end());
  }

  @Test
  void shouldShowTheSameProgressInAllModes() throws Exception {
    Shown bare = run(Mode.NATIVE, FIRST_TESTS, 8);
    assertThat(bare.end()).isEqualTo(RunResult.End.BUDGET);
    assertThat(bare.retired()).isEqualTo(FIRST_TESTS);
    assertThat(bare.screen().get(0)).contains("Memtest86+ v6.10");
    assertThat(bare.screen().get(3)).contains("Test #4");
    assertThat(bare.screen().get(8)).contains("Errors: 0");
    assertThat(bare.serial()).contains("Memtest86+ v6.10");
    assertThat(run(Mode.EPT, FIRST_TESTS, 8)).isEqualTo(bare);
    assertThat(run(Mode.SHADOW, FIRST_TESTS, 8)).isEqualTo(bare);
  }

  /** All cores test at once, and meet at barriers. */
  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true", disabledReason = "three more runs; do them with -Pfull")
  void shouldTestWithAllProcessors() throws Exception {
    Shown bare = runWithProcessors(Mode.NATIVE);
    assertThat(bare.screen().get(7)).contains("CPU: 4 Cores 4 Threads    SMP: 4T (PAR)");
    assertThat(bare.screen().get(8)).contains("Using: All Cores", "Errors: 0");
    assertThat(runWithProcessors(Mode.EPT)).isEqualTo(bare);
    assertThat(runWithProcessors(Mode.SHADOW)).isEqualTo(bare);
  }

  private static Shown runWithProcessors(Mode mode) throws Exception {
    PlatformOptions platform = PlatformOptions.DEFAULT.withMachine(MachineType.PC)
        .withProcessors(new Processors(4, Processors.DEFAULT_TURN));
    return run(VmOptions.of(mode).withNsPerInstruction(8).withPlatform(platform), COMMAND_LINE.replace("nosmp ", ""), 2 * FIRST_TESTS);
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true", disabledReason = "a whole pass takes minutes; run it with -Pfull")
  void shouldFinishAPassWithoutErrorsInAllModes() throws Exception {
    Shown bare = run(Mode.NATIVE, ONE_PASS, FAST_CLOCK_NS);
    assertThat(bare.screen().get(7)).contains("Status: Pass");
    assertThat(bare.screen().get(8)).containsPattern("Pass: +1 +Errors: 0");
    assertThat(run(Mode.EPT, ONE_PASS, FAST_CLOCK_NS)).isEqualTo(bare);
    assertThat(run(Mode.SHADOW, ONE_PASS, FAST_CLOCK_NS)).isEqualTo(bare);
  }
}
