package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** SDM vol. 3B, "Handling Interrupts and Exceptions in Virtual-8086 Mode" and "Protected-Mode Virtual Interrupts". */
class VirtualInterruptsTest {
  private static final int CLI = 0xFA;
  private static final int STI = 0xFB;
  private static final int PUSHF = 0x9C;
  private static final int POPF = 0x9D;
  private static final int IRET = 0xCF;
  private static final int INT = 0xCD;
  private static final int VECTOR = 0x21;
  private static final long STACK = 0x9000;

  private static SystemMachine v86(boolean vme, int iopl, int moreFlags) {
    SystemMachine m = SystemMachine.virtual8086(iopl);
    m.cpu.cr4 |= vme ? ControlRegister.CR4_VME : 0;
    m.cpu.setSystemFlags(m.cpu.systemFlags | moreFlags);
    return m;
  }

  private static int flags(String names) {
    int flags = 0;
    for (String name : names.split(" ")) {
      flags |= switch (name) {
        case "IF" -> Rflags.IF;
        case "TF" -> Rflags.TF;
        case "VIF" -> Rflags.VIF;
        case "VIP" -> Rflags.VIP;
        case "NT" -> Rflags.NT;
        case "CF" -> Rflags.CF;
        default -> 0;
      };
    }
    return flags;
  }

  /** CR4.VME, IOPL, VIF and VIP before; outcome, IF and VIF behind. The machine begins with IF = 1. */
  @ParameterizedTest
  @CsvSource({"cli, false, 3, '', OK, false, false", "cli, true, 3, VIF, OK, false, true",
      "cli, true, 0, VIF, OK, true, false",
      "cli, true, 2, 'VIF VIP', OK, true, false", "cli, false, 0, VIF, '#GP(0)', true, true",
      "sti, false, 3, '', OK, true, false", "sti, true, 0, '', OK, true, true",
      "sti, true, 0, VIP, '#GP(0)', true, false",
      "sti, true, 3, VIP, OK, true, false", "sti, false, 0, '', '#GP(0)', true, false"})
  void shouldLetCliAndStiWorkOnVif(String name, boolean vme, int iopl, String before, String outcome,
      boolean interrupts, boolean virtual) {
    SystemMachine m = v86(vme, iopl, flags(before));
    assertThat(m.outcome(m.run(name.equals("cli") ? CLI : STI))).isEqualTo(outcome);
    assertThat((m.cpu.systemFlags & Rflags.IF) != 0).isEqualTo(interrupts);
    assertThat((m.cpu.systemFlags & Rflags.VIF) != 0).isEqualTo(virtual);
    assertThat(m.cpu.blockedBySti).isFalse();
  }

