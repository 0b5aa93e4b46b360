package dev.gnomon.vmm.guests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.ExitStatistics;
import dev.gnomon.vmm.ExitStatistics.Cause;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.boot.BootRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * Debian's kernel and busybox, unmodified, to the end of a small userland: the same in every mode, to the last
 * instruction.
 */
class LinuxTest {
  private static final String PLATFORM =
      "console=ttyS0 earlyprintk=serial,ttyS0,115200 acpi=off noapic nolapic nohpet tsc=reliable "
      + "no_timer_check panic=-1 reboot=t cryptomgr.notests";
  private static final String SHORT = PLATFORM + " mitigations=off";
  private static final String SCRIPT = """
      echo userland begins
      busybox mount -t proc proc /proc
      busybox uname -sm
      busybox grep -c ^processor /proc/cpuinfo
      echo $((6 * 7))
      busybox ls /
      echo userland ends
      busybox reboot -f
      """.replace("busybox ", "/bin/busybox ");
  private static final PlatformOptions MINIMAL = PlatformOptions.DEFAULT;
  private static final String WHY_FULL = "more boots take minutes; run them with -Pfull";

  private static byte[] initramfs(String script) throws Exception {
    return LinuxRun.initramfs(DebianPackage.file("busybox-static", "bin/busybox"), script);
  }

  /** Runs one guest in several modes, two at a time. */
  private static List<LinuxRun> boot(List<Mode> modes, PlatformOptions platform, byte[] kernel, byte[] initramfs,
      UnaryOperator<BootRequest> request) throws Exception {
    ExecutorService two = Executors.newFixedThreadPool(2);
    try {
      List<Callable<LinuxRun>> runs =
          modes.stream().<Callable<LinuxRun>>map(mode -> () -> LinuxRun.of(mode, platform, kernel, initramfs, request))
          .toList();
      List<LinuxRun> results = new ArrayList<>();
      for (Future<LinuxRun> run : two.invokeAll(runs)) {
        results.add(run.get());
      }
      return results;
    } finally {
      two.shutdown();
    }
  }

  private static void requireTheSame(List<LinuxRun> runs) {
    for (LinuxRun run : runs) {
      assertThat(run.shown()).as(run.vm().options().mode().toString()).isEqualTo(runs.get(0).shown());
    }
  }

  @Test
  void shouldBootToUserlandAlikeInAllModesWithTheExitsOfEach() throws Exception {
    List<LinuxRun> runs = boot(List.of(Mode.NATIVE, Mode.EPT, Mode.SHADOW, Mode.SHADOW), MINIMAL,
        DebianPackage.kernel("linux-image-cloud-amd64"),
        initramfs(SCRIPT), request -> request.withCommandLine(SHORT));
    LinuxRun bare = runs.get(0);
    assertThat(bare.console()).containsSubsequence("Linux version 6.1.", "tsc: Fast TSC calibration using PIT",
        "Freeing SMP alternatives", "ttyS0 at I/O 0x3f8 (irq = 4, base_baud = 115200) is a 16550A",
        "Run /init as init process", "userland begins\r\n", "Linux x86_64\r\n", "1\r\n", "42\r\n", "tmp\r\n",
        "userland ends\r\n", "reboot: machine restart");
    assertThat(bare.console()).doesNotContain("Kernel panic", "Oops", "BUG", "WARNING");
    assertThat(bare.result().end()).isEqualTo(RunResult.End.RESET);
    requireTheSame(runs);
    expectEptExits(runs.get(1).vm().exits());
    expectShadowExits(runs.get(2).vm().exits());
    assertThat(runs.get(3).counters()).isEqualTo(runs.get(2).counters());
  }

  private static void expectEptExits(ExitStatistics exits) {
    assertThat(exits.ofReason(ExitReason.INVLPG)).isZero();
    assertThat(exits.of(ExitReason.CR_ACCESS, Cause.CR_WRITE, 3)).isZero();
    assertThat(exits.of(ExitReason.CR_ACCESS, Cause.CR_READ, 3)).isZero();
    assertThat(exits.of(ExitReason.EXCEPTION_NMI, Cause.GUEST_FAULT)).isZero();
    assertThat(exits.of(ExitReason.EXCEPTION_NMI, Cause.SHADOW_FILL)).isZero();
    assertThat(exits.ofReason(ExitReason.EPT_VIOLATION)).isPositive();
  }

  private static void expectShadowExits(ExitStatistics exits) {
    assertThat(exits.ofReason(ExitReason.EPT_VIOLATION)).isZero();
    assertThat(exits.ofReason(ExitReason.EPT_MISCONFIG)).isZero();
    // Patching the kernel's text through a temporary address space loads CR3 twice a time.
    assertThat(exits.of(ExitReason.CR_ACCESS, Cause.CR_WRITE, 3)).isGreaterThan(10_000);
    assertThat(exits.ofReason(ExitReason.INVLPG)).isPositive();
    assertThat(exits.of(ExitReason.EXCEPTION_NMI, Cause.SHADOW_FILL)).isGreaterThan(1000);
    assertThat(exits.of(ExitReason.EXCEPTION_NMI, Cause.GUEST_FAULT)).isPositive();
  }

