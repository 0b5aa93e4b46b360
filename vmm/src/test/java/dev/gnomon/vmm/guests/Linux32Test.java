package dev.gnomon.vmm.guests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Debian's 32-bit kernels with a 32-bit userland: paging with 2 levels or with PAE, segments with bases, task gates for
 * double faults.
 */
class Linux32Test {
  private static final String SCRIPT = """
      echo userland begins
      busybox mount -t proc proc /proc
      busybox uname -m
      busybox md5sum /bin/busybox
      busybox cat /proc/interrupts
      busybox poweroff -f
      """.replace("busybox ", "/bin/busybox ");

  @ParameterizedTest
  @CsvSource({"linux-image-686:i386, 'Linux, XZ, 32-bit boot protocol'", "linux-image-686-pae:i386, 'Linux, XZ, PVH'"})
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "six boots; run them with -Pfull, and dpkg --add-architecture i386")
  void shouldBootToUserlandAlikeInAllModes(String kernel, String format) throws Exception {
    byte[] image = DebianPackage.kernel(kernel);
    byte[] initramfs = LinuxRun.initramfs(DebianPackage.file("busybox-static:i386", "bin/busybox"), SCRIPT);
    assertThat(GuestImages.recognize(BootRequest.of("vmlinuz", image)).format()).isEqualTo(format);
    LinuxRun bare = null;
    for (Mode mode : Mode.values()) {
      LinuxRun run = LinuxRun.of(mode, PlatformOptions.DEFAULT.withMachine(MachineType.PC), image, initramfs,
          request -> request.withCommandLine("console=ttyS0 cryptomgr.notests"));
      assertThat(run.console()).containsSubsequence("userland begins", "i686", "/bin/busybox", "IO-APIC",
          "reboot: Power down")
          .doesNotContain("Oops", "BUG:", "WARNING:", "panic");
      assertThat(run.result().end()).isEqualTo(RunResult.End.POWER_OFF);
      bare = bare == null ? run : bare;
      assertThat(run.shown()).as(mode.toString()).isEqualTo(bare.shown());
    }
  }
}
