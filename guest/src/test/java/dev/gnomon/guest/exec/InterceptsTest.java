package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every control of {@link dev.gnomon.guest.cpu.Intercepts}: that it exits with the right record, commits nothing, and
 * at its place among the faults.
 */
class InterceptsTest {
  private static SystemMachine intercepting(int cpl) {
    SystemMachine m = SystemMachine.longMode(cpl);
    m.cpu.intercepts.enabled = true;
    return m;
  }

  private static String exit(SystemMachine m, Instruction insn) {
    long[] before = m.cpu.regs.clone();
    String outcome = m.outcome(m.run(insn));
    if (!outcome.equals("EXIT")) {
      return outcome;
    }
    assertThat(m.cpu.rip).isEqualTo(CODE);
    assertThat(m.cpu.regs).isEqualTo(before);
    assertThat(m.cpu.exit.instructionLength).isEqualTo(insn.length);
    return ExitReason.name(m.cpu.exit.reason) + " " + Long.toHexString(m.cpu.exit.qualification);
  }

  /** Register-form instructions: opcode, control, outcome at CPL 0 and CPL 3. */
  @ParameterizedTest
  @CsvSource({
      "1a2, none, CPUID 0, CPUID 0", "f4, hlt, HLT 0, '#GP(0)'", "131, rdtsc, RDTSC 0, RDTSC 0",
      "133, rdpmc, RDPMC 0, '#GP(0)'", "108, none, INVD 0, '#GP(0)'", "109, wbinvd, WBINVD 0, '#GP(0)'",
      "132, msr, MSR_READ 0, '#GP(0)'", "130, msr, MSR_WRITE 0, '#GP(0)'", "109, none, OK, '#GP(0)'",
      "131, none, OK, OK", "133, none, '#GP(0)', '#GP(0)'"})
  void shouldExitAfterPrivilegeCheck(String opcode, String control, String kernel, String user) {
    for (int cpl : new int[] {0, 3}) {
      SystemMachine m = intercepting(cpl);
      switch (control) {
        case "hlt" -> m.cpu.intercepts.hlt = true;
        case "rdtsc" -> m.cpu.intercepts.rdtsc = true;
        case "rdpmc" -> m.cpu.intercepts.rdpmc = true;
        case "wbinvd" -> m.cpu.intercepts.wbinvd = true;
        case "msr" -> m.cpu.intercepts.msr = true;
        default -> { }
      }
      assertThat(exit(m, m.insn(Integer.parseInt(opcode, 16)))).isEqualTo(cpl == 0 ? kernel : user);
    }
  }

  @Test
  void shouldPassListedMsrsThrough() {
    SystemMachine m = intercepting(0);
    m.cpu.intercepts.msr = true;
    m.cpu.regs[Cpu.RCX] = 0xC000_0100L;
    assertThat(exit(m, m.insn(0x132))).isEqualTo("OK");
    m.cpu.rip = CODE;
    m.cpu.regs[Cpu.RCX] = 0xDEAD;
    assertThat(exit(m, m.insn(0x132))).as("an unknown MSR exits, and is not #GP").isEqualTo("MSR_READ 0");
  }

  @Test
  void shouldExitOnVmcallPauseAndRdtscp() {
    SystemMachine m = intercepting(3);
    assertThat(exit(m, m.register(0x101, 0, 1))).isEqualTo("VMCALL 0");
    m.cpu.intercepts.rdtsc = true;
    assertThat(exit(m, m.register(0x101, 7, 1))).isEqualTo("RDTSCP 0");
    m.cpu.intercepts.pause = true;
    Instruction pause = m.insn(0x90);
    pause.rep = 0xF3;
    assertThat(exit(m, pause)).isEqualTo("PAUSE_INSTRUCTION 0");
    m.cpu.intercepts.enabled = false;
    assertThat(exit(m, m.register(0x101, 0, 1))).as("VMCALL with no hypervisor").isEqualTo("#UD(0)");
  }

