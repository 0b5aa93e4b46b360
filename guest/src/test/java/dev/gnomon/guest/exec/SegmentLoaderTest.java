package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE0;
import static dev.gnomon.guest.exec.SystemMachine.CODE3;
import static dev.gnomon.guest.exec.SystemMachine.DATA0;
import static dev.gnomon.guest.exec.SystemMachine.FREE;
import static dev.gnomon.guest.exec.SystemMachine.GDT;
import static dev.gnomon.guest.exec.SystemMachine.LDT;
import static dev.gnomon.guest.exec.SystemMachine.segment;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SegmentLoaderTest {
  private static String load(SystemMachine m, int segment, int selector) {
    m.cpu.regs[Cpu.RAX] = selector;
    return m.outcome(m.run(m.register(0x8E, segment, Cpu.RAX)));
  }

  /**
   * SDM vol. 2B, "MOV": the checks of a load of DS, ES, FS or GS, row by row. Access byte of the descriptor, CPL, RPL,
   * outcome.
   */
  @ParameterizedTest
  @CsvSource({
      "93, 0, 0, OK", "93, 0, 3, '#GP(60)'", "93, 3, 3, '#GP(60)'", "F3, 3, 3, OK", "F3, 0, 0, OK", "F3, 3, 0, OK",
      "D3, 3, 2, '#GP(60)'", "91, 0, 0, OK", "95, 0, 0, OK", "9B, 0, 0, OK", "9B, 3, 3, '#GP(60)'", "9F, 3, 3, OK",
      "99, 0, 0, '#GP(60)'", "9D, 3, 3, '#GP(60)'", "13, 0, 0, '#NP(60)'", "82, 0, 0, '#GP(60)'", "89, 0, 0, '#GP(60)'",
      "8C, 0, 0, '#GP(60)'", "13, 3, 3, '#GP(60)'"})
  void shouldCheckDataSegment(String access, int cpl, int rpl, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.descriptor(FREE, segment(0x12345678, 0x4321, Integer.parseInt(access, 16), 0));
    assertThat(load(m, Segments.ES, FREE | rpl)).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(m.cpu.base[Segments.ES]).isEqualTo(0x12345678);
      assertThat(m.cpu.limit[Segments.ES]).isEqualTo(0x4321);
      assertThat(m.cpu.selector[Segments.ES]).isEqualTo(FREE | rpl);
      assertThat(m.cpu.rip).isEqualTo(SystemMachine.CODE + 2);
    } else {
      assertThat(m.cpu.rip).isEqualTo(SystemMachine.CODE);
      assertThat(m.cpu.selector[Segments.ES]).isNotEqualTo(FREE | rpl);
    }
  }

  /** The checks of a load of SS. */
  @ParameterizedTest
  @CsvSource({
      "93, 0, 0, OK", "93, 0, 1, '#GP(60)'", "F3, 0, 0, '#GP(60)'", "F3, 3, 3, OK", "F3, 3, 0, '#GP(60)'",
      "91, 0, 0, '#GP(60)'", "9B, 0, 0, '#GP(60)'", "13, 0, 0, '#SS(60)'", "82, 0, 0, '#GP(60)'", "97, 0, 0, OK"})
  void shouldCheckStackSegment(String access, int cpl, int rpl, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.descriptor(FREE, segment(0, 0xFFFFF, Integer.parseInt(access, 16), 0xC));
    assertThat(load(m, Segments.SS, FREE | rpl)).isEqualTo(outcome);
    assertThat(m.cpu.blockedByMovSs).isEqualTo(outcome.equals("OK"));
  }

  @ParameterizedTest
  @CsvSource({"DS, 3, OK", "GS, 4, OK", "SS, 2, '#GP(0)'"})
  void shouldTreatNullSelectorInProtectedMode(String name, int unused, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(0);
    int segment = switch (name) {
      case "DS" -> Segments.DS;
      case "GS" -> Segments.GS;
      default -> Segments.SS;
    };
    assertThat(load(m, segment, 3)).isEqualTo(outcome);
    assertThat((m.cpu.rights[segment] & Segments.UNUSABLE) != 0).isEqualTo(outcome.equals("OK"));
  }

  @ParameterizedTest
  @CsvSource({"0, 0, OK", "0, 1, '#GP(0)'", "3, 3, '#GP(0)'"})
  void shouldAllowNullStackSegmentIn64BitModeBelowRing3(int cpl, int rpl, String outcome) {
    assertThat(load(SystemMachine.longMode(cpl), Segments.SS, rpl)).isEqualTo(outcome);
  }

  @Test
  void shouldClearBaseWhenNullIsLoadedIntoFs() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.base[Segments.FS] = 0x1234;
    assertThat(load(m, Segments.FS, 0)).isEqualTo("OK");
    assertThat(m.cpu.base[Segments.FS]).isZero();
  }

  @Test
  void shouldRaiseGpWhenSelectorIsBehindTableLimit() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.gdtrLimit = FREE + 6;
    assertThat(load(m, Segments.DS, FREE)).isEqualTo("#GP(60)");
    assertThat(load(m, Segments.DS, FREE | 4)).as("no LDT").isEqualTo("#GP(64)");
  }

  @Test
  void shouldReadLocalDescriptors() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.descriptor(FREE, segment(LDT, 0xF, 0x82, 0));
    m.cpu.regs[Cpu.RAX] = FREE;
    assertThat(m.outcome(m.run(m.register(0x100, 2, Cpu.RAX)))).isEqualTo("OK");
    m.memory.write64(LDT + 8, segment(0x777000, 0xFFF, 0x93, 0));
    assertThat(load(m, Segments.DS, 8 | 4)).isEqualTo("OK");
    assertThat(m.cpu.base[Segments.DS]).isEqualTo(0x777000);
    assertThat(load(m, Segments.DS, 16 | 4)).isEqualTo("#GP(14)");
  }

  @Test
  void shouldSetAccessedBitOnceAndOnlyIfLoadSucceeds() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.descriptor(FREE, segment(0, 0xFFFF, 0x92, 0));
    assertThat(load(m, Segments.DS, FREE | 3)).isEqualTo("#GP(60)");
    assertThat(m.memory.read(GDT + FREE + 5, 1)).isEqualTo(0x92);
    assertThat(load(m, Segments.DS, FREE)).isEqualTo("OK");
    assertThat(m.memory.read(GDT + FREE + 5, 1)).isEqualTo(0x93);
    assertThat(m.cpu.rights[Segments.DS] & Segments.TYPE_ACCESSED).isEqualTo(1);
  }

  @Test
  void shouldNotLoadWhenAccessedBitCannotBeWritten() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.descriptor(FREE, segment(0, 0xFFFF, 0xF2, 0));
    m.pages.readOnly.add(GDT >> 12);
    assertThat(load(m, Segments.DS, FREE | 3)).isEqualTo("#PF(3)");
    assertThat(m.cpu.selector[Segments.DS]).isEqualTo(SystemMachine.DATA3);
    assertThat(m.cpu.faultAddress).isEqualTo(GDT + FREE + 5);
  }

  @Test
  void shouldReadTablesAsSupervisorEvenInRing3() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.pages.supervisor.add(GDT >> 12);
    assertThat(load(m, Segments.DS, SystemMachine.DATA3)).isEqualTo("OK");
  }

  @ParameterizedTest
  @CsvSource({"1, '#UD(0)'", "6, '#UD(0)'", "7, '#UD(0)'"})
  void shouldRefuseCsAndReservedSegments(int segment, String outcome) {
    assertThat(load(SystemMachine.protectedMode(0), segment, DATA0)).isEqualTo(outcome);
  }

  @Test
  void shouldLoadParagraphsInRealModeAndKeepLimit() {
    SystemMachine m = SystemMachine.real();
    m.cpu.limit[Segments.DS] = 0xFFFF_FFFFL;
    assertThat(load(m, Segments.DS, 0xF000)).isEqualTo("OK");
    assertThat(m.cpu.base[Segments.DS]).isEqualTo(0xF0000);
    assertThat(m.cpu.limit[Segments.DS]).isEqualTo(0xFFFF_FFFFL);
  }

  @Test
  void shouldLoadParagraphsInVirtual8086Mode() {
    SystemMachine m = SystemMachine.virtual8086(0);
    assertThat(load(m, Segments.ES, 0x1234)).isEqualTo("OK");
    assertThat(m.cpu.base[Segments.ES]).isEqualTo(0x12340);
    assertThat(m.cpu.rights[Segments.ES]).isEqualTo(0xF3);
  }

  /** LTR: type of the descriptor, mode, outcome. */
  @ParameterizedTest
  @CsvSource({"89, false, OK", "81, false, OK", "8B, false, '#GP(60)'", "83, false, '#GP(60)'", "09, false, '#NP(60)'",
      "82, false, '#GP(60)'", "93, false, '#GP(60)'", "89, true, OK", "81, true, '#GP(60)'", "8B, true, '#GP(60)'"})
  void shouldLoadTaskRegister(String access, boolean longMode, String outcome) {
    SystemMachine m = longMode ? SystemMachine.longMode(0) : SystemMachine.protectedMode(0);
    m.descriptor(FREE, segment(0x5000, 0x67, Integer.parseInt(access, 16), 0));
    m.descriptor(FREE + 8, 0x12);
    m.cpu.regs[Cpu.RAX] = FREE;
    assertThat(m.outcome(m.run(m.register(0x100, 3, Cpu.RAX)))).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(m.cpu.base[Segments.TR]).isEqualTo(longMode ? 0x12_0000_5000L : 0x5000);
      assertThat(m.memory.read(GDT + FREE + 5, 1) & 2).as("busy").isEqualTo(2);
      assertThat(m.cpu.rights[Segments.TR] & 2).isEqualTo(2);
    }
  }

  @Test
  void shouldRefuseUpperTypeBitsAndNonCanonicalBaseOfLongSystemDescriptor() {
    SystemMachine m = SystemMachine.longMode(0);
    m.descriptor(FREE, segment(0x5000, 0x67, 0x89, 0));
    m.cpu.regs[Cpu.RAX] = FREE;
    m.descriptor(FREE + 8, 1L << 40);
    assertThat(m.outcome(m.run(m.register(0x100, 3, Cpu.RAX)))).isEqualTo("#GP(60)");
    m.descriptor(FREE + 8, 0x8000);
    assertThat(m.outcome(m.run(m.register(0x100, 3, Cpu.RAX)))).isEqualTo("#GP(60)");
  }

  @ParameterizedTest
  @CsvSource({"2, 3, '#GP(0)'", "3, 3, '#GP(0)'", "2, 0, OK", "3, 0, '#GP(0)'"})
  void shouldCheckPrivilegeAndNullOfLldtAndLtr(int group, int cpl, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.cpu.regs[Cpu.RAX] = 0;
    assertThat(m.outcome(m.run(m.register(0x100, group, Cpu.RAX)))).isEqualTo(outcome);
  }

  @Test
  void shouldPopSegmentOnlyIfLoadSucceeds() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.push(4, CODE3);
    long sp = m.cpu.regs[Cpu.RSP];
    assertThat(m.outcome(m.run(0x17))).isEqualTo("#GP(18)");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(sp);
    m.memory.write(sp, 4, 0xFFFF_0000L | DATA0);
    assertThat(m.outcome(m.run(0x1F))).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(sp + 4);
  }

  @Test
  void shouldPushSegmentWithoutTouchingUpperHalfOfSlot() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.memory.write(SystemMachine.STACK - 4, 4, 0xAAAA_AAAAL);
    assertThat(m.outcome(m.run(0x0E))).isEqualTo("OK");
    assertThat(m.stack(0, 4)).isEqualTo(0xAAAA_0000L | CODE0);
  }

  @Test
  void shouldLoadFarPointerAndKeepRegisterOnFault() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.memory.write(SystemMachine.DATA, 4, 0x1122_3344);
    m.memory.write(SystemMachine.DATA + 4, 2, CODE3);
    Instruction insn = m.memory(0x1B2, Cpu.RBX, SystemMachine.DATA);
    assertThat(m.outcome(m.run(insn))).isEqualTo("#GP(18)");
    assertThat(m.cpu.regs[Cpu.RBX]).isZero();
    m.memory.write(SystemMachine.DATA + 4, 2, DATA0);
    assertThat(m.outcome(m.run(insn))).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0x1122_3344);
    assertThat(m.cpu.blockedByMovSs).as("LSS has no shadow").isFalse();
  }
}
