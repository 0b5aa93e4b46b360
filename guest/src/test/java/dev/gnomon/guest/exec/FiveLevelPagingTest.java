package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.mmu.PagingContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** CR4.LA57 and canonical addresses (SDM vol. 3A, "Control Registers"; vol. 1, "Canonical Addressing"). */
class FiveLevelPagingTest {
  private static final int MOV_TO = 0x122;
  private static final long POSITIVE_57 = 0x00FF_0000_0000_0000L;

  private static SystemMachine machine(boolean offered, boolean on) {
    SystemMachine m = SystemMachine.longMode(0);
    if (offered) {
      m.cpu.cpuid.offer(Feature.LA57, true);
    }
    m.cpu.cr4 |= on ? ControlRegister.CR4_LA57 : 0;
    m.cpu.syncPaging();
    return m;
  }

  @ParameterizedTest
  @CsvSource({"false, false, '#GP(0)'", "true, false, OK", "true, true, '#GP(0)'", "false, true, '#GP(0)'"})
  void shouldSetTheBitOutsideIa32eModeAlone(boolean offered, boolean longMode, String outcome) {
    SystemMachine m = longMode ? SystemMachine.longMode(0) : SystemMachine.protectedMode(0);
    if (offered) {
      m.cpu.cpuid.offer(Feature.LA57, true);
    }
    m.cpu.regs[Cpu.RAX] = ControlRegister.CR4_PAE | ControlRegister.CR4_LA57;
    assertThat(m.outcome(m.run(m.register(MOV_TO, 4, Cpu.RAX)))).isEqualTo(outcome);
  }

  @Test
  void shouldWalkFiveLevelsOnceIa32eModeIsActive() {
    assertThat(machine(true, true).mmu.paging.mode).isEqualTo(PagingContext.LONG5);
    assertThat(machine(true, false).mmu.paging.mode).isEqualTo(PagingContext.LONG4);
  }

  @ParameterizedTest
  @CsvSource({"7fffffffffff, true, true", "800000000000, false, true", "ffff800000000000, true, true",
      "ffff7fffffffffff, false, true", "ffffffffffffff, false, true", "100000000000000, false, false",
      "ff00000000000000, false, true", "feffffffffffffff, false, false"})
  void shouldJudgeCanonicalAddressesByThePagingInForce(String address, boolean four, boolean five) {
    long a = Long.parseUnsignedLong(address, 16);
    assertThat(machine(true, false).cpu.canonical(a)).isEqualTo(four);
    assertThat(machine(true, true).cpu.canonical(a)).isEqualTo(five);
  }

  /** MSRs and bases go by what the processor has, not by the paging in force. */
  @ParameterizedTest
  @CsvSource({"false, false, '#GP(0)'", "true, false, OK", "true, true, OK"})
  void shouldJudgeMsrsByTheProcessorsWidth(boolean offered, boolean on, String outcome) {
    SystemMachine m = machine(offered, on);
    assertThat(m.outcome(new ModelRegisters(m.cpu).write(Msr.KERNEL_GS_BASE, POSITIVE_57))).isEqualTo(outcome);
  }

  @Test
  void shouldOfferFourLevelsByDefault() {
    SystemMachine m = SystemMachine.longMode(0);
    assertThat(m.cpu.cpuid.linearAddressBits()).isEqualTo(48);
    assertThat(m.cpu.cpuid.cr4Bits() & ControlRegister.CR4_LA57).isZero();
    m.cpu.cpuid.offer(Feature.LA57, true);
    assertThat(m.cpu.cpuid.linearAddressBits()).isEqualTo(57);
  }
}