  @Test
  void shouldCheckTsdBeforeRdtscExit() {
    SystemMachine m = intercepting(3);
    m.cpu.cr4 |= ControlRegister.CR4_TSD;
    m.cpu.intercepts.rdtsc = true;
    assertThat(exit(m, m.insn(0x131))).isEqualTo("#GP(0)");
  }

  /** CR access: CR, to, value, mask, shadow, outcome. Register is RBX (3). */
  @ParameterizedTest
  @CsvSource({"0, 80000011, 0, 0, OK", "0, 80000019, 8, 0, CR_ACCESS 300", "0, 80000011, 8, 0, OK",
      "0, 80000011, 8, 8, CR_ACCESS 300", "0, 10, 8, 0, '#GP(0)'", "0, 18, 8, 0, CR_ACCESS 300",
      "4, 2020, 2000, 0, CR_ACCESS 304", "4, 20, 2000, 0, OK", "4, 120, 2000, 0, OK", "4, 1, 0, 0, '#GP(0)'",
      "4, 2001, 2000, 0, CR_ACCESS 304"})
  void shouldExitWhenHostOwnedBitDiffersFromShadow(int cr, String value, String mask, String shadow, String outcome) {
    SystemMachine m = intercepting(0);
    if (cr == 0) {
      m.cpu.intercepts.cr0GuestHostMask = Long.parseLong(mask, 16);
      m.cpu.intercepts.cr0ReadShadow = Long.parseLong(shadow, 16);
    } else {
      m.cpu.intercepts.cr4GuestHostMask = Long.parseLong(mask, 16);
      m.cpu.intercepts.cr4ReadShadow = Long.parseLong(shadow, 16);
    }
    m.cpu.regs[Cpu.RBX] = Long.parseLong(value, 16);
    assertThat(exit(m, m.register(0x122, cr, Cpu.RBX))).isEqualTo(outcome);
  }

  @Test
  void shouldKeepHostBitsAndShowShadow() {
    SystemMachine m = intercepting(0);
    m.cpu.cr0 |= ControlRegister.CR0_WP;
    m.cpu.intercepts.cr0GuestHostMask = ControlRegister.CR0_WP;
    m.cpu.intercepts.cr0ReadShadow = 0;
    m.cpu.regs[Cpu.RBX] = 0x8000_0013L;
    assertThat(exit(m, m.register(0x122, 0, Cpu.RBX))).isEqualTo("OK");
    assertThat(m.cpu.cr0).as("the host's WP stays").isEqualTo(0x8001_0013L);
    m.run(m.register(0x120, 0, Cpu.RCX));
    assertThat(m.cpu.regs[Cpu.RCX]).as("the guest sees the shadow").isEqualTo(0x8000_0013L);
  }

  @Test
  void shouldExitOnCr3LoadAndStore() {
    SystemMachine m = intercepting(0);
    m.cpu.intercepts.cr3Load = true;
    m.cpu.intercepts.cr3Store = true;
    m.cpu.regs[9] = -1;
    assertThat(exit(m, m.register(0x122, 3, 9))).as("before #GP for the value").isEqualTo("CR_ACCESS 903");
    assertThat(exit(m, m.register(0x120, 3, Cpu.RDI))).isEqualTo("CR_ACCESS 713");
    assertThat(exit(intercepting(3), m.register(0x122, 3, 9))).isEqualTo("#GP(0)");
    assertThat(ExitQualification.register(0x903)).isEqualTo(9);
    assertThat(ExitQualification.crType(0x713)).isEqualTo(ExitQualification.CR_MOV_FROM);
    assertThat(ExitQualification.crNumber(0x713)).isEqualTo(3);
  }

  /** CLTS: host owns TS, shadow TS, outcome, TS behind it (set before). */
  @ParameterizedTest
  @CsvSource({"false, false, OK, false", "true, true, CR_ACCESS 20, true", "true, false, OK, true"})
  void shouldTreatClts(boolean owned, boolean shadow, String outcome, boolean remains) {
    SystemMachine m = intercepting(0);
    m.cpu.cr0 |= ControlRegister.CR0_TS;
    m.cpu.intercepts.cr0GuestHostMask = owned ? ControlRegister.CR0_TS : 0;
    m.cpu.intercepts.cr0ReadShadow = shadow ? ControlRegister.CR0_TS : 0;
    assertThat(exit(m, m.insn(0x106))).isEqualTo(outcome);
    assertThat((m.cpu.cr0 & ControlRegister.CR0_TS) != 0).isEqualTo(remains);
  }

