package dev.gnomon.vmm.guests;

import static dev.gnomon.guest.asm.Reg.AH;
import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.AX;
import static dev.gnomon.guest.asm.Reg.BX;
import static dev.gnomon.guest.asm.Reg.CX;
import static dev.gnomon.guest.asm.Reg.DH;
import static dev.gnomon.guest.asm.Reg.DS;
import static dev.gnomon.guest.asm.Reg.ES;
import static dev.gnomon.guest.asm.Reg.SI;
import static dev.gnomon.guest.asm.Reg.SP;
import static dev.gnomon.guest.asm.Reg.SS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.AluOp;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Processors;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.device.SnapshotDiskImage;
import dev.gnomon.vmm.firmware.RomImage;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Debian's SeaBIOS, unmodified, from the reset vector to a boot sector that it reads from the IDE disk. */
class SeaBiosTest {
  private static final String BIOS = "usr/share/seabios/bios-256k.bin";
  private static final String VIDEO_BIOS = "usr/share/seabios/vgabios-isavga.bin";
  private static final long BUDGET = 200_000_000;
  private static final int SECTOR = 512;

  /** What must not differ between modes. */
  private record Shown(String serial, String log, long retired, long ns, RunResult.End end, int status) {}

  private static Vm machine(Mode mode, byte[] disk, byte[] videoBios, ByteArrayOutputStream serial,
      ByteArrayOutputStream log) throws Exception {
    return machine(mode, Processors.ONE, disk, videoBios, serial, log);
  }

