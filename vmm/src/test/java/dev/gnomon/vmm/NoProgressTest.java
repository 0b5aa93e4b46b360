package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.RAX;
import static dev.gnomon.guest.asm.Reg.RBX;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Segments;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Guests that go on for ever without retiring an instruction. */
class NoProgressTest {
  /** Offset of the first interrupt-stack pointer in a 64-bit TSS. */
  private static final int IST1 = 36;

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEndARunWhoseExceptionHandlerFaultsAtOnce(Mode mode) {
    Vm vm = Machines.boot(Machines.options(mode), a -> {
      Label idtr = new Label();
      Label fault = new Label();
      // The gate of #UD leads to the UD2 itself, on a stack of its own, so that no delivery uses it up.
      a.mov(RAX, fault);
      a.mov(RBX, 0x380000L + 16 * 6);
      a.mov(ptr(RBX).w(), RAX.as(2));
      a.mov(ptr(RBX, 2).w(), 0x10);
      a.mov(ptr(RBX, 4).w(), 0x8E01);
      a.shr(RAX, 16);
      a.mov(ptr(RBX, 6).w(), RAX.as(2));
      a.mov(ptr(RBX, 8).q(), 0);
      a.lidt(abs(idtr));
      a.bind(fault);
      a.ud2();
      a.align(8);
      a.bind(idtr);
      a.dw(0xFFF);
      a.dq(0x380000L);
    });
    vm.guestMemory().write(vm.cpu().base[Segments.TR] + IST1, 8, 0x80000);
    RunResult result = vm.run(1_000_000);
    assertThat(result.end()).isEqualTo(RunResult.End.INTERNAL_ERROR);
    assertThat(result.detail()).contains("retir");
  }
}
