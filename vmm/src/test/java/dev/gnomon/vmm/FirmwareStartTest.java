package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.AX;
import static dev.gnomon.guest.asm.Reg.DL;
import static dev.gnomon.guest.asm.Reg.DS;
import static dev.gnomon.guest.asm.Reg.DX;
import static dev.gnomon.guest.asm.Reg.EAX;
import static dev.gnomon.guest.asm.Reg.SP;
import static dev.gnomon.guest.asm.Reg.SS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.asm.AluOp;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.boot.ImageException;
import dev.gnomon.vmm.device.SnapshotDiskImage;
import dev.gnomon.vmm.firmware.RomImage;
import java.io.ByteArrayOutputStream;
import java.util.HexFormat;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Starts from ROM and from a boot sector, and the memory that shares addresses with ROM, in every mode. */
class FirmwareStartTest {
  private static final int ROM_BYTES = 0x10000;
  private static final int SHADOWED_SEGMENT = 0xC800;

  private final ByteArrayOutputStream log = new ByteArrayOutputStream();

  private static VmOptions pc(Mode mode) {
    return Machines.options(mode).withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC));
  }

  /** A ROM of 64 KiB with code at F000:0, which the reset vector jumps to. */
  private Vm rom(Mode mode, Consumer<Assembler> code) {
    byte[] rom = new byte[ROM_BYTES];
    Assembler a = new Assembler(16);
    a.mov(AX, 0x1000);
    a.mov(SS, AX);
    a.mov(SP, 0x1000);
    code.accept(a);
    byte[] body = a.assemble(0);
    System.arraycopy(body, 0, rom, 0, body.length);
    Assembler vector = new Assembler(16);
    vector.jmpFar(0xF000, 0L, 2);
    byte[] jump = vector.assemble(0xFFF0);
    System.arraycopy(jump, 0, rom, 0xFFF0, jump.length);
    Vm vm = new VmBuilder(pc(mode)).firmware(new RomImage("rom", rom)).debugConsole(log::write).build();
    vm.boot(GuestImages.firmware(vm.cpu().cpuid.query(1, 0)[Cpuid.EAX]));
    return vm;
  }

  private static void attributes(Assembler a, int nibble) {
    a.mov(EAX, 0x8000_0058L);
    a.mov(DX, 0xCF8);
    a.out(DX, EAX);
    a.mov(DX, 0xCFF);
    a.mov(AL, nibble);
    a.out(DX, AL);
  }

  private static void show(Assembler a) {
    a.mov(AL, Mem.abs(0x100));
    a.out(0xE9, AL);
  }

  private static void store(Assembler a, int value) {
    a.mov(AL, value);
    a.mov(Mem.abs(0x100), AL);
  }

  /** SDM vol. 3A, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldStartInTheStateOfAReset(Mode mode) {
    Vm vm = rom(mode, a -> Machines.exit(a, 0));
    Cpu cpu = vm.cpu();
    assertThat(cpu.rip).isEqualTo(0xFFF0);
    assertThat(cpu.selector[Segments.CS]).isEqualTo(0xF000);
    assertThat(cpu.base[Segments.CS]).isEqualTo(0xFFFF_0000L);
    assertThat(cpu.cr0).isEqualTo(0x6000_0010);
    assertThat(cpu.regs[Cpu.RDX]).isEqualTo(cpu.cpuid.query(1, 0)[Cpuid.EAX] & 0xFFFF_FFFFL);
    assertThat(cpu.rflags()).isEqualTo(2);
    assertThat(vm.run(100).end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(cpu.base[Segments.CS]).isEqualTo(0xF0000);
  }

  /**
   * As the Bochs BIOS waits: it sets up 8254 and 8259, and does not know that there is an APIC between them and the
   * processor.
   */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldBeWokenByTheTimerThoughItKnowsNoApic(Mode mode) {
    Vm vm = rom(mode, a -> {
      for (int[] write : new int[][] {{0x20, 0x11}, {0x21, 8}, {0x21, 4}, {0x21, 1}, {0x21, 0xFE}, {0x43, 0x34},
          {0x40, 0}, {0x40, 0}}) {
        a.mov(AL, write[1]);
        a.out(write[0], AL);
      }
      Label handler = new Label("handler");
      a.alu(AluOp.XOR, AX, AX);
      a.mov(DS, AX);
      a.mov(AX, handler);
      a.mov(Mem.abs(8 * 4), AX);
      a.mov(AX, 0xF000);
      a.mov(Mem.abs(8 * 4 + 2), AX);
      a.sti();
      a.hlt();
      Machines.exit(a, 1);
      a.bind(handler);
      Machines.exit(a, 0);
    });
    RunResult result = vm.run(1000);
    assertThat(result.end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(result.status()).isEqualTo(1);
  }

  @Test
  void shouldHaveTheVideoBiosWhereThatOfADisplayIs() {
    byte[] video = {0x55, (byte) 0xAA, 1, (byte) 0xCB};
    Vm vm = new VmBuilder(pc(Mode.NATIVE)).firmware(new RomImage("rom", new byte[ROM_BYTES], video)).build();
    assertThat(vm.guestMemory().read(0xC0000, 4)).isEqualTo(0xCB01AA55L);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldSwitchMemoryByTheAttributeMap(Mode mode) {
    Vm vm = rom(mode, a -> {
      a.mov(AX, SHADOWED_SEGMENT);
      a.mov(DS, AX);
      show(a);
      store(a, 'X');
      show(a);
      attributes(a, 2);
      store(a, 'W');
      show(a);
      attributes(a, 1);
      show(a);
      store(a, 'X');
      show(a);
      attributes(a, 3);
      store(a, 'Y');
      show(a);
      attributes(a, 0);
      show(a);
      attributes(a, 1);
      show(a);
      Machines.exit(a, 0);
    });
    assertThat(vm.run(1000).status()).isEqualTo(1);
    assertThat(HexFormat.of().formatHex(log.toByteArray())).isEqualTo("ffffff575759ff59");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRunCodeThatWasPutUnderARom(Mode mode) {
    Vm vm = rom(mode, a -> {
      a.mov(AX, SHADOWED_SEGMENT);
      a.mov(DS, AX);
      attributes(a, 3);
      for (int value : new int[] {'a', 'b'}) {
        a.mov(AX, 0xB0 | value << 8);
        a.mov(Mem.abs(0x200), AX);
        a.mov(AL, 0xCB);
        a.mov(Mem.abs(0x202), AL);
        a.callFar(SHADOWED_SEGMENT, 0x200L, 2);
        a.out(0xE9, AL);
      }
      attributes(a, 0);
      attributes(a, 1);
      a.callFar(SHADOWED_SEGMENT, 0x200L, 2);
      a.out(0xE9, AL);
      Machines.exit(a, 0);
    });
    assertThat(vm.run(1000).status()).isEqualTo(1);
    assertThat(log.toString()).isEqualTo("abb");
  }

  private static byte[] sector(Consumer<Assembler> code) {
    Assembler a = new Assembler(16);
    code.accept(a);
    byte[] sector = new byte[512];
    byte[] body = a.assemble(0x7C00);
    System.arraycopy(body, 0, sector, 0, body.length);
    sector[510] = 0x55;
    sector[511] = (byte) 0xAA;
    return sector;
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldStartABootSectorThatReadsTheDiskItself(Mode mode) {
    byte[] disk = new byte[1024];
    byte[] sector = sector(a -> {
      a.mov(AL, DL);
      a.out(0xE9, AL);
      int[] registers = {1, 1, 0, 0, 0xE0, 0x20};
      for (int i = 0; i < registers.length; i++) {
        a.mov(DX, 0x1F2 + i);
        a.mov(AL, registers[i]);
        a.out(DX, AL);
      }
      a.mov(DX, 0x1F0);
      a.in(AX, DX);
      a.out(0xE9, AL);
      Machines.exit(a, 0);
    });
    System.arraycopy(sector, 0, disk, 0, 512);
    disk[512] = 'd';
    Vm vm = new VmBuilder(pc(mode)).disk(SnapshotDiskImage.of(disk)).debugConsole(log::write).build();
    vm.boot(GuestImages.bootSector(new BootRequest.File("disk", disk)));
    assertThat(vm.cpu().rip + vm.cpu().base[Segments.CS]).isEqualTo(0x7C00);
    assertThat(vm.run(1000).status()).isEqualTo(1);
    assertThat(HexFormat.of().formatHex(log.toByteArray())).isEqualTo("8064");
  }

  @Test
  void shouldRefuseWhatCannotStart() {
    Vm vm = new VmBuilder(pc(Mode.NATIVE)).build();
    assertThatThrownBy(() -> vm.boot(GuestImages.bootSector(new BootRequest.File("disk", new byte[512]))))
        .isInstanceOf(ImageException.class).hasMessageContaining("55 AA");
    assertThatThrownBy(() -> new RomImage("rom", new byte[100])).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("multiple of 4096");
    assertThatThrownBy(() -> new VmBuilder(Machines.options(Mode.NATIVE))
        .disk(SnapshotDiskImage.of(new byte[1])).build())
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("machine pc");
  }
}
