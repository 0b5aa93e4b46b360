package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static dev.gnomon.guest.exec.SystemMachine.STACK;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MultiSlotInstructionsTest {
  @Test
  void shouldPushAndPopAllRegisters() {
    SystemMachine m = SystemMachine.protectedMode(0);
    for (int register = 0; register < 8; register++) {
      if (register != Cpu.RSP) {
        m.cpu.regs[register] = 0x100 + register;
      }
    }
    assertThat(m.outcome(m.run(0x60))).isEqualTo("OK");
    assertThat(m.stack(7, 4)).isEqualTo(0x100);
    assertThat(m.stack(3, 4)).as("ESP as it was").isEqualTo(STACK);
    assertThat(m.stack(0, 4)).isEqualTo(0x107);
    for (int register = 0; register < 8; register++) {
      if (register != Cpu.RSP) {
        m.cpu.regs[register] = 0;
      }
    }
    assertThat(m.outcome(m.run(0x61))).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0x103);
    assertThat(m.cpu.regs[Cpu.RDI]).isEqualTo(0x107);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK);
  }

  /** Stack pointer; outcome in 16-bit real-address and virtual-8086 mode, for PUSHA and PUSHAD. */
  @ParameterizedTest
  @CsvSource({"1, '#SS', '#SS'", "3, '#SS', '#SS'", "5, '#SS', '#SS'", "7, '#GP', '#GP'", "9, '#GP', '#GP'",
      "11, '#GP', '#GP'", "13, '#GP', '#GP'", "15, '#GP', '#GP'", "16, OK, OK", "17, OK, '#SS'", "0, OK, OK",
      "8, OK, OK",
      "32, OK, OK", "33, OK, OK"})
  void shouldRefuseOddStackPointersOutsideProtectedMode(int pointer, String small, String large) {
    for (SystemMachine m : new SystemMachine[] {SystemMachine.real(), SystemMachine.virtual8086(0)}) {
      for (int size : new int[] {2, 4}) {
        m.cpu.regs[Cpu.RSP] = 0x1234_0000L | pointer;
        Instruction insn = m.insn(0x60);
        insn.operandSize = size;
        assertThat(m.outcome(m.run(insn))).startsWith(size == 2 ? small : large);
      }
    }
  }

  @Test
  void shouldTakeAnyStackPointerOfPopaAndOfProtectedMode() {
    SystemMachine real = SystemMachine.real();
    real.cpu.regs[Cpu.RSP] = 7;
    assertThat(real.outcome(real.run(0x61))).isEqualTo("OK");
    real.cpu.regs[Cpu.RSP] = 0xFFFF - 8;
    assertThat(real.outcome(real.run(0x61))).startsWith("#SS");
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.limit[Segments.SS] = 0xFFFF;
    m.cpu.updateMode();
    m.cpu.regs[Cpu.RSP] = 7;
    assertThat(m.outcome(m.run(0x60))).startsWith("#SS");
  }

  /** Whose #SS cannot be delivered either. */
  @ParameterizedTest
  @CsvSource({"1", "3", "5"})
  void shouldShutDownAtPushaWithALowOddStackPointer(int pointer) {
    SystemMachine m = SystemMachine.real();
    m.memory.write(SystemMachine.CODE, 1, 0x60);
    m.cpu.base[Segments.CS] = SystemMachine.CODE;
    m.cpu.rip = 0;
    m.cpu.regs[Cpu.RSP] = pointer;
    assertThat(new Processor(m.cpu, 64).run(8)).isEqualTo(ExitReason.TRIPLE_FAULT);
  }

  @Test
  void shouldPushNothingWhenLowestSlotFaults() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RSP] = 0x9010;
    m.pages.notPresent.add(8L);
    assertThat(m.outcome(m.run(0x60))).isEqualTo("#PF(2)");
    assertThat(m.memory.read(0x900C, 4)).isZero();
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x9010);
  }

  @Test
  void shouldPopNothingWhenOneSlotFaults() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RSP] = 0x8FF0;
    m.memory.write(0x8FF0, 4, 0x77);
    m.pages.notPresent.add(9L);
    assertThat(m.outcome(m.run(0x61))).isEqualTo("#PF(0)");
    assertThat(m.cpu.regs[Cpu.RDI]).isZero();
  }

  /** ENTER 16, level: stack pointer and what is on the stack, from BP = 8200H whose display holds AAAA and BBBB. */
  @ParameterizedTest
  @CsvSource({"0, 97ec, 8200", "1, 97e8, 97fc 8200", "3, 97e0, 97fc bbbb aaaa 8200"})
  void shouldBuildFrame(int level, String sp, String slots) {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RBP] = 0x8200;
    m.memory.write(0x81FC, 4, 0xAAAA);
    m.memory.write(0x81F8, 4, 0xBBBB);
    Instruction insn = m.insn(0xC8);
    insn.immediate = 16;
    insn.immediate2 = level;
    assertThat(m.outcome(m.run(insn))).isEqualTo("OK");
    assertThat(Long.toHexString(m.cpu.regs[Cpu.RSP])).isEqualTo(sp);
    assertThat(m.cpu.regs[Cpu.RBP]).isEqualTo(STACK - 4);
    String[] expected = slots.split(" ");
    for (int i = 0; i < expected.length; i++) {
      assertThat(Long.toHexString(m.stack(i + 4, 4))).isEqualTo(expected[i]);
    }
  }

  @Test
  void shouldFaultWhenFrameOfEnterEndsOnMissingPage() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.regs[Cpu.RSP] = 0x9010;
    m.cpu.regs[Cpu.RBP] = 0x5555;
    m.pages.notPresent.add(8L);
    Instruction insn = m.insn(0xC8);
    insn.immediate = 0x100;
    assertThat(m.outcome(m.run(insn))).isEqualTo("#PF(2)");
    assertThat(m.memory.read(0x9008, 8)).isZero();
    assertThat(m.cpu.regs[Cpu.RBP]).isEqualTo(0x5555);
  }

  @ParameterizedTest
  @CsvSource({"5, OK", "-3, OK", "10, OK", "11, '#BR(0)'", "-4, '#BR(0)'"})
  void shouldCheckBounds(int index, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.memory.write(DATA, 4, -3);
    m.memory.write(DATA + 4, 4, 10);
    m.cpu.regs[Cpu.RCX] = index & 0xFFFF_FFFFL;
    assertThat(m.outcome(m.run(m.memory(0x62, Cpu.RCX, DATA)))).isEqualTo(outcome);
  }

  @Test
  void shouldTranslateByte() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RBX] = DATA;
    m.cpu.regs[Cpu.RAX] = 0x1180;
    m.memory.write(DATA + 0x80, 1, 0x42);
    m.run(0xD7);
    assertThat(m.cpu.regs[Cpu.RAX]).isEqualTo(0x1142);
  }

  /**
   * Decimal adjustments: opcode, AX, CF and AF in, AX, CF and AF out (values from the SDM's algorithms, worked by
   * hand).
   */
  @ParameterizedTest
  @CsvSource({"27, 79ae, 10, 7914, 11", "27, 002e, 00, 0034, 10", "27, 009a, 00, 0000, 11", "27, 0099, 00, 0099, 00",
      "27, 0010, 01, 0070, 01",
      "2f, 00ee, 00, 0088, 11", "2f, 000f, 00, 0009, 10", "2f, 0003, 10, 00fd, 11", "37, 000a, 00, 0100, 11",
      "37, 00f5, 00, 0005, 00",
      "37, 00ff, 00, 0205, 11", "3f, 020a, 00, 0104, 11", "3f, 0003, 10, fe0d, 11"})
  void shouldAdjustDecimals(String opcode, String ax, String flags, String result, String resultFlags) {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RAX] = Integer.parseInt(ax, 16);
    int in = Integer.parseInt(flags, 16);
    m.cpu.setStatusFlags((in & 0x10) | (in & 1));
    assertThat(m.outcome(m.run(Integer.parseInt(opcode, 16)))).isEqualTo("OK");
    assertThat(String.format("%04x", m.cpu.regs[Cpu.RAX])).isEqualTo(result);
    assertThat(String.format("%02x", m.cpu.rflags() & (Rflags.AF | Rflags.CF))).isEqualTo(resultFlags);
  }

  @Test
  void shouldSplitAndJoinDigits() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RAX] = 0x63;
    Instruction aam = m.insn(0xD4);
    aam.immediate = 10;
    m.run(aam);
    assertThat(m.cpu.regs[Cpu.RAX]).isEqualTo(0x0909);
    Instruction aad = m.insn(0xD5);
    aad.immediate = 10;
    m.run(aad);
    assertThat(m.cpu.regs[Cpu.RAX]).isEqualTo(0x63);
    aam.immediate = 0;
    assertThat(m.outcome(m.run(aam))).isEqualTo("#DE(0)");
  }
}
