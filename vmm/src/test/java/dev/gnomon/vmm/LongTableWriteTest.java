package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One store that changes two entries of a page table, or the second of the two that it covers, takes effect for both in every mode. */
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
}
