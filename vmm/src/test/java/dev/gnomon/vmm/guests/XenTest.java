package dev.gnomon.vmm.guests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.tukaani.xz.XZInputStream;

/**
 * Debian's Xen by multiboot: a hypervisor as guest, which runs its first domain in rings 0 and 3 on page tables that it
 * checks itself.
 */
class XenTest {
  private static final String PACKAGE = "xen-hypervisor-4.17-amd64";
  private static final String OPTIONS = "xen console=com1 com1=115200,8n1 loglvl=all no-real-mode";
  private static final String SCRIPT = """
      echo userland begins
      busybox mount -t proc proc /proc
      busybox cat /proc/interrupts
      busybox md5sum /bin/busybox
      busybox poweroff -f
      """.replace("busybox ", "/bin/busybox ");

  private record Run(RunResult result, String console, long retired) {}

  private static Run run(Mode mode, String options, List<BootRequest.File> modules) throws Exception {
    byte[] packed = DebianPackage.file(PACKAGE, "boot/xen-4.17-amd64.gz");
    byte[] xen = new GZIPInputStream(new ByteArrayInputStream(packed)).readAllBytes();
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    Vm vm = new VmBuilder(VmOptions.of(mode).withMemoryBytes(512L << 20).withNsPerInstruction(8)
        .withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC))).console(console::write).build();
    vm.boot(GuestImages.recognize(BootRequest.of("xen", xen).withCommandLine(options).withModules(modules)));
    RunResult result = vm.run(5_000_000_000L);
    return new Run(result, console.toString(StandardCharsets.ISO_8859_1), vm.retired());
  }

  /** It puts its start-up code below the end of conventional memory and fetches itself a page table for all of that. */
  @Test
  void shouldSayThatItHasNoDomainAlikeInAllModes() throws Exception {
    Run bare = run(Mode.NATIVE, OPTIONS + " noreboot", List.of());
    assertThat(bare.console()).containsSubsequence("Xen version 4.17", "Bootloader: gnomon",
        "VGA is text mode 80x25, font 8x16", "dom0 kernel not specified");
    assertThat(bare.result().end()).isEqualTo(RunResult.End.HALTED);
    assertThat(run(Mode.EPT, OPTIONS + " noreboot", List.of())).isEqualTo(bare);
    assertThat(run(Mode.SHADOW, OPTIONS + " noreboot", List.of())).isEqualTo(bare);
  }

  /** The XZ payload of a bzImage, which Xen would take 4,500 million instructions to unpack itself. */
  private static byte[] unpacked(byte[] bzImage) throws IOException {
    ByteBuffer header = ByteBuffer.wrap(bzImage).order(ByteOrder.LITTLE_ENDIAN);
    int setupBytes = (1 + header.get(0x1F1)) * 512;
    int size = header.getInt(0x24C) - 4;
    try (XZInputStream payload =
        new XZInputStream(new ByteArrayInputStream(bzImage, setupBytes + header.getInt(0x248), size))) {
      return payload.readAllBytes();
    }
  }

  /**
   * Shadow paging need not agree to the instruction: domain 0 reads an address whose entry it has cleared without a
   * flush, and a processor may still have the old one.
   */
  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "three boots of minutes; run them with -Pfull")
  void shouldRunLinuxAsDomain0InAllModes() throws Exception {
    List<BootRequest.File> modules = List.of(
        new BootRequest.File("vmlinux", unpacked(DebianPackage.kernel("linux-image-amd64")),
            "console=hvc0 nomodeset cryptomgr.notests"),
        new BootRequest.File("initramfs",
            LinuxRun.initramfs(DebianPackage.file("busybox-static", "bin/busybox"), SCRIPT)));
    Run bare = null;
    for (Mode mode : Mode.values()) {
      Run run = run(mode, OPTIONS + " dom0_mem=300M", modules);
      assertThat(run.console()).as(mode.toString()).containsSubsequence("Platform timer is 100.000MHz HPET",
          "*** Building a PV Dom0 ***", "userland begins", "xen-percpu", "/bin/busybox",
          "Entering ACPI S5 state.").doesNotContain("Oops", "Panic", "panic");
      assertThat(run.result().end()).isEqualTo(RunResult.End.POWER_OFF);
      bare = bare == null ? run : bare;
      if (mode == Mode.EPT) {
        assertThat(run).isEqualTo(bare);
      }
    }
  }
}
