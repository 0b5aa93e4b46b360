package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.CODE0;
import static dev.gnomon.guest.exec.SystemMachine.CODE3;
import static dev.gnomon.guest.exec.SystemMachine.DATA0;
import static dev.gnomon.guest.exec.SystemMachine.DATA3;
import static dev.gnomon.guest.exec.SystemMachine.FREE;
import static dev.gnomon.guest.exec.SystemMachine.GDT;
import static dev.gnomon.guest.exec.SystemMachine.HANDLER;
import static dev.gnomon.guest.exec.SystemMachine.STACK;
import static dev.gnomon.guest.exec.SystemMachine.TASK;
import static dev.gnomon.guest.exec.SystemMachine.TSS;
import static dev.gnomon.guest.exec.SystemMachine.gate;
import static dev.gnomon.guest.exec.SystemMachine.segment;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TaskSwitchTest {
  private static final long NEW_TSS = 0x6000;
  private static final long NEW_STACK = 0x7000;

  /** A machine in ring 0 with a second task: a ring-3 program at HANDLER. */
  private static SystemMachine twoTasks() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.descriptor(FREE, segment(NEW_TSS, 0x67, 0x89, 0));
    m.memory.write(NEW_TSS + 32, 4, HANDLER);
    m.memory.write(NEW_TSS + 36, 4, Rflags.IF | Rflags.FIXED);
    for (int register = 0; register < 8; register++) {
      m.memory.write(NEW_TSS + 40 + 4 * register, 4, 0x100 + register);
    }
    m.memory.write(NEW_TSS + 56, 4, NEW_STACK);
    int[] selectors = {DATA3, CODE3, DATA3, DATA3, 0, DATA3};
    for (int i = 0; i < selectors.length; i++) {
      m.memory.write(NEW_TSS + 72 + 4 * i, 4, selectors[i]);
    }
    return m;
  }

  private static String far(SystemMachine m, int opcode, int selector) {
    Instruction insn = m.insn(opcode);
    insn.immediate2 = selector;
    return m.outcome(m.run(insn));
  }

  private static int type(SystemMachine m, int selector) {
    return (int) m.memory.read(GDT + (selector & 0xFFF8) + 5, 1) & 0xF;
  }

  @Test
  void shouldSwitchByJmp() {
    SystemMachine m = twoTasks();
    m.cpu.regs[Cpu.RBX] = 0x77;
    assertThat(far(m, 0xEA, FREE)).isEqualTo("OK");
    assertThat(m.cpu.selector[Segments.TR]).isEqualTo(FREE);
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0x103);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(NEW_STACK);
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(CODE3);
    assertThat(m.cpu.rights[Segments.FS] & Segments.UNUSABLE).isEqualTo(Segments.UNUSABLE);
    assertThat(m.cpu.rflags()).isEqualTo(Rflags.IF | Rflags.FIXED);
    assertThat(m.cpu.cr0 & ControlRegister.CR0_TS).isEqualTo(ControlRegister.CR0_TS);
    assertThat(type(m, FREE)).as("new task is busy").isEqualTo(0xB);
    assertThat(type(m, TASK)).as("old task is not").isEqualTo(9);
    assertThat(m.memory.read(TSS + 32, 4)).isEqualTo(CODE + 2);
    assertThat(m.memory.read(TSS + 52, 4)).isEqualTo(0x77);
    assertThat(m.memory.read(TSS + 76, 2)).isEqualTo(CODE0);
  }

  @Test
  void shouldNestByCallAndComeBackByIret() {
    SystemMachine m = twoTasks();
    m.memory.write(NEW_TSS + 76, 4, CODE0);
    m.memory.write(NEW_TSS + 72, 4, DATA0);
    m.memory.write(NEW_TSS + 80, 4, DATA0);
    m.memory.write(NEW_TSS + 84, 4, DATA0);
    m.memory.write(NEW_TSS + 92, 4, 0);
    m.cpu.regs[Cpu.RBX] = 0x77;
    assertThat(far(m, 0x9A, FREE)).isEqualTo("OK");
    assertThat(m.memory.read(NEW_TSS, 2)).as("link").isEqualTo(TASK);
    assertThat(m.cpu.systemFlags & Rflags.NT).isEqualTo(Rflags.NT);
    assertThat(type(m, TASK)).as("caller stays busy").isEqualTo(0xB);
    assertThat(m.outcome(m.run(0xCF))).isEqualTo("OK");
    assertThat(m.cpu.selector[Segments.TR]).isEqualTo(TASK);
    assertThat(m.cpu.rip).isEqualTo(CODE + 2);
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0x77);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK);
    assertThat(type(m, FREE)).isEqualTo(9);
    assertThat(m.memory.read(NEW_TSS + 36, 4) & Rflags.NT).as("NT is off in the saved image").isZero();
  }

  @Test
  void shouldPushErrorCodeThroughTaskGate() {
    SystemMachine m = twoTasks();
    m.interruptGate(Vector.DF, FREE, 0, 5, 0, 0);
    m.events.queue(Vector.DF, Vector.TYPE_HARDWARE_EXCEPTION, true, 0, 0);
    assertThat(m.outcome(m.events.deliver())).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(NEW_STACK - 4);
    assertThat(m.memory.read(TSS + 32, 4)).as("a fault restarts").isEqualTo(CODE);
    assertThat(m.memory.read(TSS + 36, 4) & Rflags.RF).isEqualTo(Rflags.RF);
  }

  @Test
  void shouldSwitchThroughTaskGateFromRing3() {
    SystemMachine m = twoTasks();
    m.load(Segments.CS, CODE3);
    m.load(Segments.SS, DATA3);
    m.cpu.setCpl(3);
    assertThat(far(m, 0xEA, FREE)).as("TSS DPL 0").isEqualTo("#GP(60)");
    m.descriptor(FREE + 8, gate(FREE, 0, 5, 3, 0));
    assertThat(far(m, 0xEA, FREE + 8 | 3)).isEqualTo("OK");
    assertThat(m.cpu.selector[Segments.TR]).isEqualTo(FREE);
  }

  @Test
  void shouldSwitchTo16BitTask() {
    SystemMachine m = twoTasks();
    m.descriptor(FREE, segment(NEW_TSS, 0x2B, 0x81, 0));
    m.memory.write(NEW_TSS + 14, 2, 0x1234);
    m.memory.write(NEW_TSS + 16, 2, Rflags.FIXED);
    m.memory.write(NEW_TSS + 26, 2, 0x7000);
    m.memory.write(NEW_TSS + 34, 2, DATA0);
    m.memory.write(NEW_TSS + 36, 2, CODE0);
    m.memory.write(NEW_TSS + 38, 2, DATA0);
    m.memory.write(NEW_TSS + 40, 2, 0);
    m.memory.write(NEW_TSS + 42, 2, 0);
    assertThat(far(m, 0xEA, FREE)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0x1234);
    assertThat(m.cpu.regs[Cpu.RSP] & 0xFFFF).isEqualTo(0x7000);
    assertThat(m.cpu.selector[Segments.SS]).isEqualTo(DATA0);
  }

  /** Refused before anything is written: what is broken, outcome. */
  @ParameterizedTest
  @CsvSource({"busy, '#GP(60)'", "absent, '#NP(60)'", "short, '#TS(60)'", "old not writable, '#PF(3)'",
      "new not readable, '#PF(0)'"})
  void shouldCheckBeforeItCommits(String broken, String outcome) {
    SystemMachine m = twoTasks();
    switch (broken) {
      case "busy" -> m.descriptor(FREE, segment(NEW_TSS, 0x67, 0x8B, 0));
      case "absent" -> m.descriptor(FREE, segment(NEW_TSS, 0x67, 0x09, 0));
      case "short" -> m.descriptor(FREE, segment(NEW_TSS, 0x66, 0x89, 0));
      case "old not writable" -> m.pages.readOnly.add(TSS >> 12);
      default -> m.pages.notPresent.add(NEW_TSS >> 12);
    }
    assertThat(far(m, 0xEA, FREE)).isEqualTo(outcome);
    assertThat(m.cpu.rip).isEqualTo(CODE);
    assertThat(m.cpu.selector[Segments.TR]).isEqualTo(TASK);
    assertThat(type(m, TASK)).isEqualTo(0xB);
    assertThat(m.memory.read(TSS + 32, 4)).isZero();
  }

  @Test
  void shouldRaiseTsInNewTaskForBadSegment() {
    SystemMachine m = twoTasks();
    m.memory.write(NEW_TSS + 80, 4, DATA0);
    assertThat(far(m, 0xEA, FREE)).isEqualTo("#TS(10)");
    assertThat(m.cpu.selector[Segments.TR]).as("the fault belongs to the new task").isEqualTo(FREE);
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
  }

  @Test
  void shouldTrapWhenTssAsksForIt() {
    SystemMachine m = twoTasks();
    m.memory.write(NEW_TSS + 100, 2, 1);
    assertThat(far(m, 0xEA, FREE)).isEqualTo("#DB(0)");
    m.events.raise();
    assertThat(m.cpu.dr[6] & Debug.DR6_BT).isEqualTo(Debug.DR6_BT);
  }

  @Test
  void shouldPushErrorCodeBeforeItTraps() {
    SystemMachine m = twoTasks();
    m.memory.write(NEW_TSS + 100, 2, 1);
    m.interruptGate(Vector.DF, FREE, 0, 5, 0, 0);
    m.events.queue(Vector.DF, Vector.TYPE_HARDWARE_EXCEPTION, true, 0x77, 0);
    assertThat(m.outcome(m.events.deliver())).isEqualTo("#DB(0)");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(NEW_STACK - 4);
    assertThat(m.memory.read(NEW_STACK - 4, 4)).isEqualTo(0x77);
  }

  /** SDM vol. 3A, "Exception Conditions Checked During a Task Switch": CS, SS, outcome. */
  @ParameterizedTest
  @CsvSource({"0, 16, '#TS(0)'", "3, 16, '#TS(10)'", "24, 16, '#TS(18)'", "35, 16, '#TS(10)'", "35, 35, '#TS(20)'"})
  void shouldCheckStackBeforeValidityOfCode(int code, int stack, String outcome) {
    SystemMachine m = twoTasks();
    m.memory.write(NEW_TSS + 76, 4, code);
    m.memory.write(NEW_TSS + 80, 4, stack);
    assertThat(far(m, 0xEA, FREE)).isEqualTo(outcome);
  }

  @Test
  void shouldGoOnWithWhatWasSavedWhenIretLeadsBackToTheSameTask() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.memory.write(TSS, 2, TASK);
    m.cpu.setSystemFlags(Rflags.NT);
    m.cpu.regs[Cpu.RBX] = 0x77;
    assertThat(m.outcome(m.run(0xCF))).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(CODE + 2);
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0x77);
    assertThat(m.cpu.selector[Segments.TR]).isEqualTo(TASK);
  }

  @ParameterizedTest
  @CsvSource({"154, 0", "234, 80000000"})
  void shouldExitUnderHypervisor(int opcode, String source) {
    SystemMachine m = twoTasks();
    m.cpu.intercepts.enabled = true;
    assertThat(far(m, opcode, FREE)).isEqualTo("EXIT");
    assertThat(m.cpu.exit.reason).isEqualTo(ExitReason.TASK_SWITCH);
    assertThat(m.cpu.exit.qualification).isEqualTo(Long.parseLong(source, 16) | FREE);
    assertThat(m.cpu.exit.instructionLength).isEqualTo(2);
    assertThat(type(m, FREE)).isEqualTo(9);
  }
}
