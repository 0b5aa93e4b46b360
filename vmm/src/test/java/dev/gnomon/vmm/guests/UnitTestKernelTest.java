package dev.gnomon.vmm.guests;

import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Cond;
import dev.gnomon.guest.asm.ElfImage;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.MultibootHeader;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.io.ByteArrayOutputStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What kernels of unit tests expect of QEMU's machine: multiboot, the firmware configuration device, local and I/O
 * APIC,
 * the test device's interrupt lines, ports and memory, timers, a UART, and the debug-exit port. The guest exits with
 * the
 * number of the first check that fails, 0 if none does.
 */
class UnitTestKernelTest {
  private static final int ORIGIN = 0x10_0000;
  private static final int IDT = 0x5000;
  private static final int COUNTS = 0x6000;
  private static final long LAPIC = 0xFEE0_0000L;
  private static final long IO_APIC = 0xFEC0_0000L;
  private static final int SELF = 0x40;
  private static final int EDGE = 0x41;
  private static final int LEVEL = 0x42;
  private static final int EDGE_LINE = 5;
  private static final int LEVEL_LINE = 11;
  private static final int REMOTE_IRR = 1 << 14;

  private final Assembler a = new Assembler(32);
  private final Label failed = new Label("failed");
  private int checks;

  /** Goes on only if EAX holds a value. */
  private void expect(long value) {
    Label good = new Label();
    a.cmp(EAX, (int) value);
    a.je(good);
    a.mov(EAX, ++checks);
    a.jmp(failed);
    a.bind(good);
  }

  private void gate(int vector, Label handler) {
    a.mov(EAX, handler);
    a.mov(Mem.abs(IDT + 8 * vector).w(), AX);
    a.shr(EAX, 16);
    a.mov(Mem.abs(IDT + 8 * vector + 6).w(), AX);
    a.mov(EAX, CS);
    a.mov(Mem.abs(IDT + 8 * vector + 2).w(), AX);
    a.mov(Mem.abs(IDT + 8 * vector + 4).w(), 0x8E00);
  }

  /** Counts the interrupt; the level-triggered one takes its line back. */
  private Label handler(int vector) {
    Label handler = a.here();
    a.push(EAX);
    a.push(EDX);
    a.inc(Mem.abs(COUNTS + 4 * vector).d());
    if (vector == LEVEL) {
      line(LEVEL_LINE, 0);
    }
    a.mov(Mem.abs(LAPIC + 0xB0).d(), 0);
    a.pop(EDX);
    a.pop(EAX);
    a.iretd();
    return handler;
  }

  private void line(int number, int level) {
    a.mov(DX, 0x2000 + number);
    a.mov(AL, level);
    a.out(DX, AL);
  }

  private void count(int vector) {
    a.sti();
    a.nop();
    a.nop();
    a.cli();
    a.mov(EAX, Mem.abs(COUNTS + 4 * vector));
  }

  private void redirect(int input, int entry) {
    a.mov(Mem.abs(IO_APIC).d(), 0x11 + 2 * input);
    a.mov(Mem.abs(IO_APIC + 0x10).d(), 0);
    a.mov(Mem.abs(IO_APIC).d(), 0x10 + 2 * input);
    a.mov(Mem.abs(IO_APIC + 0x10).d(), entry);
  }

  private void firmwareItem(int key, int bytes) {
    a.mov(DX, 0x510);
    a.mov(AX, key);
    a.out(DX, AX);
    a.inc(EDX);
    a.xor(EAX, EAX);
    for (int i = 0; i < bytes; i++) {
      a.ror(EAX, 8);
      a.in(AL, DX);
    }
    a.rol(EAX, 8 * (bytes - 1));
  }

