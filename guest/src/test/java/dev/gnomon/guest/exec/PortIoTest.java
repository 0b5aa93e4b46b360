package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static dev.gnomon.guest.exec.SystemMachine.TSS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PortIoTest {
  private static Instruction rep(Instruction insn) {
    insn.rep = 0xF3;
    return insn;
  }

  @Test
  void shouldMoveByteWordAndDoubleword() {
    SystemMachine m = SystemMachine.longMode(0);
    m.ports.inputs.put(0x60, 0x8765_43A1);
    m.cpu.regs[Cpu.RAX] = -1;
    m.cpu.regs[Cpu.RDX] = 0xFFFF_0060L;
    m.run(0xEC);
    assertThat(m.cpu.regs[Cpu.RAX]).isEqualTo(0xFFFF_FFFF_FFFF_FFA1L);
    m.run(0xED);
    assertThat(m.cpu.regs[Cpu.RAX]).as("EAX clears the upper half").isEqualTo(0x8765_43A1L);
    Instruction word = m.insn(0xEF);
    word.operandSize = 2;
    m.run(word);
    assertThat(m.ports.accesses).containsExactly("in 60/1", "in 60/4", "out 60/2=43a1");
  }

  /** I/O permission: IOPL, map base, byte of the map for ports 60H to 67H, port, size, outcome at CPL 3. */
  @ParameterizedTest
  @CsvSource({"3, 68, ff, 60, 1, OK", "0, 68, ff, 60, 1, '#GP(0)'", "0, 68, fe, 60, 1, OK",
      "0, 68, fe, 61, 1, '#GP(0)'", "0, 68, f0, 60, 4, OK", "0, 68, f0, 61, 4, '#GP(0)'", "0, 68, 7f, 67, 1, OK",
      "0, 68, 7f, 67, 2, '#GP(0)'", "0, 200, 0, 60, 1, '#GP(0)'"})
  void shouldConsultPermissionMap(int iopl, String base, String bits, String port, int size, String outcome) {
    SystemMachine m = SystemMachine.longMode(3);
    m.cpu.setSystemFlags(iopl << Rflags.IOPL_SHIFT);
    m.cpu.limit[Segments.TR] = 0x168;
    m.memory.write(TSS + 102, 2, Integer.parseInt(base, 16));
    m.memory.write(TSS + 0x68 + 0xC, 1, Integer.parseInt(bits, 16));
    m.memory.write(TSS + 0x68 + 0xD, 1, 0xFF);
    m.cpu.regs[Cpu.RDX] = Integer.parseInt(port, 16);
    Instruction insn = m.insn(size == 1 ? 0xEC : 0xED);
    insn.operandSize = Math.max(2, size);
    assertThat(m.outcome(m.run(insn))).isEqualTo(outcome);
  }

  @Test
  void shouldConsultMapInVirtual8086ModeWhateverIoplIs() {
    SystemMachine m = SystemMachine.virtual8086(3);
    assertThat(m.outcome(m.run(0xEC))).isEqualTo("#GP(0)");
  }

  @Test
  void shouldDoOneIterationACall() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.regs[Cpu.RCX] = 2;
    m.cpu.regs[Cpu.RDX] = 0x1F0;
    m.cpu.regs[Cpu.RDI] = DATA;
    m.ports.inputs.put(0x1F0, 0x1234_ABCD);
    Instruction insn = rep(m.insn(0x6D));
    assertThat(m.outcome(m.run(insn))).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(CODE);
    assertThat(m.cpu.regs[Cpu.RCX]).isEqualTo(1);
    assertThat(m.cpu.regs[Cpu.RDI]).isEqualTo(DATA + 4);
    m.run(insn);
    assertThat(m.cpu.rip).isEqualTo(CODE + 2);
    assertThat(m.cpu.regs[Cpu.RCX]).isZero();
    assertThat(m.memory.read64(DATA)).isEqualTo(0x1234_ABCD_1234_ABCDL);
  }

  @Test
  void shouldNotReadPortWhenDestinationFaults() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.regs[Cpu.RDI] = DATA;
    m.pages.readOnly.add(DATA >> 12);
    assertThat(m.outcome(m.run(0x6C))).isEqualTo("#PF(3)");
    assertThat(m.ports.accesses).isEmpty();
    assertThat(m.cpu.regs[Cpu.RDI]).isEqualTo(DATA);
  }

  @Test
  void shouldWriteStringDownwards() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.setSystemFlags(Rflags.DF);
    m.cpu.regs[Cpu.RSI] = DATA;
    m.cpu.regs[Cpu.RDX] = 0x3F8;
    m.memory.write(DATA, 1, 'x');
    m.run(0x6E);
    assertThat(m.ports.accesses).containsExactly("out 3f8/1=78");
    assertThat(m.cpu.regs[Cpu.RSI]).isEqualTo(DATA - 1);
  }
}
