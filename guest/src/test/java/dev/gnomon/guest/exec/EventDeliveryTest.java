package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.CODE0;
import static dev.gnomon.guest.exec.SystemMachine.CODE3;
import static dev.gnomon.guest.exec.SystemMachine.CONFORMING;
import static dev.gnomon.guest.exec.SystemMachine.DATA0;
import static dev.gnomon.guest.exec.SystemMachine.DATA3;
import static dev.gnomon.guest.exec.SystemMachine.FREE;
import static dev.gnomon.guest.exec.SystemMachine.HANDLER;
import static dev.gnomon.guest.exec.SystemMachine.IDT;
import static dev.gnomon.guest.exec.SystemMachine.IST_STACK;
import static dev.gnomon.guest.exec.SystemMachine.KERNEL_STACK;
import static dev.gnomon.guest.exec.SystemMachine.STACK;
import static dev.gnomon.guest.exec.SystemMachine.TSS;
import static dev.gnomon.guest.exec.SystemMachine.segment;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EventDeliveryTest {
  private static final int INTERRUPT = 0xE;
  private static final int TRAP = 0xF;
  private static final int EXTERNAL = 0x40;

  private static String external(SystemMachine m) {
    m.events.queue(EXTERNAL, Vector.TYPE_EXTERNAL, false, 0, 0);
    return m.outcome(m.events.deliver());
  }

  private static String exception(SystemMachine m, int vector, int errorCode) {
    m.events.queue(vector, Vector.TYPE_HARDWARE_EXCEPTION, Vector.hasErrorCode(vector), errorCode, 0);
    return m.outcome(m.events.deliver());
  }

  private static String software(SystemMachine m, int vector) {
    Instruction insn = m.insn(0xCD);
    insn.immediate = vector;
    return m.outcome(m.run(insn));
  }

  @Test
  void shouldPushThreeWordsInRealMode() {
    SystemMachine m = SystemMachine.real();
    m.memory.write(4 * EXTERNAL, 4, 0x1234_5678);
    m.cpu.setRflags(Rflags.IF | Rflags.TF | Rflags.CF | Rflags.FIXED);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0x5678);
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(0x1234);
    assertThat(m.cpu.base[Segments.CS]).isEqualTo(0x12340);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK - 6);
    assertThat(m.stack(0, 2)).isEqualTo(0x100);
    assertThat(m.stack(1, 2)).isZero();
    assertThat(m.stack(2, 2)).isEqualTo(0x303);
    assertThat(m.cpu.rflags()).isEqualTo(Rflags.CF | Rflags.FIXED);
    assertThat(m.cpu.eventPending).isFalse();
  }

  @Test
  void shouldRaiseGpWhenRealModeVectorIsBehindLimit() {
    SystemMachine m = SystemMachine.real();
    m.cpu.idtrLimit = 4 * EXTERNAL + 2;
    assertThat(external(m)).isEqualTo("#GP(0)");
    assertThat(m.cpu.eventPending).isTrue();
  }

  @Test
  void shouldPushErrorCodeAndSetRfInImageOfFault() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.interruptGate(Vector.GP, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.cpu.setRflags(Rflags.IF | Rflags.NT | Rflags.TF | Rflags.FIXED);
    assertThat(exception(m, Vector.GP, 0x58)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK - 16);
    assertThat(m.stack(0, 4)).isEqualTo(0x58);
    assertThat(m.stack(1, 4)).isEqualTo(CODE);
    assertThat(m.stack(2, 4)).isEqualTo(CODE0);
    assertThat(m.stack(3, 4)).isEqualTo(Rflags.RF | Rflags.IF | Rflags.NT | Rflags.TF | Rflags.FIXED);
    assertThat(m.cpu.rflags()).isEqualTo(Rflags.FIXED);
  }

  @Test
  void shouldClearResumeFlagInImageOfSoftwareInterrupt() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, TRAP, 0, 0);
    m.cpu.setRflags(Rflags.RF | Rflags.FIXED);
    Instruction insn = m.insn(0xCD);
    insn.immediate = EXTERNAL;
    assertThat(m.outcome(m.run(insn))).isEqualTo("OK");
    assertThat(m.stack(2, 4)).isEqualTo(Rflags.FIXED);
  }

  @Test
  void shouldKeepInterruptFlagThroughTrapGate() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, TRAP, 0, 0);
    m.cpu.setRflags(Rflags.IF | Rflags.FIXED);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.rflags()).isEqualTo(Rflags.IF | Rflags.FIXED);
    assertThat(m.stack(2, 4)).as("no RF for an interrupt").isEqualTo(Rflags.IF | Rflags.FIXED);
  }

  @Test
  void shouldSwitchToInnerStack() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.pages.supervisor.add(KERNEL_STACK - 1 >> 12);
    m.pages.supervisor.add(TSS >> 12);
    m.pages.supervisor.add(IDT >> 12);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.cpl).isZero();
    assertThat(m.cpu.selector[Segments.SS]).isEqualTo(DATA0);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(KERNEL_STACK - 20);
    assertThat(m.stack(0, 4)).isEqualTo(CODE);
    assertThat(m.stack(1, 4)).isEqualTo(CODE3);
    assertThat(m.stack(3, 4)).isEqualTo(STACK);
    assertThat(m.stack(4, 4)).isEqualTo(DATA3);
  }

  @Test
  void shouldStayInRing3ForConformingHandler() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.interruptGate(EXTERNAL, CONFORMING, HANDLER, INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(CONFORMING | 3);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK - 12);
  }

  @Test
  void shouldPushWordsThrough16BitGate() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.interruptGate(Vector.PF, CODE0, 0xABCD_1234L, 6, 0, 0);
    assertThat(exception(m, Vector.PF, 7)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0x1234);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(KERNEL_STACK - 12);
    assertThat(m.stack(0, 2)).isEqualTo(7);
    assertThat(m.stack(4, 2)).isEqualTo(STACK & 0xFFFF);
  }

  @Test
  void shouldReadInnerStackFrom16BitTss() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.cpu.rights[Segments.TR] = 0x83;
    m.memory.write(TSS + 2, 2, 0x7000);
    m.memory.write(TSS + 4, 2, DATA0);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x7000 - 20);
  }

  @Test
  void shouldSaveSegmentsOfVirtual8086Mode() {
    SystemMachine m = SystemMachine.virtual8086(0);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.v86()).isFalse();
    assertThat(m.cpu.cpl).isZero();
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(KERNEL_STACK - 36);
    assertThat(m.stack(1, 4)).isEqualTo(0x1000);
    assertThat(m.stack(2, 4) & Rflags.VM).isEqualTo(Rflags.VM);
    assertThat(m.stack(3, 4)).isEqualTo(0x800);
    assertThat(m.stack(4, 4)).isEqualTo(0x900);
    for (int slot = 5; slot < 9; slot++) {
      assertThat(m.stack(slot, 4)).isEqualTo(0x3000);
    }
    assertThat(m.cpu.rights[Segments.DS] & Segments.UNUSABLE).isEqualTo(Segments.UNUSABLE);
    assertThat(m.cpu.selector[Segments.GS]).isZero();
  }

  @Test
  void shouldRefuseHandlerOutsideRing0FromVirtual8086Mode() {
    SystemMachine m = SystemMachine.virtual8086(0);
    m.interruptGate(EXTERNAL, CONFORMING, HANDLER, INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo("#GP(41)");
    m.interruptGate(EXTERNAL, CODE3, HANDLER, INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo("#GP(19)");
  }

  @Test
  void shouldAlwaysPushStackPointerAndAlignIn64BitMode() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.regs[Cpu.RSP] = STACK - 3;
    m.interruptGate(Vector.PF, CODE0, 0xFFFF_8000_0000_1000L, INTERRUPT, 0, 0);
    assertThat(exception(m, Vector.PF, 2)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0xFFFF_8000_0000_1000L);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK - 16 - 48);
    assertThat(m.stack(0, 8)).isEqualTo(2);
    assertThat(m.stack(1, 8)).isEqualTo(CODE);
    assertThat(m.stack(4, 8)).isEqualTo(STACK - 3);
    assertThat(m.stack(5, 8)).isEqualTo(DATA0);
    assertThat(m.cpu.selector[Segments.SS]).as("same ring keeps SS").isEqualTo(DATA0);
  }

  @Test
  void shouldLoadNullStackSegmentOnRingChangeIn64BitMode() {
    SystemMachine m = SystemMachine.longMode(3);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.selector[Segments.SS]).isZero();
    assertThat(m.cpu.rights[Segments.SS] & Segments.UNUSABLE).isEqualTo(Segments.UNUSABLE);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(KERNEL_STACK - 40);
    assertThat(m.memory.read64(KERNEL_STACK - 8)).isEqualTo(DATA3);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldHoldNmiBackForOneInstructionBehindStiAndMovSs(boolean sti) {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(Vector.NMI, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.memory.writeBytes(CODE, new byte[] {(byte) 0x90, (byte) 0x90}, 0, 2);
    m.memory.writeBytes(HANDLER, new byte[] {(byte) 0x90}, 0, 1);
    m.cpu.blockedBySti = sti;
    m.cpu.blockedByMovSs = !sti;
    m.cpu.nmiPending = true;
    new Processor(m.cpu, 64).run(2);
    assertThat(m.cpu.rip).isEqualTo(HANDLER + 1);
    assertThat(m.stack(0, 8)).as("the instruction behind came first").isEqualTo(CODE + 1);
  }

  @Test
  void shouldUseInterruptStackTable() {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(Vector.NMI, CODE0, HANDLER, INTERRUPT, 0, 1);
    m.events.queue(Vector.NMI, Vector.TYPE_NMI, false, 0, 0);
    assertThat(m.outcome(m.events.deliver())).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(IST_STACK - 40);
    assertThat(m.cpu.blockedByNmi).isTrue();
  }

  @Test
  void shouldInterruptCompatibilityModeThrough64BitGate() {
    SystemMachine m = SystemMachine.longMode(3);
    m.load(Segments.CS, SystemMachine.CODE3_COMPAT);
    m.cpu.regs[Cpu.RSP] = STACK;
    m.memory.write64(TSS + 4, 0x7_0000 - 8);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo("OK");
    assertThat(m.cpu.code64()).isTrue();
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x7_0000 - 16 - 40);
    assertThat(m.stack(1, 8)).isEqualTo(SystemMachine.CODE3_COMPAT);
  }

  /** Error codes of a broken delivery: external interrupt 40H (EXT = 1) and INT 40H (EXT = 0), vector × 8 + 2. */
  @ParameterizedTest
  @CsvSource({
      "limit, '#GP(203)', '#GP(202)'", "type, '#GP(203)', '#GP(202)'", "absent, '#NP(203)', '#NP(202)'",
      "null code, '#GP(1)', '#GP(0)'",
      "code limit, '#GP(1001)', '#GP(1000)'", "data as code, '#GP(11)', '#GP(10)'", "outer code, '#GP(19)', '#GP(18)'",
      "absent code, '#NP(61)', '#NP(60)'",
      "offset, '#GP(1)', '#GP(0)'"})
  void shouldBuildErrorCodes(String broken, String hardware, String instruction) {
    for (boolean bySoftware : new boolean[] {false, true}) {
      SystemMachine m = SystemMachine.protectedMode(0);
      m.descriptor(FREE, segment(0, 0xFF, 0x1B, 0xC));
      m.descriptor(FREE + 8, segment(0, 0xFF, 0x9B, 4));
      int selector = switch (broken) {
        case "null code" -> 0;
        case "code limit" -> 0x1000;
        case "data as code" -> DATA0;
        case "outer code" -> CODE3;
        case "absent code" -> FREE;
        case "offset" -> FREE + 8;
        default -> CODE0;
      };
      m.interruptGate(EXTERNAL, selector, HANDLER, broken.equals("type") ? 0xC : INTERRUPT, 0, 0);
      if (broken.equals("limit")) {
        m.cpu.idtrLimit = 8 * EXTERNAL + 6;
      }
      if (broken.equals("absent")) {
        m.memory.write(IDT + 8 * EXTERNAL + 5, 1, 0x0E);
      }
      assertThat(bySoftware ? software(m, EXTERNAL) : external(m)).isEqualTo(bySoftware ? instruction : hardware);
      assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK);
      assertThat(m.cpu.rip).isEqualTo(CODE);
      assertThat(m.cpu.eventPending).isTrue();
    }
  }

  /** Wrong inner stacks: what is broken, error. */
  @ParameterizedTest
  @CsvSource({"tss limit, '#TS(29)'", "null, '#TS(1)'", "wrong ring, '#TS(21)'", "not data, '#TS(9)'",
      "absent, '#SS(61)'", "too small, '#SS(69)'"})
  void shouldCheckInnerStack(String broken, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.descriptor(FREE, segment(0, 0xFFFFF, 0x13, 0xC));
    m.descriptor(FREE + 8, segment(0, 0xFF, 0x93, 4));
    if (broken.equals("tss limit")) {
      m.cpu.limit[Segments.TR] = 8;
    }
    m.memory.write(TSS + 8, 2, switch (broken) {
      case "null" -> 0;
      case "wrong ring" -> DATA3;
      case "not data" -> CODE0;
      case "absent" -> FREE;
      case "too small" -> FREE + 8;
      default -> DATA0;
    });
    assertThat(external(m)).isEqualTo(outcome);
    assertThat(m.cpu.cpl).isEqualTo(3);
  }

  @ParameterizedTest
  @CsvSource({"64, 0, '#GP(202)'", "64, 3, OK", "3, 0, '#GP(1a)'"})
  void shouldCheckGatePrivilegeOfSoftwareInterrupts(int vector, int dpl, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.interruptGate(vector, CODE0, HANDLER, INTERRUPT, dpl, 0);
    assertThat(vector == 3 ? m.outcome(m.run(0xCC)) : software(m, vector)).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(m.stack(0, 4)).as("return address lies behind the instruction").isEqualTo(CODE + 2);
    }
  }

  @Test
  void shouldNotCheckGatePrivilegeOfInt1() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.interruptGate(Vector.DB, CODE0, HANDLER, INTERRUPT, 0, 0);
    assertThat(m.outcome(m.run(0xF1))).isEqualTo("OK");
    assertThat(m.stack(0, 4)).isEqualTo(CODE + 2);
  }

  @ParameterizedTest
  @CsvSource({"80000000000000, '#GP(1)'", "0, OK"})
  void shouldRefuseNonCanonicalHandler(String offset, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(EXTERNAL, CODE0, Long.parseLong(offset, 16), INTERRUPT, 0, 0);
    assertThat(external(m)).isEqualTo(outcome);
  }

  /** IA-32e gates: type, code selector, outcome. */
  @ParameterizedTest
  @CsvSource({"6, 8, '#GP(203)'", "5, 8, '#GP(203)'", "14, 56, '#GP(39)'", "15, 8, OK"})
  void shouldCheckGatesInLongMode(int type, int selector, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(EXTERNAL, selector, HANDLER, type, 0, 0);
    assertThat(external(m)).isEqualTo(outcome);
  }

  @Test
  void shouldRaiseSsForNonCanonicalInnerStackAndTsForShortTss() {
    SystemMachine m = SystemMachine.longMode(3);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.memory.write64(TSS + 4, 1L << 47);
    assertThat(external(m)).isEqualTo("#SS(1)");
    m.cpu.limit[Segments.TR] = 10;
    assertThat(external(m)).isEqualTo("#TS(29)");
  }

  @Test
  void shouldCommitNothingWhenLastSlotOfFrameFaults() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.cpu.regs[Cpu.RSP] = 0x9008;
    m.memory.write(0x9004, 4, 0x5A5A);
    m.pages.notPresent.add(8L);
    assertThat(external(m)).isEqualTo("#PF(2)");
    assertThat(m.cpu.faultAddress).isEqualTo(0x8FFC);
    assertThat(m.memory.read(0x9004, 4)).isEqualTo(0x5A5A);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x9008);
    m.pages.notPresent.clear();
    assertThat(m.outcome(m.events.deliver())).isEqualTo("OK");
  }

  @Test
  void shouldGiveEventToExitWhenDeliveryExits() {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(Vector.PF, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.pages.exiting.add(STACK - 8 >> 12);
    assertThat(exception(m, Vector.PF, 6)).isEqualTo("EXIT");
    assertThat(m.cpu.eventPending).isFalse();
    assertThat(m.cpu.exit.reason).isEqualTo(ExitReason.EPT_VIOLATION);
    assertThat(m.cpu.exit.idtVectoringInfo).isEqualTo(0x8000_0B0E);
    assertThat(m.cpu.exit.idtVectoringErrorCode).isEqualTo(6);
    assertThat(m.cpu.rip).isEqualTo(CODE);
  }

  @Test
  void shouldReportLengthAndRetireOnceWhenSoftwareInterruptIsInjectedAgain() {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(EXTERNAL, CODE0, HANDLER, INTERRUPT, 0, 0);
    m.pages.exiting.add(STACK - 8 >> 12);
    assertThat(software(m, EXTERNAL)).isEqualTo("EXIT");
    assertThat(m.cpu.exit.instructionLength).isEqualTo(2);
    assertThat(ExitQualification.infoType(m.cpu.exit.idtVectoringInfo)).isEqualTo(Vector.TYPE_SOFTWARE_INTERRUPT);
    assertThat(m.cpu.retired).isZero();
    m.pages.exiting.clear();
    m.events.queue(EXTERNAL, Vector.TYPE_SOFTWARE_INTERRUPT, false, 0, m.cpu.exit.instructionLength);
    assertThat(m.events.dispatch()).isEqualTo(Status.OK);
    assertThat(m.cpu.retired).isEqualTo(1);
    assertThat(m.stack(0, 8)).isEqualTo(CODE + 2);
  }

  @Test
  void shouldExitOnTaskGateUnderHypervisor() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.intercepts.enabled = true;
    m.descriptor(FREE, segment(0x5000, 0x67, 0x89, 0));
    m.interruptGate(EXTERNAL, FREE, 0, 5, 0, 0);
    assertThat(external(m)).isEqualTo("EXIT");
    assertThat(m.cpu.exit.reason).isEqualTo(ExitReason.TASK_SWITCH);
    assertThat(m.cpu.exit.qualification).isEqualTo(0xC000_0000L | FREE);
    assertThat(m.cpu.exit.idtVectoringInfo).isEqualTo(0x8000_0000 | EXTERNAL);
  }
}
