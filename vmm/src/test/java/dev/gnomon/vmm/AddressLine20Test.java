package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.seg;
import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.AX;
import static dev.gnomon.guest.asm.Reg.CR0;
import static dev.gnomon.guest.asm.Reg.CR3;
import static dev.gnomon.guest.asm.Reg.CR4;
import static dev.gnomon.guest.asm.Reg.DS;
import static dev.gnomon.guest.asm.Reg.EAX;
import static dev.gnomon.guest.asm.Reg.EBX;
import static dev.gnomon.guest.asm.Reg.ES;
import static dev.gnomon.guest.asm.Reg.SP;
import static dev.gnomon.guest.asm.Reg.SS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.firmware.RomImage;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** The gate of address line 20 in every mode: the same bytes at the same instruction. */
class AddressLine20Test {
  private static final int ROM_BYTES = 0x10000;
  /** Lies in an even megabyte, so that it can be reached through the closed gate. */
  private static final long FLAT = 0x20_0000;
  private static final int PORT_A = 0x92;
  private static final int LOW = 0x500;
  private static final long TABLES = 0x4000;

  /** What a guest in ROM writes to the debug console, and where it ends, in every mode. */
  private static String inAllModes(Consumer<Assembler> code) {
    List<String> ends = new ArrayList<>();
    for (Mode mode : Mode.values()) {
      ByteArrayOutputStream log = new ByteArrayOutputStream();
      Vm vm = rom(mode, log, code);
      assertThat(vm.run(100_000).end()).isEqualTo(End.GUEST_EXIT);
      ends.add(log + "\n" + Machines.state(vm.cpu()) + Machines.memory(vm));
    }
    assertThat(ends).containsOnly(ends.get(0));
    return ends.get(0).substring(0, ends.get(0).indexOf('\n'));
  }

