package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.ept.EptViolation;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.RunResult.End;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** IRET at the end of an NMI handler, when it exits or faults. */
class NmiReturnTest {
  /** A stack page that only IRET reads. */
  private static final long FRAME = 0x500000;
  private static final long ABSENT = 0x600000;
  private static final long PAGE_DIRECTORY = 0x3000;
  private static final int R12_INDEX = 12;
  private static final int R13_INDEX = 13;
  private static final int R14_INDEX = 14;

  /** Waits for an NMI, whose handler returns by the frame at an address; a page fault ends the run. */
  private static void guest(Assembler a, long frame) {
    InterruptTest.loadIdt(a);
    SmpGuest.handler(a, 2, () -> {
      a.inc(R12);
      a.mov(RSP, frame);
    });
    SmpGuest.handler(a, 14, () -> {
      a.inc(R14);
      Machines.exit(a, 0);
    });
    a.xor(R12D, R12D);
    a.xor(R14D, R14D);
    a.mov(abs(PAGE_DIRECTORY + (ABSENT >> 21 << 3)).q(), 0);
    a.invlpg(abs(ABSENT));
    Label after = new Label("after");
    a.lea(R13, rip(after));
    Label wait = a.here();
    a.jmp(wait);
    a.bind(after);
    Machines.exit(a, 0);
  }

  private static Vm waiting(Mode mode, long frame) {
    Vm vm = Machines.boot(Machines.options(mode), a -> guest(a, frame));
    assertThat(vm.run(1000).end()).isEqualTo(End.BUDGET);
    long[] image = {vm.cpu().regs[R13_INDEX], 0x10, 2, Machines.STACK, 0};
    for (int i = 0; i < image.length; i++) {
      vm.guestMemory().write(FRAME + 8 * i, 8, image[i]);
    }
    vm.cpu().nmiPending = true;
    return vm;
  }

  @Test
  void shouldTellOfTheNmiThatIretUnblockedInAnEptViolation() {
    Vm vm = waiting(Mode.EPT, FRAME);
    List<Boolean> told = new ArrayList<>();
    vm.eptViews().setAccess(0, FRAME, 4096, 0, false);
    vm.eptViews().setListener((view, gpa, qualification) -> {
      told.add((qualification & EptViolation.NMI_UNBLOCKING) != 0);
      assertThat(vm.cpu().blockedByNmi).as("IRET is not done yet").isTrue();
      vm.eptViews().clearRules(0, FRAME, 4096);
      return true;
    });
    assertThat(vm.run(1000).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(told).containsExactly(true);
    assertThat(vm.cpu().blockedByNmi).isFalse();
  }

  @Test
  void shouldTellOfTheNmiThatIretUnblockedInAHiddenFault() {
    Vm vm = waiting(Mode.SHADOW, FRAME);
    vm.shadow().zapAll();
    boolean told = false;
    RunResult result;
    do {
      result = vm.run(1);
      told |= vm.cpu().exit.reason == ExitReason.EXCEPTION_NMI
          && (vm.cpu().exit.interruptionInfo & ExitQualification.INFO_NMI_UNBLOCKING) != 0;
    } while (result.end() == End.BUDGET);
    assertThat(result.end()).isEqualTo(End.GUEST_EXIT);
    assertThat(told).isTrue();
    assertThat(vm.cpu().regs[R12_INDEX]).isEqualTo(1);
    assertThat(vm.cpu().blockedByNmi).isFalse();
  }

  /** The frame lies across the end of what is mapped, so that the exception itself finds a stack. */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldUnblockNmisThoughIretFaults(Mode mode) {
    Vm vm = waiting(mode, ABSENT - 8);
    assertThat(vm.run(1000).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[R12_INDEX]).isEqualTo(1);
    assertThat(vm.cpu().regs[R14_INDEX]).isEqualTo(1);
    assertThat(vm.cpu().blockedByNmi).isFalse();
  }
}
