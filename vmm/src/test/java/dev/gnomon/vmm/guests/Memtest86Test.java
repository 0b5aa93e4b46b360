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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Debian's memtest86+, unmodified: a real guest that must see the same machine in every mode. */
class Memtest86Test {
  private static final String COMMAND_LINE = "console=ttyS0,115200 nosmp keyboard=legacy nobench nosm nopause";
  private static final long FIRST_TESTS = 100_000_000L;
  /** A clock so fast that the bit-fade test, which waits 160 s, takes few instructions. */
  private static final long FAST_CLOCK_NS = 1024;

  /** What the guest shows at one instruction. */
  private record Shown(List<String> screen, String serial, long retired, RunResult.End end) {}

  private static Shown run(String file, MachineType machine, Mode mode, int megabytes, long instructions,
      long nsPerInstruction)
      throws Exception {
    VmOptions options = VmOptions.of(mode).withNsPerInstruction(nsPerInstruction)
        .withPlatform(PlatformOptions.DEFAULT.withMachine(machine));
    return run(file, options, COMMAND_LINE, megabytes, instructions);
  }

  private static Shown run(String file, VmOptions options, String commandLine, int megabytes, long instructions)
      throws Exception {
    byte[] image = DebianPackage.file("memtest86+", "boot/" + file);
    ByteArrayOutputStream serial = new ByteArrayOutputStream();
    Vm vm = new VmBuilder(options.withMemoryBytes((long) megabytes << 20)).console(serial::write).build();
    vm.boot(GuestImages.recognize(BootRequest.of(file, image).withCommandLine(commandLine)));
    RunResult result = vm.run(instructions);
    return new Shown(vm.platform().screen().screenText(), serial.toString(), vm.retired(), result.end());
  }

  /** The 64-bit build runs in long mode, the other in protected mode with physical-address extension. */
  @ParameterizedTest
  @CsvSource({"memtest86+x64.bin, MINIMAL, Test #4", "memtest86+ia32.bin, MINIMAL, Test #3",
      "memtest86+ia32.bin, PC, Test #3"})
  void shouldShowTheSameProgressInAllModes(String file, MachineType machine, String progress) throws Exception {
    Shown bare = run(file, machine, Mode.NATIVE, 8, FIRST_TESTS, 8);
    assertThat(bare.end()).isEqualTo(RunResult.End.BUDGET);
    assertThat(bare.retired()).isEqualTo(FIRST_TESTS);
    assertThat(bare.screen().get(0)).contains("Memtest86+ v6.10");
    assertThat(bare.screen().get(3)).contains(progress);
    assertThat(bare.screen().get(8)).contains("Errors: 0");
    assertThat(bare.serial()).contains("Memtest86+ v6.10");
    assertThat(run(file, machine, Mode.EPT, 8, FIRST_TESTS, 8)).isEqualTo(bare);
    assertThat(run(file, machine, Mode.SHADOW, 8, FIRST_TESTS, 8)).isEqualTo(bare);
  }

  /** All cores test at once, and meet at barriers. */
  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "three more runs; do them with -Pfull")
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
    VmOptions options = VmOptions.of(mode).withNsPerInstruction(8).withPlatform(platform);
    return run("memtest86+x64.bin", options, COMMAND_LINE.replace("nosmp ", ""), 8, 2 * FIRST_TESTS);
  }

  /** File, megabytes of memory, instructions in which the first pass ends and before the second gets far. */
  @ParameterizedTest
  @CsvSource({"memtest86+x64.bin, 8, 7_300_000_000", "memtest86+ia32.bin, 5, 6_500_000_000"})
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "a whole pass takes minutes; run it with -Pfull")
  void shouldFinishAPassWithoutErrorsInAllModes(String file, int megabytes, String instructions) throws Exception {
    long onePass = Long.parseLong(instructions.replace("_", ""));
    Shown bare = run(file, MachineType.MINIMAL, Mode.NATIVE, megabytes, onePass, FAST_CLOCK_NS);
    assertThat(bare.screen().get(7)).contains("Status: Pass");
    assertThat(bare.screen().get(8)).containsPattern("Pass: +1 +Errors: 0");
    assertThat(run(file, MachineType.MINIMAL, Mode.EPT, megabytes, onePass, FAST_CLOCK_NS)).isEqualTo(bare);
    assertThat(run(file, MachineType.MINIMAL, Mode.SHADOW, megabytes, onePass, FAST_CLOCK_NS)).isEqualTo(bare);
  }
}
