package dev.gnomon.vmm.guests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.firmware.RomImage;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Firmware other than SeaBIOS, from the reset vector to its own prompt: U-Boot and OVMF as Debian packages them for QEMU. */
class BootFirmwareTest {
  private static final long STEP = 1_000_000;
  private static final long MEMORY = 128L << 20;

  /** A machine and its console. */
  private record Session(Vm vm, ByteArrayOutputStream console) {
    static Session of(Mode mode, byte[] rom, long nsPerInstruction) {
      ByteArrayOutputStream console = new ByteArrayOutputStream();
      VmOptions options = VmOptions.of(mode).withMemoryBytes(MEMORY).withNsPerInstruction(nsPerInstruction)
          .withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC));
      Vm vm = new VmBuilder(options).console(console::write).firmware(new RomImage("rom", rom)).build();
      vm.boot(GuestImages.firmware(vm.cpu().cpuid.query(1, 0)[Cpuid.EAX]));
      return new Session(vm, console);
    }

    String text() {
      return console.toString(StandardCharsets.ISO_8859_1);
    }

    /** Runs until the console shows a text behind what it has shown before. */
    void expect(String text, long budget) {
      int from = console.size();
      for (long left = budget; left > 0 && text().indexOf(text, from) < 0; left -= STEP) {
        vm.run(STEP);
      }
      assertThat(text().substring(Math.min(from, console.size()))).contains(text);
    }

    void type(String text) {
      for (char c : text.toCharArray()) {
        vm.platform().serial().receive(c, vm.now());
      }
    }
  }

  private static String uBoot(Mode mode, String build) throws Exception {
    Session session = Session.of(mode, DebianPackage.file("u-boot-qemu", "usr/lib/u-boot/" + build + "/u-boot.rom"), 64);
    session.expect("Hit any key to stop autoboot", 100 * STEP);
    session.type(" ");
    session.expect("=> ", 50 * STEP);
    session.type("bdinfo\r");
    session.expect("=> ", 50 * STEP);
    return session.text() + session.vm().retired();
  }

  @ParameterizedTest
  @CsvSource({"qemu-x86, 32-bit", "qemu-x86_64, 64-bit"})
  void shouldTakeCommandsAtTheUBootPromptAlikeInAllModes(String build, String width) throws Exception {
    String bare = uBoot(Mode.NATIVE, build);
    assertThat(bare).containsSubsequence("U-Boot 2023.01", "CPU:   Gnomon virtual processor", "DRAM:  128 MiB", "Model: QEMU x86 (I440FX)",
        "-> size     = 0x", "8000000", "Build       = " + width);
    assertThat(uBoot(Mode.EPT, build)).isEqualTo(bare);
    assertThat(uBoot(Mode.SHADOW, build)).isEqualTo(bare);
  }

  private static String ovmf(Mode mode) throws Exception {
    // Its delays count the power-management timer, which must not take a billion instructions a second.
    Session session = Session.of(mode, DebianPackage.file("ovmf", "usr/share/ovmf/OVMF.fd"), 256);
    session.expect("Press", 1500 * STEP);
    session.type("x");
    session.expect("Shell>", 500 * STEP);
    session.type("ver\r");
    session.expect("Shell>", 500 * STEP);
    return session.text() + session.vm().retired();
  }

  @Test
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true", disabledReason = "three times half a minute; run them with -Pfull")
  void shouldTakeCommandsInTheUefiShellAlikeInAllModes() throws Exception {
    String bare = ovmf(Mode.NATIVE);
    assertThat(bare).containsSubsequence("EFI Internal Shell", "UEFI Interactive Shell v2.2", "ver", "UEFI v2.70");
    assertThat(ovmf(Mode.EPT)).isEqualTo(bare);
    assertThat(ovmf(Mode.SHADOW)).isEqualTo(bare);
  }
}