  @Test
  void shouldExitOnLmswWithSourceAndOperand() {
    SystemMachine m = intercepting(0);
    m.cpu.intercepts.cr0GuestHostMask = ControlRegister.CR0_TS | ControlRegister.CR0_PE;
    m.cpu.intercepts.cr0ReadShadow = ControlRegister.CR0_PE;
    m.cpu.regs[Cpu.RBX] = 0xABC9;
    assertThat(exit(m, m.register(0x101, 6, Cpu.RBX))).isEqualTo("CR_ACCESS abc90030");
    m.memory.write(DATA, 2, 9);
    assertThat(exit(m, m.memory(0x101, 6, DATA))).isEqualTo("CR_ACCESS 90070");
    assertThat(m.cpu.exit.guestLinear).isEqualTo(DATA);
    assertThat(ExitQualification.lmswSource(0xABC9_0030L)).isEqualTo(0xABC9);
    m.cpu.regs[Cpu.RBX] = 0;
    assertThat(exit(m, m.register(0x101, 6, Cpu.RBX))).as("PE cannot be cleared, so it does not exit").isEqualTo("OK");
  }

  /** MOV DR exits before the checks of privilege and CR4.DE. */
  @ParameterizedTest
  @CsvSource({"0, 7, true, DR_ACCESS 317", "0, 7, false, DR_ACCESS 307", "3, 7, false, DR_ACCESS 307",
      "3, 4, false, DR_ACCESS 304", "0, 9, false, '#UD(0)'"})
  void shouldExitOnMovDr(int cpl, int number, boolean from, String outcome) {
    SystemMachine m = intercepting(cpl);
    m.cpu.cr4 |= ControlRegister.CR4_DE;
    m.cpu.intercepts.movDr = true;
    assertThat(exit(m, m.register(from ? 0x121 : 0x123, number, Cpu.RBX))).isEqualTo(outcome);
  }

  @Test
  void shouldExitOnInvlpgWithLinearAddress() {
    SystemMachine m = invlpgAt104567(0);
    assertThat(new Processor(m.cpu, 64).run(1)).isEqualTo(ExitReason.INVLPG);
    assertThat(m.cpu.exit.qualification).isEqualTo(0x10_4567);
    assertThat(m.cpu.exit.guestLinear).isEqualTo(0x10_4567);
    assertThat(m.cpu.exit.instructionLength).isEqualTo(9);
    assertThat(m.cpu.rip).isEqualTo(CODE);
    assertThat(m.cpu.retired).isZero();
  }

  @Test
  void shouldRaiseGeneralProtectionBeforeInvlpgExits() {
    SystemMachine m = invlpgAt104567(3);
    m.cpu.intercepts.exceptionBitmap = 1 << Vector.GP;
    assertThat(new Processor(m.cpu, 64).run(1)).isEqualTo(ExitReason.EXCEPTION_NMI);
    assertThat(m.cpu.exit.interruptionInfo & 0xFF).isEqualTo(Vector.GP);
    assertThat(m.cpu.rip).isEqualTo(CODE);
  }

  /** INVLPG GS:[4567H] in memory, GS based at 100000H; it is a micro-op, so it runs from its bytes. */
  private static SystemMachine invlpgAt104567(int cpl) {
    SystemMachine m = intercepting(cpl);
    m.cpu.intercepts.invlpg = true;
    m.cpu.base[Segments.GS] = 0x10_0000;
    m.memory.writeBytes(CODE, new byte[] {0x65, 0x0F, 0x01, 0x3C, 0x25, 0x67, 0x45, 0, 0}, 0, 9);
    return m;
  }

