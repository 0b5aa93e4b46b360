package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.CODE0;
import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static dev.gnomon.guest.exec.SystemMachine.HANDLER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.mmu.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DebugTest {
  private static SystemMachine breakpoint(long address, int rw, int length) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.dr[1] = address;
    m.cpu.dr[7] = 1 << 2 | (long) rw << 20 | (long) length << 22;
    m.debug.refresh();
    return m;
  }

  @Test
  void shouldTrapBehindInstructionWhenTfIsSet() {
    SystemMachine m = SystemMachine.longMode(0);
    assertThat(m.debug.stepping()).isFalse();
    m.cpu.setSystemFlags(Rflags.TF);
    assertThat(m.debug.stepping()).isTrue();
    assertThat(m.debug.instructionBreakpoint()).isFalse();
    m.cpu.rip += 3;
    assertThat(m.debug.afterInstruction(false)).isEqualTo(Status.FAULT);
    assertThat(m.cpu.faultVector).isEqualTo(Vector.DB);
    m.events.raise();
    assertThat(m.cpu.dr[6]).isEqualTo(0xFFFF_4FF0L);
  }

  @Test
  void shouldNotTrapBehindInt() {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(3, CODE0, HANDLER, 0xE, 0, 0);
    m.cpu.setSystemFlags(Rflags.TF);
    m.debug.instructionBreakpoint();
    assertThat(m.outcome(m.run(0xCC))).isEqualTo("OK");
    assertThat(m.debug.afterInstruction(false)).isEqualTo(Status.OK);
    assertThat(m.debug.stepping()).isFalse();
  }

  @Test
  void shouldHoldTrapBackForOneInstructionAfterMovSs() {
    SystemMachine m = breakpoint(DATA, 3, 0);
    m.debug.instructionBreakpoint();
    m.linear.load(DATA, 1);
    m.cpu.blockedByMovSs = true;
    assertThat(m.debug.afterInstruction(false)).isEqualTo(Status.OK);
    m.debug.instructionBreakpoint();
    m.cpu.blockedByMovSs = false;
    assertThat(m.debug.afterInstruction(false)).isEqualTo(Status.FAULT);
    assertThat(m.cpu.pendingDebug).isEqualTo(2);
  }

  @Test
  void shouldTrapInTheHandlerOfIntBehindMovSs() {
    SystemMachine m = breakpoint(DATA, 3, 0);
    m.interruptGate(3, CODE0, HANDLER, 0xE, 0, 0);
    m.debug.instructionBreakpoint();
    m.linear.load(DATA, 1);
    m.cpu.blockedByMovSs = true;
    m.debug.afterInstruction(false);
    m.debug.instructionBreakpoint();
    assertThat(m.outcome(m.run(0xCC))).isEqualTo("OK");
    assertThat(m.debug.afterInstruction(false)).isEqualTo(Status.FAULT);
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    m.events.raise();
    assertThat(m.cpu.dr[6] & 0xF).isEqualTo(2);
  }

  @Test
  void shouldTellTheHandlerOfInt1WhatMovSsHeldBack() {
    SystemMachine m = breakpoint(DATA, 3, 0);
    m.interruptGate(1, CODE0, HANDLER, 0xE, 0, 0);
    m.debug.instructionBreakpoint();
    m.linear.load(DATA, 1);
    m.cpu.blockedByMovSs = true;
    m.debug.afterInstruction(false);
    m.debug.instructionBreakpoint();
    assertThat(m.outcome(m.run(0xF1))).isEqualTo("OK");
    assertThat(m.debug.afterInstruction(false)).as("once").isEqualTo(Status.OK);
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    assertThat(m.cpu.dr[6] & 0xF).isEqualTo(2);
  }

  @Test
  void shouldFaultBeforeInstructionUnlessRfIsSet() {
    SystemMachine m = breakpoint(CODE, 0, 0);
    assertThat(m.debug.instructionBreakpoint()).isTrue();
    assertThat(m.cpu.faultVector).isEqualTo(Vector.DB);
    m.events.raise();
    assertThat(m.cpu.dr[6] & 0xF).isEqualTo(2);
    m.cpu.eventPending = false;
    m.cpu.setSystemFlags(Rflags.RF);
    assertThat(m.debug.instructionBreakpoint()).isFalse();
    m.cpu.rip++;
    assertThat(m.debug.afterInstruction(false)).isEqualTo(Status.OK);
    assertThat(m.cpu.systemFlags & Rflags.RF).as("RF lasts one instruction").isZero();
  }

  @Test
  void shouldKeepRfThatIretLoaded() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.setSystemFlags(Rflags.TF);
    m.debug.instructionBreakpoint();
    m.push(8, SystemMachine.DATA0, SystemMachine.STACK, Rflags.RF | Rflags.FIXED, CODE0, HANDLER);
    assertThat(m.outcome(m.run(m.wide(0xCF)))).isEqualTo("OK");
    m.debug.afterInstruction(false);
    assertThat(m.cpu.systemFlags & Rflags.RF).isEqualTo(Rflags.RF);
  }

  @Test
  void shouldNotHitAgainWhileInstructionRepeats() {
    SystemMachine m = breakpoint(CODE, 0, 0);
    m.cpu.setSystemFlags(Rflags.RF);
    for (int i = 0; i < 3; i++) {
      assertThat(m.debug.instructionBreakpoint()).isFalse();
      assertThat(m.debug.afterInstruction(true)).isEqualTo(Status.OK);
    }
    m.debug.afterInstruction(false);
    assertThat(m.cpu.systemFlags & Rflags.RF).isZero();
  }

  /** Data breakpoints at DATA + 4: R/W, LEN, offset and size of the access, store, hit. */
  @ParameterizedTest
  @CsvSource({"1, 0, 4, 1, true, true", "1, 0, 4, 1, false, false", "3, 0, 4, 1, false, true",
      "3, 0, 5, 1, false, false", "3, 0, 1, 4, false, true", "3, 0, 0, 4, false, false", "3, 1, 5, 1, true, true",
      "3, 1, 6, 1, true, false", "3, 3, 7, 1, true, true", "3, 3, 8, 1, true, false", "3, 2, 0, 1, true, true",
      "1, 3, 0, 8, true, true", "0, 0, 4, 1, true, false", "2, 0, 4, 1, true, false"})
  void shouldMatchDataAccesses(int rw, int length, int offset, int size, boolean store, boolean hit) {
    SystemMachine m = breakpoint(DATA + 4, rw, length);
    if (store) {
      m.linear.store(DATA + offset, size, 0);
    } else {
      m.linear.load(DATA + offset, size);
    }
    assertThat(m.cpu.pendingDebug).isEqualTo(hit ? 2 : 0);
  }

  @Test
  void shouldNotMatchDescriptorTableAccesses() {
    SystemMachine m = breakpoint(SystemMachine.GDT + SystemMachine.DATA0, 3, 2);
    m.cpu.regs[Cpu.RAX] = SystemMachine.DATA0;
    assertThat(m.outcome(m.run(m.register(0x8E, 3, Cpu.RAX)))).isEqualTo("OK");
    assertThat(m.cpu.pendingDebug).isZero();
  }

  @ParameterizedTest
  @CsvSource({"true, 60, 1, true", "false, 60, 1, false", "true, 61, 1, false", "true, 5d, 4, true"})
  void shouldMatchPortsIfDebugExtensionsAreOn(boolean de, String port, int size, boolean hit) {
    SystemMachine m = breakpoint(0x60, 2, 0);
    m.cpu.cr4 |= de ? ControlRegister.CR4_DE : 0;
    m.cpu.regs[Cpu.RDX] = Integer.parseInt(port, 16);
    m.run(size == 1 ? 0xEC : 0xED);
    assertThat(m.cpu.pendingDebug).isEqualTo(hit ? 2 : 0);
  }

  @Test
  void shouldFaultOnDebugRegisterAccessWithGeneralDetect() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.dr[7] = Debug.DR7_GD;
    assertThat(m.outcome(m.run(m.register(0x121, 0, Cpu.RAX)))).isEqualTo("#DB(0)");
    m.events.raise();
    assertThat(m.cpu.dr[6] & Debug.DR6_BD).isEqualTo(Debug.DR6_BD);
    assertThat(m.cpu.dr[7] & Debug.DR7_GD).isZero();
  }

  @Test
  void shouldTakeDataAccessesOffTheFastPathWhileWatching() {
    SystemMachine m = breakpoint(DATA, 1, 0);
    assertThat(m.mmu.bypassSoftData).isTrue();
    m.cpu.regs[Cpu.RAX] = 0;
    m.run(m.register(0x123, 7, Cpu.RAX));
    assertThat(m.mmu.bypassSoftData).isFalse();
    m.linear.store(DATA, 1, 0);
    assertThat(m.cpu.pendingDebug).isZero();
  }
}