  private static Vm rom(Mode mode, ByteArrayOutputStream log, Consumer<Assembler> code) {
    byte[] rom = new byte[ROM_BYTES];
    Assembler a = new Assembler(16);
    a.xor(AX, AX);
    a.mov(SS, AX);
    a.mov(DS, AX);
    a.mov(SP, 0x1000);
    a.mov(AX, 0xFFFF);
    a.mov(ES, AX);
    code.accept(a);
    Machines.exit(a, 0);
    byte[] body = a.assemble(0);
    System.arraycopy(body, 0, rom, 0, body.length);
    Assembler vector = new Assembler(16);
    vector.jmpFar(0xF000, 0L, 2);
    byte[] jump = vector.assemble(0xFFF0);
    System.arraycopy(jump, 0, rom, 0xFFF0, jump.length);
    VmOptions options = Machines.options(mode).withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC));
    Vm vm = new VmBuilder(options).firmware(new RomImage("rom", rom)).debugConsole(log::write).build();
    vm.boot(GuestImages.firmware(vm.cpu().cpuid.query(1, 0)[Cpuid.EAX]));
    return vm;
  }

  private static void storeLow(Assembler a, char value) {
    a.mov(abs(LOW).b(), value);
  }

  /** At FFFF:0510, which is LOW in the second megabyte. */
  private static void storeHigh(Assembler a, char value) {
    a.mov(seg(ES, abs(LOW + 16)).b(), value);
  }

  private static void show(Assembler a) {
    a.mov(AL, abs(LOW));
    a.out(0xE9, AL);
    a.mov(AL, seg(ES, abs(LOW + 16)));
    a.out(0xE9, AL);
  }

  private static void port(Assembler a, int port, int value) {
    a.mov(AL, value);
    a.out(port, AL);
  }

  @Test
  void shouldWrapAtTheFirstMegabyteWhilePort92KeepsItClosed() {
    assertThat(inAllModes(a -> {
      storeLow(a, 'a');
      storeHigh(a, 'b');
      show(a);
      port(a, PORT_A, 0);
      show(a);
      storeHigh(a, 'c');
      show(a);
      port(a, PORT_A, 2);
      show(a);
    })).isEqualTo("abaacccb");
  }

  @Test
  void shouldFollowTheKeyboardController() {
    assertThat(inAllModes(a -> {
      storeLow(a, 'a');
      storeHigh(a, 'b');
      port(a, 0x64, 0xDD);
      show(a);
      port(a, 0x64, 0xDF);
      show(a);
      port(a, 0x64, 0xD1);
      port(a, 0x60, 0xDD);
      show(a);
      port(a, 0x64, 0xD1);
      port(a, 0x60, 0xDF);
      show(a);
    })).isEqualTo("aaabaaab");
  }

  @Test
  void shouldLetTheLastWriteDecide() {
    assertThat(inAllModes(a -> {
      storeLow(a, 'a');
      storeHigh(a, 'b');
      port(a, PORT_A, 0);
      port(a, 0x64, 0xDF);
      show(a);
      port(a, 0x64, 0xDD);
      port(a, PORT_A, 2);
      show(a);
    })).isEqualTo("abab");
  }

  @Test
  void shouldReadCodeBelowOfAnAddressAbove() {
    assertThat(inAllModes(a -> {
      // MOV AL, 'x'; RETF at 0:500 and MOV AL, 'y'; RETF at FFFF:510
      a.mov(abs(LOW).w(), 'x' << 8 | 0xB0);
      a.mov(abs(LOW + 2).b(), 0xCB);
      a.mov(seg(ES, abs(LOW + 16)).w(), 'y' << 8 | 0xB0);
      a.mov(seg(ES, abs(LOW + 18)).b(), 0xCB);
      for (int open : new int[] {2, 0, 2}) {
        port(a, PORT_A, open);
        a.callFar(0xFFFF, (long) LOW + 16, 2);
        a.out(0xE9, AL);
      }
    })).isEqualTo("yxy");
  }

  /** Page tables at 4000h and 104000h: the gate decides which of them CR3 = 104000h names. */
  @Test
  void shouldMaskPageTablesToo() {
    List<String> ends = new ArrayList<>();
    for (Mode mode : Mode.values()) {
      Assembler a = new Assembler(32);
      for (long table : new long[] {TABLES, TABLES + 0x10_0000}) {
        // The first 4 MiB to themselves; 400000h to 300000h by the upper tables, to 500000h by the lower ones, by one
        // 4-KiB page.
        boolean upper = table != TABLES;
        a.mov(abs(table).d(), 0x83);
        a.mov(abs(table + 4).d(), TABLES + 0x1000 + (upper ? 0x10_0000 : 0) | 3);
        a.mov(abs(table + 0x1000).d(), (upper ? 0x60_0000 : 0x50_0000) | 3);
      }
      a.mov(abs(0x40_0000).d(), 'l');
      a.mov(abs(0x60_0000).d(), 'u');
      a.mov(abs(0x50_0000).d(), 'x');
      a.mov(EAX, CR4);
      a.or(EAX, 0x10);
      a.mov(CR4, EAX);
      a.mov(EAX, TABLES + 0x10_0000);
      a.mov(CR3, EAX);
      a.mov(EAX, CR0);
      a.or(EAX, 0x8000_0000L);
      a.mov(CR0, EAX);
      a.mov(EBX, 0x40_0000);
      for (int open : new int[] {2, 0, 2}) {
        port(a, PORT_A, open);
        a.mov(EAX, CR3);
        a.mov(CR3, EAX);
        a.mov(AL, ptr(EBX));
        a.out(0xE9, AL);
        a.inc(ptr(EBX).d());
      }
      Machines.exit(a, 0);
      ByteArrayOutputStream log = new ByteArrayOutputStream();
      Vm vm = new VmBuilder(Machines.options(mode)).debugConsole(log::write).build();
      vm.boot(GuestImages.flat(BootRequest.of("test", a.assemble(FLAT)).withLoadAddress(FLAT)
          .withEntry(BootRequest.Entry.PROTECTED)));
      assertThat(vm.run(10_000).end()).isEqualTo(End.GUEST_EXIT);
      ends.add(log + "\n" + Machines.state(vm.cpu()) + Machines.memory(vm));
    }
    assertThat(ends).containsOnly(ends.get(0));
    // The lower tables lead to 500000h, and so to 400000h, through the closed gate.
    assertThat(ends.get(0)).startsWith("ulv\n");
  }
}
