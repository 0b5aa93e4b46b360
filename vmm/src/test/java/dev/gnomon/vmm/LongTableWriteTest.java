package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * One store that changes two entries of a page table, or the second of the two that it covers, takes effect for both in
 * every mode.
 */
class LongTableWriteTest {
  /** Offset of an 8-byte store in the directory, which maps 2 MiB an entry; and its value. Entry 3 then maps 4 MiB. */
  @ParameterizedTest
  @CsvSource({"14, 4000E300000000", "18, 4000E3", "11, E300000000004000", "17, 4000E300"})
  void shouldSeeAllEntriesThatAStoreChanges(String offset, String value) {
    for (Mode mode : Mode.values()) {
      Vm vm = Machines.boot(Machines.options(mode), a -> {
        a.mov(RAX, 0x4444);
        a.mov(abs(0x400000).q(), RAX);
        a.mov(RAX, 0x6666);
        a.mov(abs(0x600000).q(), RAX);
        a.mov(RAX, CR3);
        a.mov(RAX, ptr(RAX).q());
        a.and(RAX, -4096);
        a.mov(RAX, ptr(RAX).q());
        a.and(RAX, -4096);
        a.movabs(RCX, Long.parseUnsignedLong(value, 16));
        a.mov(ptr(RAX, Long.parseLong(offset, 16)).q(), RCX);
        a.mov(RCX, CR3);
        a.mov(CR3, RCX);
        a.mov(R15, abs(0x600000).q());
        Machines.exit(a, 1);
      });
      vm.run(1000);
      assertThat(vm.cpu().regs[15]).as(mode.toString()).isEqualTo(offset.equals("11") ? 0x6666 : 0x4444);
      assertThat(vm.cpu().regs[Cpu.RAX] & 0xFF).isEqualTo(1);
    }
  }

  /**
   * The second half of the image lies in the page directory: XMM6 is its first entry, XMM15 that of the page at 36 MiB.
   */
  @Test
  void shouldSeeTheEntriesThatTheEndOfAnImageOf512BytesChanges() {
    for (Mode mode : Mode.values()) {
      Vm vm = Machines.boot(Machines.options(mode), a -> {
        a.mov(RAX, 0x4444);
        a.mov(abs(0x400000).q(), RAX);
        a.mov(RAX, 0x6666);
        a.mov(abs(0x600000).q(), RAX);
        a.mov(RAX, CR4);
        a.or(RAX, ControlRegister.CR4_OSFXSR);
        a.mov(CR4, RAX);
        a.mov(RAX, CR3);
        a.mov(RAX, ptr(RAX).q());
        a.and(RAX, -4096);
        a.mov(RAX, ptr(RAX).q());
        a.and(RAX, -4096);
        a.mov(RCX, 0x6000E3);
        a.mov(ptr(RAX, 8 * 18).q(), RCX);
        a.mov(R14, abs(18 << 21).q());
        a.mov(RCX, 0x4000E3);
        a.emit(new byte[] {0x66, 0x4C, 0x0F, 0x6E, (byte) 0xF9}); // movq xmm15, rcx
        a.mov(RCX, 0xE3);
        a.emit(new byte[] {0x66, 0x48, 0x0F, 0x6E, (byte) 0xF1}); // movq xmm6, rcx
        a.emit(new byte[] {0x0F, (byte) 0xAE, (byte) 0x80, 0, -1, -1, -1}); // fxsave [rax-100h]
        a.mov(RCX, CR3);
        a.mov(CR3, RCX);
        a.mov(R15, abs(18 << 21).q());
        Machines.exit(a, 1);
      });
      assertThat(vm.run(1000).end()).as(mode.toString()).isEqualTo(RunResult.End.GUEST_EXIT);
      assertThat(vm.cpu().regs[14]).as(mode.toString()).isEqualTo(0x6666);
      assertThat(vm.cpu().regs[15]).as(mode.toString()).isEqualTo(0x4444);
    }
  }
}
