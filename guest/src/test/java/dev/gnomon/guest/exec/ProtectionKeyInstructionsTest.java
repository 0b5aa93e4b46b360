package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.PagingContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** SDM vol. 2: "RDPKRU" and "WRPKRU"; vol. 3A: CR4.PKE and CR4.PKS, IA32_PKRS. */
class ProtectionKeyInstructionsTest {
  /** 0F 01 with ModRM EE and EF. */
  private static final int GROUP_7 = 0x101;
  private static final int RDPKRU = 6;
  private static final int WRPKRU = 7;
  private static final int MOV_TO = 0x122;

  private static SystemMachine machine(int cpl, boolean user, boolean supervisor) {
    SystemMachine m = SystemMachine.longMode(cpl);
    m.cpu.cpuid.offer(Feature.PKU, user);
    m.cpu.cpuid.offer(Feature.PKS, supervisor);
    return m;
  }

  private static Instruction groupFive(SystemMachine m, int rm) {
    Instruction insn = m.register(GROUP_7, 5, rm);
    insn.mod = 3;
    return insn;
  }

  @ParameterizedTest
  @CsvSource({"0, true, 0, 0, OK", "3, true, 0, 0, OK", "0, false, 0, 0, '#UD(0)'", "0, true, 1, 0, '#GP(0)'",
      "0, true, 100000000, 0, OK", "3, true, 0, 1, '#GP(0)'", "0, true, 0, 100000000, OK"})
  void shouldWriteAndReadPkru(int cpl, boolean pke, String rcx, String rdx, String outcome) {
    SystemMachine m = machine(cpl, true, false);
    m.cpu.cr4 |= pke ? ControlRegister.CR4_PKE : 0;
    m.cpu.regs[Cpu.RAX] = 0x1_1234_5678L;
    m.cpu.regs[Cpu.RCX] = Long.parseLong(rcx, 16);
    m.cpu.regs[Cpu.RDX] = Long.parseLong(rdx, 16);
    assertThat(m.outcome(m.run(groupFive(m, WRPKRU)))).isEqualTo(outcome);
    boolean written = outcome.equals("OK");
    assertThat(m.mmu.paging.pkru).isEqualTo(written ? 0x1234_5678 : 0);
    if (written) {
      m.cpu.regs[Cpu.RAX] = -1;
      m.cpu.regs[Cpu.RDX] = -1;
      assertThat(m.outcome(m.run(groupFive(m, RDPKRU)))).isEqualTo("OK");
      assertThat(m.cpu.regs[Cpu.RAX]).isEqualTo(0x1234_5678L);
      assertThat(m.cpu.regs[Cpu.RDX]).isZero();
    }
  }

  @ParameterizedTest
  @CsvSource({"false, false, 400000, '#GP(0)'", "false, false, 1000000, '#GP(0)'", "true, false, 400000, OK",
      "true, false, 1000000, '#GP(0)'", "false, true, 1000000, OK", "true, true, 1400000, OK"})
  void shouldSetTheControlBitsThatCpuidOffers(boolean user, boolean supervisor, String bits, String outcome) {
    SystemMachine m = machine(0, user, supervisor);
    m.cpu.regs[Cpu.RAX] = ControlRegister.CR4_PAE | Long.parseLong(bits, 16);
    assertThat(m.outcome(m.run(m.register(MOV_TO, 4, Cpu.RAX)))).isEqualTo(outcome);
    boolean on = outcome.equals("OK");
    assertThat(m.mmu.paging.mode).isEqualTo(on ? PagingContext.LONG4_KEYS : PagingContext.LONG4);
    boolean shown = (m.cpu.cpuid.query(7, 0)[Cpuid.ECX] & 1 << 4) != 0;
    assertThat(shown).as("OSPKE").isEqualTo(on && user);
  }

  @ParameterizedTest
  @CsvSource({"true, 55555554, OK", "true, 155555554, '#GP(0)'", "false, 0, '#GP(0)'"})
  void shouldCheckWritesToPkrs(boolean offered, String value, String outcome) {
    SystemMachine m = machine(0, true, offered);
    long v = Long.parseLong(value, 16);
    ModelRegisters registers = new ModelRegisters(m.cpu);
    assertThat(m.outcome(registers.write(Msr.PKRS, v))).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(m.outcome(registers.read(Msr.PKRS))).isEqualTo("OK");
      assertThat(m.cpu.value).isEqualTo(v);
      assertThat(m.mmu.paging.pkrs).isEqualTo((int) v);
    }
  }

  @Test
  void shouldOfferNoKeysByDefault() {
    Cpuid cpuid = new Cpuid();
    assertThat(cpuid.offers(Feature.PKU)).isFalse();
    assertThat(cpuid.offers(Feature.PKS)).isFalse();
    assertThat(cpuid.cr4Bits() & (ControlRegister.CR4_PKE | ControlRegister.CR4_PKS)).isZero();
  }
}
