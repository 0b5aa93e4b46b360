package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.CR0;
import static dev.gnomon.guest.asm.Reg.CR3;
import static dev.gnomon.guest.asm.Reg.RAX;
import static dev.gnomon.guest.asm.Reg.RBX;
import static dev.gnomon.guest.asm.Reg.RCX;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** CR0.WP = 0: a supervisor writes through read-only entries. */
class WriteProtectOffTest {
  @ParameterizedTest
  @CsvSource({"NATIVE,false", "EPT,false", "SHADOW,false", "NATIVE,true", "EPT,true", "SHADOW,true"})
  void shouldWriteTheReadOnlyLargePageThatTheCodeRunsFrom(Mode mode, boolean userPage) {
    VmOptions options = Machines.options(mode);
    Vm vm = Machines.boot(options.withShadow(options.shadow().withLargePages(false)), a -> {
      a.mov(RAX, CR0);
      a.and(RAX, ~ControlRegister.CR0_WP);
      a.mov(CR0, RAX);
      a.mov(RBX, CR3);
      for (int level = 4; level > 1; level--) {
        if (userPage) {
          a.or(ptr(RBX).q(), 4);
        }
        if (level > 2) {
          a.mov(RBX, ptr(RBX));
        } else {
          a.and(ptr(RBX).q(), ~2L);
        }
        a.mov(RCX, ~0xFFFL);
        a.and(RBX, RCX);
      }
      a.mov(RAX, CR3);
      a.mov(CR3, RAX);
      a.mov(abs(Machines.CODE + 0x50000), RAX);
      a.add(abs(Machines.CODE + 0x50000).q(), 1);
      Machines.exit(a, 0);
    });
    assertThat(vm.run(10_000).end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(vm.guestMemory().read(Machines.CODE + 0x50000, 8)).isEqualTo(vm.cpu().cr3 + 1);
  }

  /**
   * One instruction that reads ROM or a device and writes the stack, all below one read-only large page: memtest86+'s
   * 32-bit build does it.
   */
  @ParameterizedTest
  @CsvSource({"NATIVE, F0000", "EPT, F0000", "SHADOW, F0000", "NATIVE, B8000", "EPT, B8000", "SHADOW, B8000"})
  void shouldReadRomAndDevicesBesideTheStack(Mode mode, String address) {
    VmOptions options = Machines.options(mode).withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC));
    Vm vm = Machines.boot(options, a -> {
      a.mov(RAX, CR0);
      a.and(RAX, ~ControlRegister.CR0_WP);
      a.mov(CR0, RAX);
      // The directory-pointer entry becomes read-only.
      a.mov(RBX, CR3);
      a.mov(RBX, ptr(RBX));
      a.mov(RCX, ~0xFFFL);
      a.and(RBX, RCX);
      a.and(ptr(RBX).q(), ~2L);
      a.mov(RAX, CR3);
      a.mov(CR3, RAX);
      for (int i = 0; i < 3; i++) {
        a.push(abs(Integer.parseInt(address, 16)).q());
      }
      Machines.exit(a, 0);
    });
    long expected = address.equals("F0000") ? vm.guestMemory().read(0xF0000, 8) : 0x0720_0720_0720_0720L;
    assertThat(vm.run(10_000).end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(vm.guestMemory().read(Machines.STACK - 24, 8)).isEqualTo(expected);
  }
}
