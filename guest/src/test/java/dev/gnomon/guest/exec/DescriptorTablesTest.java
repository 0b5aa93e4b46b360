package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static dev.gnomon.guest.exec.SystemMachine.FREE;
import static dev.gnomon.guest.exec.SystemMachine.segment;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DescriptorTablesTest {
  private static boolean zero(SystemMachine m) {
    return (m.cpu.rflags() & Rflags.ZF) != 0;
  }

  @Test
  void shouldLoadAndStoreTables() {
    SystemMachine m = SystemMachine.longMode(0);
    m.memory.write(DATA, 2, 0x7F);
    m.memory.write(DATA + 2, 8, 0xFFFF_8000_1234_5678L);
    assertThat(m.outcome(m.run(m.memory(0x101, 3, DATA)))).isEqualTo("OK");
    assertThat(m.cpu.idtrBase).isEqualTo(0xFFFF_8000_1234_5678L);
    assertThat(m.cpu.idtrLimit).isEqualTo(0x7F);
    assertThat(m.outcome(m.run(m.memory(0x101, 1, DATA + 0x100)))).isEqualTo("OK");
    assertThat(m.memory.read(DATA + 0x102, 8)).isEqualTo(0xFFFF_8000_1234_5678L);
    m.memory.write(DATA + 2, 8, 1L << 47);
    assertThat(m.outcome(m.run(m.memory(0x101, 2, DATA)))).isEqualTo("#GP(0)");
  }

  @Test
  void shouldTake24BitBaseWith16BitOperand() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.memory.write(DATA + 2, 4, 0x1234_5678);
    Instruction insn = m.memory(0x101, 2, DATA);
    insn.operandSize = 2;
    assertThat(m.outcome(m.run(insn))).isEqualTo("OK");
    assertThat(m.cpu.gdtrBase).isEqualTo(0x34_5678);
  }

  @ParameterizedTest
  @CsvSource({"2, 3, '#GP(0)'", "3, 3, '#GP(0)'", "0, 3, OK", "1, 3, OK", "2, 0, OK"})
  void shouldCheckPrivilege(int group, int cpl, String outcome) {
    SystemMachine m = SystemMachine.longMode(cpl);
    assertThat(m.outcome(m.run(m.memory(0x101, group, DATA)))).isEqualTo(outcome);
  }

  @Test
  void shouldStoreNothingWhenSecondPartOfSgdtFaults() {
    SystemMachine m = SystemMachine.longMode(0);
    m.pages.readOnly.add((DATA >> 12) + 1);
    assertThat(m.outcome(m.run(m.memory(0x101, 0, DATA + 0xFFE)))).isEqualTo("#PF(3)");
    assertThat(m.memory.read(DATA + 0xFFE, 2)).isZero();
  }

  /** VERR, VERW, LAR and LSL: access byte, CPL, RPL, and ZF of each. */
  @ParameterizedTest
  @CsvSource({
      "93, 0, 0, 1111", "91, 0, 0, 1011", "93, 3, 3, 0000", "F3, 3, 3, 1111", "9B, 0, 0, 1011", "99, 0, 0, 0011",
      "9F, 3, 3, 1011", "9D, 3, 3, 0011", "82, 0, 0, 0011", "89, 0, 0, 0011", "8B, 0, 0, 0011", "81, 0, 0, 0011",
      "8C, 0, 0, 0010", "84, 0, 0, 0010", "85, 0, 0, 0010", "8E, 0, 0, 0000", "87, 0, 0, 0000", "80, 0, 0, 0000",
      "93, 0, 3, 0000", "EC, 3, 3, 0010"})
  void shouldInspectDescriptor(String access, int cpl, int rpl, String flags) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.descriptor(FREE, segment(0, 0x12345, Integer.parseInt(access, 16), 0xC));
    m.cpu.regs[Cpu.RAX] = FREE | rpl;
    StringBuilder found = new StringBuilder();
    for (Instruction insn : new Instruction[] {m.register(0x100, 4, 0), m.register(0x100, 5, 0),
        m.register(0x102, 3, 0), m.register(0x103, 3, 0)}) {
      m.cpu.regs[Cpu.RBX] = 0x5555;
      assertThat(m.outcome(m.run(insn))).isEqualTo("OK");
      found.append(zero(m) ? 1 : 0);
      if (insn.opcode == 0x102 && zero(m)) {
        assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0xC0_0000L | Integer.parseInt(access, 16) << 8);
      } else if (insn.opcode == 0x103 && zero(m)) {
        assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0x1234_5FFFL);
      } else {
        assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0x5555);
      }
    }
    assertThat(found.toString()).isEqualTo(flags);
  }

  @Test
  void shouldClearZeroFlagForSelectorOutsideTableAndReportPageFault() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RAX] = 0x2000;
    m.cpu.setStatusFlags(Rflags.ZF | Rflags.CF);
    assertThat(m.outcome(m.run(m.register(0x102, 3, 0)))).isEqualTo("OK");
    assertThat(m.cpu.rflags() & Rflags.STATUS).isEqualTo(Rflags.CF);
    m.pages.notPresent.add(SystemMachine.GDT >> 12);
    m.cpu.regs[Cpu.RAX] = FREE;
    assertThat(m.outcome(m.run(m.register(0x102, 3, 0)))).isEqualTo("#PF(0)");
  }

  @ParameterizedTest
  @CsvSource({"100, 0", "102, 0", "103, 0", "63, 0"})
  void shouldNotExistInRealAndVirtual8086Mode(String opcode, int group) {
    for (SystemMachine m : new SystemMachine[] {SystemMachine.real(), SystemMachine.virtual8086(3)}) {
      assertThat(m.outcome(m.run(m.register(Integer.parseInt(opcode, 16), group, 0)))).isEqualTo("#UD(0)");
    }
  }

  @ParameterizedTest
  @CsvSource({"60, 3, 63, true", "63, 1, 63, false", "61, 1, 61, false", "61, 2, 62, true"})
  void shouldRaiseRpl(String destination, String source, String result, boolean zf) {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.memory.write(DATA, 2, Integer.parseInt(destination, 16));
    m.cpu.regs[Cpu.RCX] = Integer.parseInt(source, 16);
    assertThat(m.outcome(m.run(m.memory(0x63, Cpu.RCX, DATA)))).isEqualTo("OK");
    assertThat(Long.toHexString(m.memory.read(DATA, 2))).isEqualTo(result);
    assertThat(zero(m)).isEqualTo(zf);
  }

  @Test
  void shouldStoreTaskRegister() {
    SystemMachine m = SystemMachine.longMode(3);
    m.cpu.regs[Cpu.RBX] = -1;
    m.run(m.register(0x100, 1, Cpu.RBX));
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(SystemMachine.TASK);
  }
}
