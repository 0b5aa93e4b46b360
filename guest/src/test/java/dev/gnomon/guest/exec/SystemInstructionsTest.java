package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.DATA;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SystemInstructionsTest {
  /** CLI and STI: mode, CPL or IOPL, outcome. */
  @ParameterizedTest
  @CsvSource({"protected, 0, 0, OK", "protected, 3, 0, '#GP(0)'", "protected, 3, 3, OK", "v86, 3, 0, '#GP(0)'",
      "v86, 3, 3, OK", "real, 0, 0, OK"})
  void shouldGuardInterruptFlagByIopl(String mode, int cpl, int iopl, String outcome) {
    for (int opcode : new int[] {0xFA, 0xFB}) {
      SystemMachine m = switch (mode) {
        case "real" -> SystemMachine.real();
        case "v86" -> SystemMachine.virtual8086(iopl);
        default -> SystemMachine.protectedMode(cpl);
      };
      m.cpu.setSystemFlags(m.cpu.systemFlags & ~(Rflags.IOPL | Rflags.IF) | iopl << Rflags.IOPL_SHIFT
          | (opcode == 0xFA ? Rflags.IF : 0));
      assertThat(m.outcome(m.run(opcode))).isEqualTo(outcome);
      boolean changed = outcome.equals("OK");
      assertThat((m.cpu.systemFlags & Rflags.IF) != 0).isEqualTo((opcode == 0xFB) == changed);
      assertThat(m.cpu.blockedBySti).isEqualTo(changed && opcode == 0xFB);
    }
  }

  @Test
  void shouldCastNoShadowWhenInterruptsWereOn() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.setSystemFlags(Rflags.IF);
    m.run(0xFB);
    assertThat(m.cpu.blockedBySti).isFalse();
  }

  /** POPF with all flags set: CPL, IOPL before, bytes, flags behind it (SDM vol. 2B, "POPF"). */
  @ParameterizedTest
  @CsvSource({"0, 0, 4, 247fd7", "3, 0, 4, 244dd7", "3, 3, 4, 247fd7", "0, 0, 2, 7fd7", "3, 3, 2, 7fd7"})
  void shouldPopFlagsByPrivilege(int cpl, int iopl, int size, String expected) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.cpu.setSystemFlags(iopl << Rflags.IOPL_SHIFT | Rflags.RF);
    m.push(size, -1L >>> 64 - 8 * size);
    Instruction insn = m.insn(0x9D);
    insn.operandSize = size;
    assertThat(m.outcome(m.run(insn))).isEqualTo("OK");
    assertThat(Long.toHexString(m.cpu.rflags())).isEqualTo(expected);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(SystemMachine.STACK);
  }

  @Test
  void shouldPushFlagsWithoutRfAndVm() {
    SystemMachine m = SystemMachine.longMode(3);
    m.cpu.setRflags(Rflags.RF | Rflags.AC | Rflags.CF);
    assertThat(m.outcome(m.run(0x9C))).isEqualTo("OK");
    assertThat(m.stack(0, 8)).isEqualTo(Rflags.AC | Rflags.CF | Rflags.FIXED);
  }

  @Test
  void shouldRefuseFlagsInVirtual8086ModeWithoutIopl3() {
    assertThat(SystemMachine.virtual8086(0).run(0x9C)).isNegative();
    assertThat(SystemMachine.virtual8086(2).run(0x9D)).isNegative();
    assertThat(SystemMachine.virtual8086(3).run(0x9C)).isZero();
  }

  @Test
  void shouldHaltAndMoveOn() {
    SystemMachine m = SystemMachine.longMode(0);
    assertThat(m.outcome(m.run(0xF4))).isEqualTo("OK");
    assertThat(m.cpu.halted).isTrue();
    assertThat(m.cpu.rip).isEqualTo(SystemMachine.CODE + 2);
  }

  @Test
  void shouldReadTimeFromRetiredInstructions() {
    SystemMachine m = SystemMachine.longMode(3);
    m.cpu.retired = 0x1_0000_0005L;
    m.cpu.nsPerInstruction = 2;
    m.cpu.tscAux = 7;
    m.cpu.regs[Cpu.RAX] = -1;
    assertThat(m.outcome(m.run(m.register(0x101, 7, 1)))).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RAX]).isEqualTo(10);
    assertThat(m.cpu.regs[Cpu.RDX]).isEqualTo(2);
    assertThat(m.cpu.regs[Cpu.RCX]).isEqualTo(7);
    m.cpu.cr4 |= ControlRegister.CR4_TSD;
    assertThat(m.outcome(m.run(0x131))).isEqualTo("#GP(0)");
  }

  /** WRMSR: register, value, outcome. */
  @ParameterizedTest
  @CsvSource({
      "277, 0007040600070406, OK", "277, 0207040600070406, '#GP(0)'", "277, 0807040600070406, '#GP(0)'",
      "c0000080, 500, OK", "c0000080, 400, '#GP(0)'", "c0000080, 1500, '#GP(0)'", "c0000080, d01, OK",
      "c0000100, 7fffffffffff, OK", "c0000100, 800000000000, '#GP(0)'", "c0000082, 8000000000000000, '#GP(0)'",
      "175, ffff800000000000, OK", "176, 1000000000000, '#GP(0)'", "174, 10, OK", "c0000103, 100000000, '#GP(0)'",
      "c0000103, 5, OK", "dead, 0, '#GP(0)'", "1b, fee00900, OK", "1b, fee00100000, '#GP(0)'", "8b, 0, OK"})
  void shouldCheckMsrWrites(String msr, String value, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    long v = Long.parseUnsignedLong(value, 16);
    if (msr.equals("1b") && v > 0xFFFF_FFFFL) {
      v |= 1L << 50;
    }
    m.cpu.regs[Cpu.RCX] = Long.parseLong(msr, 16);
    m.cpu.regs[Cpu.RAX] = v & 0xFFFF_FFFFL;
    m.cpu.regs[Cpu.RDX] = v >>> 32;
    assertThat(m.outcome(m.run(0x130))).isEqualTo(outcome);
    if (outcome.equals("OK") && !msr.equals("8b")) {
      assertThat(m.outcome(m.run(0x132))).isEqualTo("OK");
      assertThat(m.cpu.regs[Cpu.RDX] << 32 | m.cpu.regs[Cpu.RAX]).isEqualTo(v);
    }
  }

  @Test
  void shouldSetTimeStampCounter() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.retired = 100;
    ModelRegisters registers = new ModelRegisters(m.cpu);
    registers.write(Msr.TSC, 5000);
    m.cpu.retired = 110;
    registers.read(Msr.TSC);
    assertThat(m.cpu.value).isEqualTo(5010);
  }

  /** INVPCID: type, PCIDE, descriptor, address, outcome, what was flushed. */
  @ParameterizedTest
  @CsvSource({"0, true, 5, 1000, OK, address", "0, true, 5, 800000000000, '#GP(0)', ''",
      "0, true, 1000, 1000, '#GP(0)', ''", "1, true, 7, 800000000000, OK, pcid", "1, false, 7, 0, '#GP(0)', ''",
      "1, false, 0, 0, OK, pcid", "0, false, 1, 0, '#GP(0)', ''", "2, false, 7, 0, OK, all",
      "2, true, 10000, 0, '#GP(0)', ''", "3, true, 0, 0, OK, nonglobal", "4, true, 0, 0, '#GP(0)', ''",
      "100000000, true, 0, 0, '#GP(0)', ''"})
  void shouldCheckInvpcid(String type, boolean pcide, String pcid, String address, String outcome, String flush) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.cr4 |= pcide ? ControlRegister.CR4_PCIDE : 0;
    m.memory.write64(DATA, Long.parseLong(pcid, 16));
    m.memory.write64(DATA + 8, Long.parseLong(address, 16));
    m.cpu.regs[Cpu.RBX] = Long.parseLong(type, 16);
    m.flushes();
    Instruction insn = m.memory(0x282, Cpu.RBX, DATA);
    insn.operandPrefix = true;
    assertThat(m.outcome(m.run(insn))).isEqualTo(outcome);
    assertThat(m.flushes()).isEqualTo(flush);
  }

  @Test
  void shouldCheckFormAndPrivilegeOfInvpcid() {
    SystemMachine m = SystemMachine.longMode(0);
    Instruction insn = m.memory(0x282, Cpu.RBX, DATA);
    assertThat(m.outcome(m.run(insn))).as("no prefix").isEqualTo("#UD(0)");
    insn.operandPrefix = true;
    SystemMachine user = SystemMachine.longMode(3);
    assertThat(user.outcome(user.run(insn))).isEqualTo("#GP(0)");
    m.pages.notPresent.add(DATA >> 12);
    assertThat(m.outcome(m.run(insn))).isEqualTo("#PF(0)");
  }

  @Test
  void shouldSwapGsBase() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.base[Segments.GS] = 1;
    m.cpu.kernelGsBase = 2;
    assertThat(m.outcome(m.run(m.register(0x101, 7, 0)))).isEqualTo("OK");
    assertThat(m.cpu.base[Segments.GS]).isEqualTo(2);
    assertThat(m.cpu.kernelGsBase).isEqualTo(1);
    SystemMachine user = SystemMachine.longMode(3);
    assertThat(user.outcome(user.run(user.register(0x101, 7, 0)))).isEqualTo("#GP(0)");
    SystemMachine legacy = SystemMachine.protectedMode(0);
    assertThat(legacy.outcome(legacy.run(legacy.register(0x101, 7, 0)))).isEqualTo("#UD(0)");
  }

  @Test
  void shouldSetAndClearAcInRing0Only() {
    SystemMachine m = SystemMachine.longMode(0);
    m.run(m.register(0x101, 1, 3));
    assertThat(m.cpu.systemFlags & Rflags.AC).isEqualTo(Rflags.AC);
    m.run(m.register(0x101, 1, 2));
    assertThat(m.cpu.systemFlags & Rflags.AC).isZero();
    SystemMachine user = SystemMachine.longMode(3);
    assertThat(user.outcome(user.run(user.register(0x101, 1, 3)))).isEqualTo("#UD(0)");
  }

  /** Opcodes that do not exist here. */
  @ParameterizedTest
  @CsvSource({"10b", "1aa", "137", "1b8", "280", "281", "1c7", "110", "1ae"})
  void shouldRaiseUdForUnknownOpcodes(String opcode) {
    SystemMachine m = SystemMachine.longMode(0);
    assertThat(m.outcome(m.run(m.register(Integer.parseInt(opcode, 16), 0, 0)))).isEqualTo("#UD(0)");
  }

  /** x87 control: opcode, group, rm or memory, CR0 bits, outcome. */
  @ParameterizedTest
  @CsvSource({"db, 4, 3, 0, OK", "db, 4, 3, 4, '#NM(0)'", "db, 4, 3, 8, '#NM(0)'", "9b, 0, 0, 8, OK",
      "9b, 0, 0, a, '#NM(0)'", "9b, 0, 0, 2, OK", "df, 4, 0, 0, OK", "d8, 0, 0, 0, OK", "d9, 7, 6, 0, OK",
      "d9, 5, 7, 0, '#UD(0)'", "d8, 0, 0, 8, '#NM(0)'"})
  void shouldExecuteFpuControl(String opcode, int group, int rm, String cr0, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.cr0 |= Long.parseLong(cr0, 16);
    assertThat(m.outcome(m.run(m.register(Integer.parseInt(opcode, 16), group, rm)))).isEqualTo(outcome);
  }

  @Test
  void shouldStoreFpuControlWordAfterFninit() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.fpuControl = 0x1234;
    m.run(m.register(0xDB, 4, 3));
    assertThat(m.outcome(m.run(m.memory(0xD9, 7, DATA)))).isEqualTo("OK");
    assertThat(m.memory.read(DATA, 2)).isEqualTo(0x37F);
  }
}
