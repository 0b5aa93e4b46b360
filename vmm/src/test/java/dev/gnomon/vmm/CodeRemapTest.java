package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.CR0;
import static dev.gnomon.guest.asm.Reg.CR3;
import static dev.gnomon.guest.asm.Reg.EAX;
import static dev.gnomon.guest.asm.Reg.EBX;
import static dev.gnomon.guest.asm.Reg.ECX;
import static dev.gnomon.guest.asm.Reg.EDX;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Cond;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A guest that maps its own code page elsewhere: what stands behind the INVLPG comes from the new frame. */
class CodeRemapTest {
  private static final @Gpa long DIRECTORY = 0x10000;
  private static final @Gpa long TABLE = 0x11000;
  private static final @Gpa long FIRST = 0x200000;
  private static final @Gpa long SECOND = 0x201000;
  private static final long PRESENT_WRITABLE = 3;
  private static final int DEBUG_EXIT = 0xF4;

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldFetchFromNewFrameBehindInvlpg(Mode mode) {
    Vm vm = new VmBuilder(VmOptions.of(mode).withMemoryBytes(8 << 20)).build();
    vm.boot(GuestImages.flat(BootRequest.of("remap", program(1)).withLoadAddress(FIRST)
        .withEntry(BootRequest.Entry.PROTECTED)));
    byte[] other = program(2);
    for (int i = 0; i < other.length; i++) {
      vm.guestMemory().write(SECOND + i, 1, other[i]);
    }
    vm.guestMemory().write(DIRECTORY, 4, 0x11000 | PRESENT_WRITABLE);
    for (int page = 0; page < 1024; page++) {
      vm.guestMemory().write(TABLE + 4L * page, 4, page << 12 | PRESENT_WRITABLE);
    }
    assertThat(vm.run(1000).end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(vm.cpu().regs[Cpu.RAX]).isEqualTo(2);
  }

  /**
   * Four rounds that map the page where it is, so that the code runs from where it was found before; the last one moves
   * it.
   */
  private static byte[] program(int frame) {
    Assembler a = new Assembler(32);
    a.mov(EAX, 0x10000);
    a.mov(CR3, EAX);
    a.mov(EAX, CR0);
    a.or(EAX, ControlRegister.CR0_PG);
    a.mov(CR0, EAX);
    a.mov(ECX, 5);
    a.mov(EDX, 0x200000 | PRESENT_WRITABLE);
    a.mov(EBX, 0x201000 | PRESENT_WRITABLE);
    Label again = a.here();
    a.cmp(ECX, 1);
    a.cmov(Cond.E, EDX, EBX);
    a.mov(abs(0x11800), EDX);
    a.invlpg(abs(0x200000));
    a.mov(EAX, frame);
    a.dec(ECX);
    a.jnz(again);
    a.out(DEBUG_EXIT, AL);
    return a.assemble(0x200000);
  }
}
