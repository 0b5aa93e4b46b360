package dev.gnomon.vmm.guests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.device.SnapshotDiskImage;
import dev.gnomon.vmm.firmware.RomImage;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Firmware other than SeaBIOS, from the reset vector: U-Boot and OVMF to their prompts, the BIOS of Bochs to the boot
 * sector.
 */
class BootFirmwareTest {
  private static final long STEP = 1_000_000;
  private static final long MEMORY = 128L << 20;
  private static final int DISK_BYTES = 2 * 16 * 63 * 512;

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
    Session session =
        Session.of(mode, DebianPackage.file("u-boot-qemu", "usr/lib/u-boot/" + build + "/u-boot.rom"), 64);
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
    assertThat(bare).containsSubsequence("U-Boot 2023.01", "CPU:   Gnomon virtual processor", "DRAM:  128 MiB",
        "Model: QEMU x86 (I440FX)",
        "-> size     = 0x", "8000000", "Build       = " + width);
    assertThat(uBoot(Mode.EPT, build)).isEqualTo(bare);
    assertThat(uBoot(Mode.SHADOW, build)).isEqualTo(bare);
  }

  /** A BIOS older than APICs and ATA-2: it waits for ticks of the 8254 with the local APIC as a reset leaves it. */
  @ParameterizedTest
  @CsvSource({"BIOS-bochs-legacy", "BIOS-bochs-latest"})
  void shouldBootADiskByTheBochsBiosAlikeInAllModes(String file) throws Exception {
    byte[] bios = DebianPackage.file("bochsbios", "usr/share/bochs/" + file);
    byte[] video = DebianPackage.file("vgabios", "usr/share/vgabios/vgabios.bin");
    byte[] disk = new byte[DISK_BYTES];
    // MOV AL,0; OUT F4h,AL
    System.arraycopy(new byte[] {(byte) 0xB0, 0, (byte) 0xE6, (byte) 0xF4}, 0, disk, 0, 4);
    disk[510] = 0x55;
    disk[511] = (byte) 0xAA;
    List<String> shown = new ArrayList<>();
    for (Mode mode : Mode.values()) {
      ByteArrayOutputStream log = new ByteArrayOutputStream();
      VmOptions options = VmOptions.of(mode).withMemoryBytes(MEMORY).withNsPerInstruction(64)
          .withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC));
      Vm vm = new VmBuilder(options).debugConsole(log::write).firmware(new RomImage(file, bios, video))
          .disk(SnapshotDiskImage.of(disk)).build();
      vm.boot(GuestImages.firmware(vm.cpu().cpuid.query(1, 0)[Cpuid.EAX]));
      RunResult result = vm.run(50 * STEP);
      assertThat(result.end()).isEqualTo(RunResult.End.GUEST_EXIT);
      assertThat(result.status()).isEqualTo(1);
      assertThat(log.toString(StandardCharsets.ISO_8859_1))
          .containsSubsequence("ata0-0: PCHS=2/16/63", "Booting from 0000:7c00");
      assertThat(String.join("\n", vm.platform().screen().screenText()))
          .containsSubsequence("VGABios", "BIOS - build", "GNOMON DISK", "Booting from Hard Disk...");
      shown.add(log.toString(StandardCharsets.ISO_8859_1) + vm.retired());
    }
    assertThat(shown).containsOnly(shown.get(0));
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
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "three times half a minute; run them with -Pfull")
  void shouldTakeCommandsInTheUefiShellAlikeInAllModes() throws Exception {
    String bare = ovmf(Mode.NATIVE);
    assertThat(bare).containsSubsequence("EFI Internal Shell", "UEFI Interactive Shell v2.2", "Shell>",
        "UEFI v2.70", "Shell>");
    assertThat(ovmf(Mode.EPT)).isEqualTo(bare);
    assertThat(ovmf(Mode.SHADOW)).isEqualTo(bare);
  }
}