  @Test
  void shouldExitOnInvpcidBeforeItReadsTheOperand() {
    SystemMachine m = intercepting(0);
    m.cpu.intercepts.invpcid = true;
    m.pages.notPresent.add(DATA >> 12);
    Instruction insn = m.memory(0x282, Cpu.RBX, 0x10);
    insn.operandPrefix = true;
    insn.base = Cpu.RSI;
    insn.index = 9;
    insn.scale = 2;
    m.cpu.regs[Cpu.RSI] = DATA;
    assertThat(exit(m, insn)).isEqualTo("INVPCID 10");
    assertThat(m.cpu.exit.guestLinear).isEqualTo(DATA + 0x10);
    assertThat(ExitQualification.operandRegister(m.cpu.exit.instructionInfo)).isEqualTo(Cpu.RBX);
    assertThat(m.cpu.exit.instructionInfo)
        .isEqualTo(3 << 28 | Cpu.RSI << 23 | 9 << 18 | Segments.DS << 15 | 2 << 7 | 2);
  }

  /** Port I/O: opcode, outcome with port 3F8H in DX or 60H as immediate. */
  @ParameterizedTest
  @CsvSource({"e4, IO_INSTRUCTION 600048", "e5, IO_INSTRUCTION 60004b", "e6, IO_INSTRUCTION 600040",
      "ec, IO_INSTRUCTION 3f80008", "ef, IO_INSTRUCTION 3f80003", "6c, IO_INSTRUCTION 3f80018",
      "6f, IO_INSTRUCTION 3f80013"})
  void shouldExitOnPortAccess(String opcode, String outcome) {
    SystemMachine m = intercepting(0);
    m.cpu.intercepts.io = true;
    m.cpu.regs[Cpu.RDX] = 0x3F8;
    Instruction insn = m.insn(Integer.parseInt(opcode, 16));
    insn.immediate = 0x60;
    assertThat(exit(m, insn)).isEqualTo(outcome);
    assertThat(m.ports.accesses).isEmpty();
  }

  @Test
  void shouldReportRepAndLinearAddressOfStringPortAccess() {
    SystemMachine m = intercepting(0);
    m.cpu.intercepts.io = true;
    m.cpu.regs[Cpu.RDX] = 0x1F0;
    m.cpu.regs[Cpu.RCX] = 4;
    m.cpu.regs[Cpu.RDI] = DATA;
    m.pages.notPresent.add(DATA >> 12);
    Instruction insn = m.insn(0x6D);
    insn.rep = 0xF3;
    assertThat(exit(m, insn)).isEqualTo("IO_INSTRUCTION 1f0003b");
    assertThat(m.cpu.exit.guestLinear).isEqualTo(DATA);
    assertThat(ExitQualification.ioPort(m.cpu.exit.qualification)).isEqualTo(0x1F0);
    assertThat(ExitQualification.ioSize(m.cpu.exit.qualification)).isEqualTo(4);
    m.cpu.regs[Cpu.RCX] = 0;
    assertThat(exit(m, insn)).as("nothing to do").isEqualTo("OK");
  }

  @Test
  void shouldCheckPortPermissionBeforeExit() {
    SystemMachine m = intercepting(3);
    m.cpu.intercepts.io = true;
    assertThat(exit(m, m.insn(0xEC))).isEqualTo("#GP(0)");
  }

  @Test
  void shouldReportDebugBitsOfInterceptedDebugException() {
    SystemMachine m = intercepting(0);
    m.cpu.intercepts.exceptionBitmap = 1 << Vector.DB;
    m.cpu.dr[7] = Debug.DR7_GD;
    assertThat(m.outcome(m.run(m.register(0x121, 0, Cpu.RAX)))).isEqualTo("#DB(0)");
    m.events.raise();
    assertThat(m.cpu.exit.qualification).isEqualTo(Debug.DR6_BD);
    assertThat(m.cpu.dr[6]).isZero();
    assertThat(m.cpu.dr[7]).isEqualTo(Debug.DR7_GD);
  }
}
