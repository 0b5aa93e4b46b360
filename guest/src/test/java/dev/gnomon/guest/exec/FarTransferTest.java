package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.CODE0;
import static dev.gnomon.guest.exec.SystemMachine.CODE0_COMPAT;
import static dev.gnomon.guest.exec.SystemMachine.CODE3;
import static dev.gnomon.guest.exec.SystemMachine.CONFORMING;
import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static dev.gnomon.guest.exec.SystemMachine.DATA0;
import static dev.gnomon.guest.exec.SystemMachine.DATA3;
import static dev.gnomon.guest.exec.SystemMachine.FREE;
import static dev.gnomon.guest.exec.SystemMachine.HANDLER;
import static dev.gnomon.guest.exec.SystemMachine.KERNEL_STACK;
import static dev.gnomon.guest.exec.SystemMachine.STACK;
import static dev.gnomon.guest.exec.SystemMachine.gate;
import static dev.gnomon.guest.exec.SystemMachine.segment;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FarTransferTest {
  private static final int CALL = 0x9A;
  private static final int JMP = 0xEA;

  private static String far(SystemMachine m, int opcode, int selector, long offset) {
    Instruction insn = m.insn(opcode);
    insn.immediate = offset;
    insn.immediate2 = selector;
    return m.outcome(m.run(insn));
  }

  private static String farReturn(SystemMachine m, int release) {
    Instruction insn = m.insn(release == 0 ? 0xCB : 0xCA);
    insn.immediate = release;
    return m.outcome(m.run(insn));
  }

  /** Direct transfers: access byte, CPL, RPL, outcome (SDM vol. 2A, "CALL" and "JMP"). */
  @ParameterizedTest
  @CsvSource({
      "9B, 0, 0, OK", "9B, 0, 1, '#GP(60)'", "FB, 0, 0, '#GP(60)'", "FB, 3, 3, OK", "FB, 3, 0, OK",
      "9B, 3, 3, '#GP(60)'", "9F, 3, 3, OK", "FF, 0, 0, '#GP(60)'", "93, 0, 0, '#GP(60)'", "1B, 0, 0, '#NP(60)'",
      "82, 0, 0, '#GP(60)'"})
  void shouldCheckDirectTransfer(String access, int cpl, int rpl, String outcome) {
    for (int opcode : new int[] {CALL, JMP}) {
      SystemMachine m = SystemMachine.protectedMode(cpl);
      m.descriptor(FREE, segment(0, 0xFFFFF, Integer.parseInt(access, 16), 0xC));
      assertThat(far(m, opcode, FREE | rpl, HANDLER)).isEqualTo(outcome);
      boolean ok = outcome.equals("OK");
      assertThat(m.cpu.rip).isEqualTo(ok ? HANDLER : CODE);
      assertThat(m.cpu.selector[Segments.CS]).isEqualTo(ok ? FREE | cpl : cpl == 0 ? CODE0 : CODE3);
      assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(ok && opcode == CALL ? STACK - 8 : STACK);
      if (ok && opcode == CALL) {
        assertThat(m.stack(0, 4)).isEqualTo(CODE + 2);
        assertThat(m.stack(1, 4)).isEqualTo(cpl == 0 ? CODE0 : CODE3);
      }
    }
  }

  @Test
  void shouldRaiseGpForNullSelectorAndForOffsetBehindLimit() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.descriptor(FREE, segment(0, 0xFFF, 0x9B, 4));
    assertThat(far(m, JMP, 3, 0)).isEqualTo("#GP(0)");
    assertThat(far(m, JMP, FREE, 0x1000)).isEqualTo("#GP(0)");
    assertThat(far(m, CALL, FREE, 0x1000)).isEqualTo("#GP(0)");
    assertThat(m.memory.read(STACK - 4, 4)).isZero();
  }

  @Test
  void shouldJumpInRealMode() {
    SystemMachine m = SystemMachine.real();
    assertThat(far(m, CALL, 0xF000, 0xFFF0)).isEqualTo("OK");
    assertThat(m.cpu.base[Segments.CS]).isEqualTo(0xF0000);
    assertThat(m.cpu.rip).isEqualTo(0xFFF0);
    assertThat(m.stack(0, 2)).isEqualTo(0x102);
    assertThat(farReturn(m, 4)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0x102);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK + 4);
  }

  @Test
  void shouldLoadFarPointerFromMemory() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.memory.write(DATA, 4, HANDLER);
    m.memory.write(DATA + 4, 2, CODE0);
    assertThat(m.outcome(m.run(m.memory(0xFF, 5, DATA)))).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    assertThat(m.outcome(m.run(m.register(0xFF, 3, 0)))).isEqualTo("#UD(0)");
  }

  /** Call gates: gate DPL, RPL, gate type, code selector, outcome from ring 3. */
  @ParameterizedTest
  @CsvSource({"3, 3, 12, 8, OK", "0, 0, 12, 8, '#GP(60)'", "3, 3, 12, 0, '#GP(0)'", "3, 3, 12, 16, '#GP(10)'",
      "3, 3, 12, 24, OK", "3, 3, 12, 104, '#NP(68)'", "3, 3, 4, 8, OK", "3, 3, 14, 8, '#GP(60)'"})
  void shouldCheckCallGate(int dpl, int rpl, int type, int code, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.descriptor(FREE, gate(code, HANDLER, type, dpl, 0));
    m.descriptor(FREE + 8, segment(0, 0xFFFFF, 0x1B, 0xC));
    assertThat(far(m, CALL, FREE | rpl, 0)).isEqualTo(outcome);
  }

  @Test
  void shouldNotJumpToInnerRingThroughGate() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.descriptor(FREE, gate(CODE0, HANDLER, 0xC, 3, 0));
    assertThat(far(m, JMP, FREE | 3, 0)).isEqualTo("#GP(8)");
    m.descriptor(FREE, gate(CONFORMING, HANDLER, 0xC, 3, 0));
    assertThat(far(m, JMP, FREE | 3, 0)).isEqualTo("OK");
    assertThat(m.cpu.cpl).isEqualTo(3);
  }

  @Test
  void shouldCopyParametersToInnerStackAndReturn() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.descriptor(FREE, gate(CODE0, HANDLER, 0xC, 3, 2));
    m.push(4, 0x2222, 0x1111);
    assertThat(far(m, CALL, FREE | 3, 0)).isEqualTo("OK");
    assertThat(m.cpu.cpl).isZero();
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(KERNEL_STACK - 24);
    assertThat(m.stack(0, 4)).isEqualTo(CODE + 2);
    assertThat(m.stack(1, 4)).isEqualTo(CODE3);
    assertThat(m.stack(2, 4)).isEqualTo(0x1111);
    assertThat(m.stack(3, 4)).isEqualTo(0x2222);
    assertThat(m.stack(4, 4)).isEqualTo(STACK - 8);
    assertThat(m.stack(5, 4)).isEqualTo(DATA3);
    m.load(Segments.DS, DATA0);
    assertThat(farReturn(m, 8)).isEqualTo("OK");
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK);
    assertThat(m.cpu.rip).isEqualTo(CODE + 2);
    assertThat(m.cpu.rights[Segments.DS] & Segments.UNUSABLE).as("inner data segment").isEqualTo(Segments.UNUSABLE);
    assertThat(m.cpu.selector[Segments.ES]).as("outer data segment").isEqualTo(DATA3);
  }

  @Test
  void shouldCommitNothingWhenInnerStackOfCallFaults() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.descriptor(FREE, gate(CODE0, HANDLER, 0xC, 3, 0));
    m.pages.notPresent.add(KERNEL_STACK - 4 >> 12);
    assertThat(far(m, CALL, FREE | 3, 0)).isEqualTo("#PF(2)");
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.rip).isEqualTo(CODE);
  }

  @Test
  void shouldUse16ByteGateInLongMode() {
    SystemMachine m = SystemMachine.longMode(3);
    m.descriptor(FREE, gate(CODE0, HANDLER, 0xC, 3, 5));
    m.descriptor(FREE + 8, 0xFFFF_9000L);
    m.memory.write64(DATA, 0);
    m.memory.write(DATA + 4, 2, FREE | 3);
    assertThat(m.outcome(m.run(m.memory(0xFF, 3, DATA)))).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0xFFFF_9000_0000_0000L | HANDLER);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(KERNEL_STACK - 32);
    assertThat(m.stack(1, 8)).isEqualTo(CODE3);
    assertThat(m.stack(2, 8)).isEqualTo(STACK);
    assertThat(m.cpu.selector[Segments.SS]).isZero();
  }

  /** IA-32e mode: gate type or code segment, upper half, outcome. */
  @ParameterizedTest
  @CsvSource({"4, 8, 0, '#GP(60)'", "5, 8, 0, '#GP(60)'", "9, 8, 0, '#GP(60)'", "12, 56, 0, '#GP(38)'",
      "12, 8, 1, '#GP(60)'", "12, 8, 0, OK"})
  void shouldCheckGateInLongMode(int type, int code, int upperType, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    m.descriptor(FREE, gate(code, HANDLER, type, 0, 0));
    m.descriptor(FREE + 8, (long) upperType << 40);
    m.memory.write(DATA + 4, 2, FREE);
    assertThat(m.outcome(m.run(m.memory(0xFF, 5, DATA)))).isEqualTo(outcome);
  }

  @Test
  void shouldEnterAndLeaveCompatibilityMode() {
    SystemMachine m = SystemMachine.longMode(0);
    m.memory.write(DATA, 4, HANDLER);
    m.memory.write(DATA + 4, 2, CODE0_COMPAT);
    assertThat(m.outcome(m.run(m.memory(0xFF, 5, DATA)))).isEqualTo("OK");
    assertThat(m.cpu.code64()).isFalse();
    assertThat(far(m, JMP, CODE0, CODE)).isEqualTo("OK");
    assertThat(m.cpu.code64()).isTrue();
  }

  @Test
  void shouldRefuseCodeSegmentWithLongAndDefaultBits() {
    SystemMachine m = SystemMachine.longMode(0);
    m.descriptor(FREE, segment(0, 0xFFFFF, 0x9B, 0xE));
    m.memory.write(DATA + 4, 2, FREE);
    assertThat(m.outcome(m.run(m.memory(0xFF, 5, DATA)))).isEqualTo("#GP(60)");
  }

  /** Far returns from ring 0: CS, SS, outcome. */
  @ParameterizedTest
  @CsvSource({"8, 0, OK", "0, 0, '#GP(0)'", "16, 0, '#GP(10)'", "27, 35, OK", "27, 0, '#GP(0)'", "27, 16, '#GP(10)'",
      "27, 32, '#GP(20)'", "24, 0, '#GP(18)'", "27, 99, '#SS(60)'", "107, 35, '#NP(68)'"})
  void shouldCheckFarReturn(int cs, int ss, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.descriptor(FREE, segment(0, 0xFFFFF, 0x73, 0xC));
    m.descriptor(FREE + 8, segment(0, 0xFFFFF, 0x7B, 0xC));
    m.push(4, ss, 0x7770, cs, HANDLER);
    long sp = m.cpu.regs[Cpu.RSP];
    assertThat(farReturn(m, 0)).isEqualTo(outcome);
    if (!outcome.equals("OK")) {
      assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(sp);
      assertThat(m.cpu.rip).isEqualTo(CODE);
    } else {
      assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo((cs & 3) == 3 ? 0x7770 : sp + 8);
    }
  }

  @Test
  void shouldNotReturnToInnerRing() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.push(4, CODE0, HANDLER);
    assertThat(farReturn(m, 0)).isEqualTo("#GP(8)");
  }
}