  @Test
  void shouldUseWhatTheProcessorWithAllFeaturesOffers() throws Exception {
    List<Mode> modes = Boolean.getBoolean("gnomon.full") ? List.of(Mode.values()) : List.of(Mode.NATIVE, Mode.SHADOW);
    List<LinuxRun> runs = boot(modes, MINIMAL.withCpu(CpuModel.parse("max")),
        DebianPackage.kernel("linux-image-cloud-amd64"), initramfs(SCRIPT),
        request -> request.withCommandLine(SHORT).withUnpack(BootRequest.Unpack.GUEST));
    LinuxRun bare = runs.get(0);
    assertThat(bare.console()).containsSubsequence("Supporting XSAVE feature 0x001: 'x87 floating point registers'",
        "Supporting XSAVE feature 0x002: 'SSE registers'",
        "Supporting XSAVE feature 0x200: 'Protection Keys User registers'",
        "Enabled xstate features 0x203, context size is 584 bytes, using 'compacted' format.", "userland ends\r\n");
    assertThat(bare.console()).doesNotContain("Kernel panic", "Oops", "BUG", "WARNING");
    assertThat(bare.vm().cpu().cr4 & (ControlRegister.CR4_LA57 | ControlRegister.CR4_PKE | ControlRegister.CR4_OSXSAVE))
        .isEqualTo(ControlRegister.CR4_LA57 | ControlRegister.CR4_PKE | ControlRegister.CR4_OSXSAVE);
    requireTheSame(runs);
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true", disabledReason = WHY_FULL)
  void shouldComputeWhatTheHostsBusyboxComputes() throws Exception {
    String script = new String(LinuxTest.class.getResourceAsStream("rich.sh").readAllBytes(), StandardCharsets.UTF_8);
    List<LinuxRun> runs = boot(List.of(Mode.values()), MINIMAL, DebianPackage.kernel("linux-image-cloud-amd64"),
        initramfs("export BB=/bin/busybox\ncd /tmp\nexec 2>&1\necho begin\n" + script + "$BB reboot -f\n"),
        request -> request.withCommandLine(SHORT));
    String console = runs.get(0).console().replace("\r\n", "\n");
    int begin = console.indexOf("\nbegin\n") + "\nbegin\n".length();
    assertThat(console.substring(begin, console.indexOf("end of script"))).isEqualTo(onHost(script));
    requireTheSame(runs);
  }

  /** What a script prints here. */
  private static String onHost(String script) throws Exception {
    Path directory = Files.createTempDirectory("rich");
    Path busybox = directory.resolve("busybox");
    Files.write(busybox, DebianPackage.file("busybox-static", "bin/busybox"));
    assumeTrue(busybox.toFile().setExecutable(true) && System.getProperty("os.arch").equals("amd64"),
        "no x86-64 here to run busybox");
    ProcessBuilder shell = new ProcessBuilder(busybox.toString(), "sh", "-c", script)
        .directory(Files.createDirectory(directory.resolve("work")).toFile()).redirectErrorStream(true);
    shell.environment().put("BB", busybox.toString());
    Process run = shell.start();
    String output = new String(run.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    run.waitFor();
    return output.substring(0, output.indexOf("end of script"));
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true", disabledReason = WHY_FULL)
  void shouldBootByThe64BitEntryWithMitigations() throws Exception {
    List<LinuxRun> runs = boot(List.of(Mode.values()), MINIMAL, DebianPackage.kernel("linux-image-cloud-amd64"),
        initramfs(SCRIPT),
        request -> request.withCommandLine(PLATFORM).withEntry(BootRequest.Entry.LONG));
    assertThat(runs.get(0).console()).contains("page tables isolation: enabled", "userland ends");
    requireTheSame(runs);
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true", disabledReason = WHY_FULL)
  void shouldUnpackAndMoveItself() throws Exception {
    List<LinuxRun> runs = boot(List.of(Mode.values()), MINIMAL, DebianPackage.kernel("linux-image-cloud-amd64"),
        initramfs("/bin/busybox grep -w _text /proc/kallsyms\necho c >/proc/sysrq-trigger\n".replaceFirst("^",
            "/bin/busybox mount -t proc proc /proc\n")),
        request -> request.withCommandLine(SHORT).withUnpack(BootRequest.Unpack.GUEST));
    assertThat(runs.get(0).console()).contains("Kernel panic - not syncing: sysrq triggered crash")
        .containsPattern("Kernel Offset: 0x[0-9a-f]+ from");
    requireTheSame(runs);
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true", disabledReason = WHY_FULL)
  void shouldBootTheKernelForRealMachines() throws Exception {
    List<LinuxRun> runs = boot(List.of(Mode.values()), MINIMAL, DebianPackage.kernel("linux-image-amd64"),
        initramfs(SCRIPT),
        request -> request.withCommandLine(SHORT));
    assertThat(runs.get(0).console()).contains("userland ends");
    requireTheSame(runs);
  }
}