  /** Operand size; the image pushed, IF and IOPL only. */
  @ParameterizedTest
  @CsvSource({"false, 3, 2, '', OK, 3200", "true, 3, 2, VIF, OK, 3200", "true, 0, 2, '', OK, 3000",
      "true, 0, 2, VIF, OK, 3200", "true, 1, 2, VIF, OK, 3200",
      "true, 0, 4, VIF, '#GP(0)', 0", "false, 0, 2, '', '#GP(0)', 0"})
  void shouldPushVifInPlaceOfIf(boolean vme, int iopl, int size, String before, String outcome, String image) {
    SystemMachine m = v86(vme, iopl, flags(before));
    Instruction insn = m.insn(PUSHF);
    insn.operandSize = size;
    assertThat(m.outcome(m.run(insn))).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(m.stack(0, 2) & 0x3200).isEqualTo(Integer.parseInt(image, 16));
    }
  }

  /** Image popped; VIP before; outcome and VIF behind. */
  @ParameterizedTest
  @CsvSource({"true, 0, 2, IF, '', OK, true", "true, 0, 2, '', VIF, OK, false", "true, 0, 2, IF, VIP, '#GP(0)', false",
      "true, 0, 2, '', 'VIF VIP', OK, false",
      "true, 0, 2, TF, '', '#GP(0)', false", "true, 0, 2, 'IF CF NT', '', OK, true",
      "true, 0, 4, IF, '', '#GP(0)', false", "false, 0, 2, IF, '', '#GP(0)', false"})
  void shouldPopIfIntoVif(boolean vme, int iopl, int size, String image, String before, String outcome,
      boolean virtual) {
    for (int opcode : new int[] {POPF, IRET}) {
      SystemMachine m = v86(vme, iopl, flags(before));
      m.push(size, flags(image));
      if (opcode == IRET) {
        m.push(size, 0x2000, 0x123);
      }
      Instruction insn = m.insn(opcode);
      insn.operandSize = size;
      assertThat(m.outcome(m.run(insn))).isEqualTo(outcome);
      int flags = (int) m.cpu.rflags();
      assertThat((flags & Rflags.VIF) != 0).isEqualTo(virtual);
      assertThat(flags & Rflags.IF).as("IF").isNotZero();
      assertThat(m.cpu.iopl()).isEqualTo(iopl);
      if (outcome.equals("OK")) {
        assertThat(flags & (Rflags.CF | Rflags.NT)).isEqualTo(flags(image) & (Rflags.CF | Rflags.NT));
        assertThat(m.cpu.selector[Segments.CS]).isEqualTo(opcode == IRET ? 0x2000 : 0x1000);
      }
    }
  }

  /** Puts the redirection bitmap and the vector table into the machine. */
  private static void redirection(SystemMachine m, boolean redirect) {
    long map = 0x68 + 32;
    m.cpu.limit[Segments.TR] = map;
    m.memory.write(SystemMachine.TSS + 102, 2, map);
    m.memory.write(SystemMachine.TSS + map - 32 + VECTOR / 8, 1, redirect ? 0 : 1 << VECTOR % 8);
    m.memory.write(SystemMachine.IVT + 4 * VECTOR, 2, 0x456);
    m.memory.write(SystemMachine.IVT + 4 * VECTOR + 2, 2, 0x1800);
    m.interruptGate(VECTOR, SystemMachine.CODE0, SystemMachine.HANDLER, Descriptor.INTERRUPT_GATE, 3, 0);
  }

  private static Instruction interrupt(SystemMachine m) {
    Instruction insn = m.insn(INT);
    insn.immediate = VECTOR;
    return insn;
  }

  /** The six methods of SDM table "Software Interrupt Handling Methods While in Virtual-8086 Mode". */
  @ParameterizedTest
  @CsvSource({"1, false, 3, true, protected", "2, false, 0, true, '#GP(0)'", "3, true, 0, false, '#GP(0)'",
      "4, true, 3, false, protected",
      "5, true, 3, true, redirected", "6, true, 0, true, redirected"})
  void shouldHandleIntByOneOfSixMethods(int method, boolean vme, int iopl, boolean redirect, String outcome) {
    SystemMachine m = v86(vme, iopl, Rflags.VIF | Rflags.TF);
    redirection(m, redirect);
    String result = m.outcome(m.run(interrupt(m)));
    boolean inV86 = m.cpu.v86();
    assertThat(result.equals("OK") ? inV86 ? "redirected" : "protected" : result).isEqualTo(outcome);
    if (outcome.equals("protected")) {
      assertThat(m.cpu.rip).isEqualTo(SystemMachine.HANDLER);
    } else if (outcome.equals("redirected")) {
      assertThat(m.cpu.selector[Segments.CS]).isEqualTo(0x1800);
      assertThat(m.cpu.rip).isEqualTo(0x456);
      assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x800 - 6);
      assertThat(m.stack(0, 2)).isEqualTo(2);
      assertThat(m.stack(1, 2)).isEqualTo(0x1000);
      assertThat(m.stack(2, 2) & 0x3300).as("FLAGS: IOPL 3, IF").isEqualTo(0x3300);
      assertThat(m.cpu.systemFlags & Rflags.TF).isZero();
      assertThat((m.cpu.systemFlags & Rflags.IF) != 0).as("IF").isEqualTo(iopl < 3);
      assertThat((m.cpu.systemFlags & Rflags.VIF) != 0).as("VIF").isEqualTo(iopl == 3);
    }
  }

  @Test
  void shouldRefuseABitmapBeyondTheTaskStateSegment() {
    SystemMachine m = v86(true, 3, 0);
    redirection(m, true);
    m.cpu.limit[Segments.TR] = 0x68 + VECTOR / 8 - 1;
    assertThat(m.outcome(m.run(interrupt(m)))).isEqualTo("#GP(0)");
    m.cpu.rights[Segments.TR] = 0x83;
    m.cpu.limit[Segments.TR] = 0x200;
    assertThat(m.outcome(m.run(interrupt(m)))).as("a 16-bit TSS has none").isEqualTo("#GP(0)");
  }

  @Test
  void shouldPushNothingIfTheStackFaults() {
    SystemMachine m = v86(true, 3, 0);
    redirection(m, true);
    m.pages.notPresent.add(STACK + 0x800 - 1 >>> 12);
    assertThat(m.outcome(m.run(interrupt(m)))).isEqualTo("#PF(6)");
    assertThat(m.cpu.rip).isZero();
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x800);
  }

  /** CPL, CR4.PVI, IOPL, VIP; outcome, IF and VIF behind. Begins with IF = 1. */
  @ParameterizedTest
  @CsvSource({"cli, 3, true, 0, VIF, OK, true, false", "cli, 3, false, 0, VIF, '#GP(0)', true, true",
      "cli, 3, true, 3, VIF, OK, false, true",
      "cli, 0, true, 0, VIF, OK, false, true", "sti, 3, true, 0, '', OK, true, true",
      "sti, 3, true, 0, VIP, '#GP(0)', true, false",
      "sti, 3, true, 3, VIP, OK, true, false", "sti, 0, true, 0, VIP, OK, true, false"})
  void shouldLetCliAndStiOfRing3WorkOnVif(String name, int cpl, boolean pvi, int iopl, String before, String outcome,
      boolean interrupts, boolean virtual) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.cpu.cr4 |= pvi ? ControlRegister.CR4_PVI : 0;
    m.cpu.setSystemFlags(Rflags.IF | iopl << Rflags.IOPL_SHIFT | flags(before));
    assertThat(m.outcome(m.run(name.equals("cli") ? CLI : STI))).isEqualTo(outcome);
    assertThat((m.cpu.systemFlags & Rflags.IF) != 0).isEqualTo(interrupts);
    assertThat((m.cpu.systemFlags & Rflags.VIF) != 0).isEqualTo(virtual);
  }

  /** Mode, CR4 bit, flags, IOPL; whether the next instruction is #GP(0). */
  @ParameterizedTest
  @CsvSource({"v86, true, 'VIF VIP', 0, true", "v86, true, 'VIF VIP', 3, true", "v86, true, VIP, 0, false",
      "v86, true, VIF, 3, false", "v86, false, 'VIF VIP', 0, false", "ring 3, true, 'VIF VIP', 0, true",
      "ring 3, true, 'VIF VIP', 3, true", "ring 3, false, 'VIF VIP', 0, false", "ring 3, true, VIP, 0, false",
      "ring 0, true, 'VIF VIP', 0, false"})
  void shouldFaultWhereVirtualInterruptsAreOnAndPending(String mode, boolean extension, String names, int iopl,
      boolean faults) {
    boolean v86 = mode.equals("v86");
    SystemMachine m = v86 ? SystemMachine.virtual8086(iopl) : SystemMachine.protectedMode(mode.equals("ring 3") ? 3
        : 0);
    m.cpu.cr4 |= extension ? ControlRegister.CR4_VME | ControlRegister.CR4_PVI : 0;
    m.cpu.setSystemFlags(m.cpu.systemFlags & ~Rflags.IOPL | iopl << Rflags.IOPL_SHIFT | flags(names));
    m.memory.fill((int) SystemMachine.CODE, 16, (byte) 0x90);
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = -1;
    long rip = m.cpu.rip;
    int reason = new Processor(m.cpu, 64).run(4);
    assertThat(reason).isEqualTo(faults ? ExitReason.EXCEPTION_NMI : ExitReason.BUDGET);
    assertThat(m.cpu.rip - rip).isEqualTo(faults ? 0 : 4);
  }
}
