package dev.gnomon.vmm.guests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.ExitStatistics.Cause;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Processors;
import dev.gnomon.vmm.RunResult;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * Debian's kernel with its own defaults on machine pc: ACPI, local APIC, I/O APIC, PCI, real-time clock and keyboard
 * controller are found and used, sleeping wakes, and powering off ends the run.
 */
class LinuxPcTest {
  private static final PlatformOptions PC = PlatformOptions.DEFAULT.withMachine(MachineType.PC);
  private static final List<Mode> ALL = List.of(Mode.values());
  private static final String DEFAULTS = "console=ttyS0 cryptomgr.notests";
  private static final String SCRIPT = """
      busybox mount -t proc proc /proc
      busybox mount -t sysfs sysfs /sys
      echo userland begins
      busybox date
      busybox sleep 2
      busybox date
      busybox cat /proc/interrupts
      busybox cat /sys/devices/system/clocksource/clocksource0/current_clocksource
      busybox cat /sys/devices/system/clockevents/clockevent0/current_device
      busybox cat /proc/mtrr
      busybox poweroff -f
      """.replace("busybox ", "/bin/busybox ");

  private static final String PROCESSORS = """
      busybox mount -t proc proc /proc
      echo userland begins
      busybox nproc
      busybox grep -E '^processor|siblings|cpu cores|^apicid' /proc/cpuinfo
      busybox md5sum /bin/busybox & busybox sha1sum /bin/busybox & busybox md5sum /init & busybox sleep 0.1 & wait
      busybox cat /proc/interrupts
      busybox poweroff -f
      """.replace("busybox ", "/bin/busybox ").replace("/bin//bin/", "/bin/");

  private static List<LinuxRun> boot(PlatformOptions platform, List<Mode> modes, String commandLine) throws Exception {
    return boot(platform, modes, commandLine, SCRIPT);
  }

  private static List<LinuxRun> boot(PlatformOptions platform, List<Mode> modes, String commandLine, String script)
      throws Exception {
    byte[] kernel = DebianPackage.kernel("linux-image-cloud-amd64");
    byte[] initramfs = LinuxRun.initramfs(DebianPackage.file("busybox-static", "bin/busybox"), script);
    List<LinuxRun> runs = modes.parallelStream()
        .map(mode -> LinuxRun.of(mode, platform, kernel, initramfs, r -> r.withCommandLine(commandLine))).toList();
    for (LinuxRun run : runs) {
      assertThat(run.shown()).as(run.vm().options().mode().toString()).isEqualTo(runs.get(0).shown());
    }
    assertThat(runs.get(0).console()).contains("userland begins").doesNotContain("Oops", "BUG", "WARNING", "panic");
    return runs;
  }

  @Test
  void shouldUseAllDevicesWithDebiansDefaults() throws Exception {
    LinuxRun ept = boot(PC, List.of(Mode.EPT), DEFAULTS).get(0);
    String console = ept.console();
    assertThat(console).containsSubsequence("ACPI: RSDP 0x00000000000F1000", "ACPI: PM-Timer IO Port: 0x608",
        "IOAPIC[0]: apic_id 1, version 17, address 0xfec00000, GSI 0-23", "TSC deadline timer available",
        "APIC: Switch to symmetric I/O mode setup", "PCI: Using configuration type 1",
        "ACPI: Using IOAPIC for interrupt routing", "pci 0000:00:00.0: [8086:1237]", "clocksource: acpi_pm",
        "ttyS0 at I/O 0x3f8 (irq = 4", "serio: i8042 KBD port", "rtc_cmos 00:00: setting system clock to 2024-01-01T",
        "Mon Jan  1 00:00:0", "\ntsc\r\n", "lapic-deadline", "base=0x0c0000000 ( 3072MB), size= 1024MB",
        "ACPI: PM: Preparing to enter system sleep state S5", "reboot: Power down");
    assertThat(console).containsPattern("4: +[1-9][0-9]* +IO-APIC +4-edge +ttyS0")
        .containsPattern("9: +0 +IO-APIC +9-fasteoi +acpi").containsPattern("LOC: +[1-9][0-9]*")
        .containsPattern("ERR: +0").containsPattern("MIS: +0");
    assertThat(ept.result().end()).isEqualTo(RunResult.End.POWER_OFF);
    assertThat(ept.vm().cpu().skippedNs).as("two seconds of sleep").isGreaterThan(1_800_000_000L);
    assertThat(ept.vm().exits().of(ExitReason.MSR_WRITE, Cause.MSR, 0x6E0)).isGreaterThan(100);
    assertThat(ept.vm().exits().of(ExitReason.EPT_MISCONFIG, Cause.MMIO)).isGreaterThan(100);
  }

  /**
   * All processors come up, run user programs and interrupt each other; the same console at the same instruction in all
   * modes.
   */
  private static void shouldRunOn(int processors) throws Exception {
    List<LinuxRun> runs =
        boot(PC.withProcessors(new Processors(processors, Processors.DEFAULT_TURN)), ALL, DEFAULTS, PROCESSORS);
    String console = runs.get(0).console();
    assertThat(console).contains("smp: Brought up 1 node, " + processors + " CPUs", "\n" + processors + "\r\n")
        .doesNotContain("TSC found unstable", "Firmware Bug", "unsynchronized");
    for (int i = 0; i < processors; i++) {
      assertThat(console).containsPattern("processor\t: " + i + "\r\n" + "siblings\t: " + processors
          + "\r\ncpu cores\t: " + processors
          + "\r\napicid\t\t: " + i + "\r\n");
    }
    String some = " +[1-9][0-9]*";
    assertThat(console).containsPattern("LOC:" + some.repeat(processors))
        .containsPattern("CAL:" + some.repeat(processors)).containsPattern("RES: .*[1-9]").containsPattern("ERR: +0");
    for (LinuxRun run : runs) {
      assertThat(run.result().end()).isEqualTo(RunResult.End.POWER_OFF);
      run.vm().vcpus().forEach(vcpu -> assertThat(vcpu.cpu().retired).isGreaterThan(100_000));
    }
    assertThat(runs.get(2).counters().get("remote_tlb_flush")).isPositive();
  }

  @Test
  void shouldRunOnTwoProcessors() throws Exception {
    shouldRunOn(2);
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "three more boots; run them with -Pfull")
  void shouldRunOnFourProcessors() throws Exception {
    shouldRunOn(4);
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "more boots take minutes; run them with -Pfull")
  void shouldTakeInterruptsByEveryPath() throws Exception {
    assertThat(boot(PC, ALL, DEFAULTS + " noapic").get(0).console()).containsPattern("4: +[1-9][0-9]* +XT-PIC +ttyS0")
        .contains("lapic-deadline");
    assertThat(boot(PC, ALL, DEFAULTS + " nolapic").get(0).console()).containsPattern("0: +[1-9][0-9]* +XT-PIC +timer");
    String counting = boot(PC, ALL, DEFAULTS + " lapic=notscdeadline clocksource=acpi_pm").get(0).console();
    assertThat(counting).containsPattern("0: +[1-9][0-9]* +IO-APIC +2-edge +timer").contains("\nacpi_pm\r\n",
        "\nlapic\r\n");
  }
}