  private static Vm machine(Mode mode, Processors processors, byte[] disk, byte[] videoBios,
      ByteArrayOutputStream serial, ByteArrayOutputStream log) throws Exception {
    VmOptions options = VmOptions.of(mode).withMemoryBytes(16 << 20).withNsPerInstruction(8)
        .withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC).withProcessors(processors));
    VmBuilder builder = new VmBuilder(options).console(serial::write).debugConsole(log::write)
        .firmware(new RomImage("bios-256k.bin", DebianPackage.file("seabios", BIOS), videoBios));
    Vm vm = (disk == null ? builder : builder.disk(SnapshotDiskImage.of(disk))).build();
    vm.boot(GuestImages.firmware(vm.cpu().cpuid.query(1, 0)[Cpuid.EAX]));
    return vm;
  }

  /** Prints by INT 10h, reads the next sector by INT 13h, prints that, and ends the run. */
  private static byte[] disk() {
    Assembler a = new Assembler(16);
    Label print = new Label("print");
    Label failed = new Label("failed");
    a.alu(AluOp.XOR, AX, AX);
    a.mov(DS, AX);
    a.mov(ES, AX);
    a.mov(SS, AX);
    a.mov(SP, 0x7C00);
    a.mov(SI, 0x7C00 + 0x100);
    a.call(print);
    a.mov(AX, 0x0201);
    a.mov(BX, 0x8000);
    a.mov(CX, 0x0002);
    a.mov(DH, 0);
    a.interrupt(0x13);
    a.jc(failed);
    a.mov(SI, 0x8000);
    a.call(print);
    a.mov(AL, 0);
    a.out(0xF4, AL);
    a.bind(failed);
    a.mov(AL, 1);
    a.out(0xF4, AL);
    a.hlt();
    a.bind(print);
    Label next = a.here();
    a.lodsb();
    a.alu(AluOp.OR, AL, AL);
    Label done = new Label("done");
    a.jz(done);
    a.mov(AH, 0x0E);
    a.mov(BX, 7);
    a.interrupt(0x10);
    a.jmp(next);
    a.bind(done);
    a.ret();
    byte[] disk = new byte[64 * SECTOR];
    byte[] code = a.assemble(0x7C00);
    System.arraycopy(code, 0, disk, 0, code.length);
    put(disk, 0x100, "Hello from the boot sector\r\n\0");
    disk[510] = 0x55;
    disk[511] = (byte) 0xAA;
    put(disk, SECTOR, "and from the second one\r\n\0");
    return disk;
  }

  private static void put(byte[] disk, int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(bytes, 0, disk, at, bytes.length);
  }

  private static Shown run(Mode mode) throws Exception {
    return run(mode, Processors.ONE);
  }

  private static Shown run(Mode mode, Processors processors) throws Exception {
    ByteArrayOutputStream serial = new ByteArrayOutputStream();
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    Vm vm = machine(mode, processors, disk(), null, serial, log);
    RunResult result = vm.run(BUDGET);
    return new Shown(serial.toString(StandardCharsets.ISO_8859_1), log.toString(StandardCharsets.ISO_8859_1),
        vm.retired(), vm.now(), result.end(), result.status());
  }

  @Test
  void shouldBootADiskAlikeInAllModes() throws Exception {
    Shown bare = run(Mode.NATIVE);
    assertThat(bare.log()).containsSubsequence("SeaBIOS (version 1.16.2", "Running on QEMU (i440fx)", "Found 1 cpu(s)",
        "Booting from Hard Disk", "Booting from 0000:7c00");
    // SeaBIOS' serial console holds the last characters back for a moment.
    assertThat(bare.serial()).containsSubsequence("SeaBIOS (version 1.16.2", "Booting from Hard Disk...",
        "Hello from the boot sector", "and from the second");
    assertThat(bare.end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(bare.status()).isEqualTo(1);
    assertThat(run(Mode.EPT)).isEqualTo(bare);
    assertThat(run(Mode.SHADOW)).isEqualTo(bare);
  }

  /** It hands its stack to one processor after the other by a lock that it takes back at once. */
  @ParameterizedTest
  @CsvSource({"2, 997", "4, 100"})
  void shouldStartAllProcessorsAlikeInAllModes(int count, long turn) throws Exception {
    Processors processors = new Processors(count, turn);
    Shown bare = run(Mode.NATIVE, processors);
    assertThat(bare.log()).contains("Found " + count + " cpu(s) max supported " + count + " cpu(s)");
    assertThat(bare.status()).isEqualTo(1);
    assertThat(run(Mode.EPT, processors)).isEqualTo(bare);
    assertThat(run(Mode.SHADOW, processors)).isEqualTo(bare);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldShowItsConsoleOnTheScreen(Mode mode) throws Exception {
    Vm vm = machine(mode, disk(), DebianPackage.file("seabios", VIDEO_BIOS), new ByteArrayOutputStream(),
        new ByteArrayOutputStream());
    assertThat(vm.run(BUDGET).end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(String.join("\n", vm.platform().screen().screenText())).containsSubsequence("SeaBIOS (version 1.16.2",
        "Booting from Hard Disk...", "Hello from the boot sector", "and from the second one");
  }

  @Test
  void shouldSayThatThereIsNothingToBoot() throws Exception {
    ByteArrayOutputStream serial = new ByteArrayOutputStream();
    Vm vm = machine(Mode.NATIVE, Arrays.copyOf(new byte[0], SECTOR), null, serial, new ByteArrayOutputStream());
    vm.run(30_000_000);
    assertThat(serial.toString(StandardCharsets.ISO_8859_1)).containsSubsequence("Booting from Hard Disk...",
        "Boot failed: not a bootable disk", "No bootable device.");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  @EnabledIfSystemProperty(named = "gnomon.full", matches = "true",
      disabledReason = "three times seconds; run them with -Pfull")
  void shouldBootGrubToItsPrompt(Mode mode) throws Exception {
    ByteArrayOutputStream serial = new ByteArrayOutputStream();
    byte[] image = DebianPackage.file("grub-rescue-pc", "usr/lib/grub-rescue/grub-rescue-cdrom.iso");
    Vm vm = machine(mode, image, null, serial, new ByteArrayOutputStream());
    vm.run(150_000_000);
    assertThat(serial.toString(StandardCharsets.UTF_8)).containsSubsequence("GRUB loading.", "Welcome to GRUB!",
        "GNU GRUB  version 2.06", "The highlighted entry will be executed automatically");
    vm.platform().serial().receive('c', vm.cpu().now());
    vm.run(50_000_000);
    assertThat(serial.toString(StandardCharsets.UTF_8)).contains("grub>");
  }
}
