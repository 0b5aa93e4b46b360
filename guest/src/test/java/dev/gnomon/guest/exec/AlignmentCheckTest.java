package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static dev.gnomon.guest.exec.SystemMachine.STACK;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AlignmentCheckTest {
  /** PUSHA with a misaligned stack: CPL, CR0.AM, EFLAGS.AC, outcome. */
  @ParameterizedTest
  @CsvSource({"3, true, true, '#AC(0)'", "3, false, true, OK", "3, true, false, OK", "0, true, true, OK"})
  void shouldNeedRing3AndBothSwitches(int cpl, boolean am, boolean ac, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.cpu.cr0 |= am ? ControlRegister.CR0_AM : 0;
    m.cpu.setSystemFlags(ac ? Rflags.AC : 0);
    m.cpu.regs[Cpu.RSP] = STACK - 2;
    assertThat(m.outcome(m.run(0x60))).isEqualTo(outcome);
    if (!outcome.equals("OK")) {
      assertThat(m.memory.read(STACK - 6, 4)).isZero();
      assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK - 2);
    }
  }

  /** SDM vol. 3A, "Alignment Check Exception": SIDT's operand fits at addresses that are 2 modulo 4. */
  @ParameterizedTest
  @CsvSource({"2, OK", "6, OK", "0, '#AC(0)'", "1, '#AC(0)'"})
  void shouldAllowPseudoDescriptorAtOddWord(int offset, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.cpu.cr0 |= ControlRegister.CR0_AM;
    m.cpu.setSystemFlags(Rflags.AC);
    assertThat(m.outcome(m.run(m.memory(0x101, 1, DATA + offset)))).isEqualTo(outcome);
  }

  @Test
  void shouldNotCheckDescriptorTables() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.cpu.cr0 |= ControlRegister.CR0_AM;
    m.cpu.setSystemFlags(Rflags.AC);
    m.cpu.gdtrBase -= 3;
    m.memory.write(m.cpu.gdtrBase + 0x20, 8, SystemMachine.segment(0, 0xFFFFF, 0xF3, 0xC));
    m.cpu.regs[Cpu.RAX] = SystemMachine.DATA3;
    assertThat(m.outcome(m.run(m.register(0x8E, 3, Cpu.RAX)))).isEqualTo("OK");
  }
}