  private byte[] kernel() {
    Label start = new Label("start");
    MultibootHeader.write(a, MultibootHeader.MEMORY_INFO);
    Label[] handlers = {handler(SELF), handler(EDGE), handler(LEVEL)};
    Label idtr = a.here();
    a.dw(0x7FF);
    a.dd(IDT);
    a.bind(start);
    a.mov(ESP, 0x9000);
    expect(MultibootHeader.LOADER_MAGIC);
    firmwareItem(0, 4);
    expect('Q' | 'E' << 8 | 'M' << 16 | 'U' << 24);
    firmwareItem(5, 2);
    expect(1);
    firmwareItem(3, 4);
    expect(16 << 20);
    for (int i = 0; i < handlers.length; i++) {
      gate(SELF + i, handlers[i]);
    }
    a.lidt(Mem.abs(idtr));
    a.mov(AL, 0xFF);
    a.out(0x21, AL);
    a.out(0xA1, AL);
    a.mov(Mem.abs(LAPIC + 0xF0).d(), 0x1FF);
    a.mov(Mem.abs(LAPIC + 0x300).d(), 0x4_4000 | SELF);
    count(SELF);
    expect(1);
    redirect(EDGE_LINE, EDGE);
    line(EDGE_LINE, 1);
    count(EDGE);
    expect(1);
    count(EDGE);
    expect(1);
    line(EDGE_LINE, 0);
    redirect(LEVEL_LINE, 1 << 15 | LEVEL);
    line(LEVEL_LINE, 1);
    a.mov(Mem.abs(IO_APIC).d(), 0x10 + 2 * LEVEL_LINE);
    a.mov(EAX, Mem.abs(IO_APIC + 0x10));
    a.and(EAX, REMOTE_IRR);
    expect(REMOTE_IRR);
    count(LEVEL);
    expect(1);
    a.mov(EAX, Mem.abs(IO_APIC + 0x10));
    a.and(EAX, REMOTE_IRR);
    expect(0);
    // The timer, one-shot, wakes it.
    a.mov(Mem.abs(LAPIC + 0x3E0).d(), 0xB);
    a.mov(Mem.abs(LAPIC + 0x320).d(), SELF);
    a.mov(Mem.abs(LAPIC + 0x380).d(), 100_000);
    a.sti();
    a.hlt();
    a.cli();
    a.mov(EAX, Mem.abs(COUNTS + 4 * SELF));
    expect(2);
    a.mov(EAX, Mem.abs(LAPIC + 0x390));
    expect(0);
    a.mov(EAX, 0x1234_5678);
    a.out(0xE0, EAX);
    a.xor(EAX, EAX);
    a.in(EAX, 0xE0);
    expect(0x1234_5678);
    a.mov(Mem.abs(0xFF00_0000L + 0x10).d(), 0x55AA_1234);
    a.mov(EAX, Mem.abs(0xFF00_0000L + 0x10));
    expect(0x55AA_1234);
    // The ACPI timer runs.
    a.mov(DX, 0x608);
    a.in(EAX, DX);
    a.mov(EBX, EAX);
    a.mov(ECX, 1000);
    Label wait = a.here();
    a.loop(wait);
    a.in(EAX, DX);
    a.cmp(EBX, EAX);
    a.set(Cond.B, AL);
    a.movzx(EAX, AL);
    expect(1);
    for (char c : "PASS\n".toCharArray()) {
      a.mov(DX, 0x3F8);
      a.mov(AL, c);
      a.out(DX, AL);
    }
    a.xor(EAX, EAX);
    a.bind(failed);
    a.out(0xF4, AL);
    a.hlt();
    byte[] code = a.assemble(ORIGIN);
    return ElfImage.elf32(ORIGIN + start.offset()).segment(ORIGIN, ElfImage.READ | ElfImage.WRITE | ElfImage.EXECUTE,
        code).toBytes();
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldFindEverything(Mode mode) {
    ByteArrayOutputStream serial = new ByteArrayOutputStream();
    VmOptions options = VmOptions.of(mode).withMemoryBytes(16 << 20).withPlatform(PlatformOptions.DEFAULT
        .withMachine(MachineType.PC));
    Vm vm = new VmBuilder(options).console(serial::write).build();
    vm.boot(GuestImages.recognize(BootRequest.of("kernel", kernel())));
    RunResult result = vm.run(1_000_000);
    assertThat(result.end()).isEqualTo(RunResult.End.GUEST_EXIT);
    // As QEMU's isa-debug-exit: twice the value and 1.
    assertThat(result.status()).as("number of the check that failed").isEqualTo(1);
    assertThat(serial.toString()).isEqualTo("PASS\n");
  }
}
