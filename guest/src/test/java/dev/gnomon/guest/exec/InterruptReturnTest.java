package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.CODE0;
import static dev.gnomon.guest.exec.SystemMachine.CODE3;
import static dev.gnomon.guest.exec.SystemMachine.CODE3_COMPAT;
import static dev.gnomon.guest.exec.SystemMachine.DATA0;
import static dev.gnomon.guest.exec.SystemMachine.DATA3;
import static dev.gnomon.guest.exec.SystemMachine.HANDLER;
import static dev.gnomon.guest.exec.SystemMachine.STACK;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InterruptReturnTest {
  private static final int ALL = Rflags.DEFINED & ~Rflags.VM;

  private static String iret(SystemMachine m) {
    return m.outcome(m.run(0xCF));
  }

  private static String iretq(SystemMachine m) {
    return m.outcome(m.run(m.wide(0xCF)));
  }

  @Test
  void shouldKeepTheBaseOfGsThatTheOuterRingMustNotUse() {
    SystemMachine m = SystemMachine.longMode(0);
    m.load(Segments.GS, SystemMachine.DATA0);
    m.cpu.base[Segments.GS] = 0x40_0000;
    m.push(8, SystemMachine.DATA3, STACK, Rflags.FIXED, CODE3, HANDLER);
    assertThat(iretq(m)).isEqualTo("OK");
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.selector[Segments.GS]).isZero();
    assertThat(m.cpu.base[Segments.GS]).isEqualTo(0x40_0000);
  }

  @Test
  void shouldReturnInRealMode() {
    SystemMachine m = SystemMachine.real();
    m.cpu.setSystemFlags(Rflags.AC);
    m.push(2, 0x7202, 0x1234, 0x5678);
    assertThat(iret(m)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0x5678);
    assertThat(m.cpu.base[Segments.CS]).isEqualTo(0x12340);
    assertThat(m.cpu.rflags()).isEqualTo(0x7202 | Rflags.AC);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(STACK);
  }

  /** Which flags a frame with all of them set changes: CPL, IOPL, flags that must stay as they were (clear). */
  @ParameterizedTest
  @CsvSource({"0, 0, 0", "3, 0, 1b3200", "3, 3, 1b0000"})
  void shouldTakeFlagsByPrivilege(int cpl, int iopl, String kept) {
    SystemMachine m = SystemMachine.protectedMode(cpl);
    m.cpu.setSystemFlags(iopl << Rflags.IOPL_SHIFT);
    m.push(4, ALL, cpl == 0 ? CODE0 : CODE3, HANDLER);
    assertThat(iret(m)).isEqualTo("OK");
    int untouched = Integer.parseInt(kept, 16) & ALL & ~Rflags.RF;
    int expected = ALL & ~untouched | iopl << Rflags.IOPL_SHIFT | Rflags.FIXED;
    if (cpl == 3) {
      expected = expected & ~(Rflags.VIF | Rflags.VIP) | Rflags.AC | Rflags.RF;
    }
    assertThat(Long.toHexString(m.cpu.rflags())).isEqualTo(Integer.toHexString(expected));
    assertThat(m.cpu.rfLoaded).isTrue();
  }

  @Test
  void shouldReturnToOuterRing() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.push(4, DATA3, 0x7000, Rflags.IF | Rflags.FIXED, CODE3, HANDLER);
    assertThat(iret(m)).isEqualTo("OK");
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x7000);
    assertThat(m.cpu.rights[Segments.DS] & Segments.UNUSABLE).isEqualTo(Segments.UNUSABLE);
    assertThat(m.cpu.rflags()).isEqualTo(Rflags.IF | Rflags.FIXED);
  }

  /** Broken frames: CS, SS, RIP, outcome. */
  @ParameterizedTest
  @CsvSource({"0, 0, 20000, '#GP(0)'", "10, 0, 20000, '#GP(10)'", "1b, 0, 20000, '#GP(0)'", "1b, 10, 20000, '#GP(10)'",
      "18, 0, 20000, '#GP(18)'",
      "9, 0, 20000, '#GP(8)'", "1000, 0, 20000, '#GP(1000)'"})
  void shouldCheckFrame(String cs, String ss, String rip, String outcome) {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.push(4, Integer.parseInt(ss, 16), 0x7000, Rflags.FIXED, Integer.parseInt(cs, 16), Long.parseLong(rip, 16));
    long sp = m.cpu.regs[Cpu.RSP];
    assertThat(iret(m)).isEqualTo(outcome);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(sp);
    assertThat(m.cpu.rip).isEqualTo(CODE);
    assertThat(m.cpu.cpl).isZero();
  }

  @Test
  void shouldReadWholeFrameBeforeItCommits() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.regs[Cpu.RSP] = 0x9004;
    m.push(4, Rflags.IF, CODE3, HANDLER);
    m.pages.notPresent.add(9L);
    assertThat(iret(m)).isEqualTo("#PF(0)");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x8FF8);
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(CODE0);
  }

  @Test
  void shouldEnterVirtual8086Mode() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.push(4, 0x4444, 0x3333, 0x2222, 0x1111, 0x900, 0x800, Rflags.VM | Rflags.IF | Rflags.FIXED, 0x1000, 0x55);
    assertThat(iret(m)).isEqualTo("OK");
    assertThat(m.cpu.v86()).isTrue();
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.rip).isEqualTo(0x55);
    assertThat(m.cpu.base[Segments.CS]).isEqualTo(0x10000);
    assertThat(m.cpu.base[Segments.SS]).isEqualTo(0x9000);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x800);
    assertThat(m.cpu.selector[Segments.ES]).isEqualTo(0x1111);
    assertThat(m.cpu.selector[Segments.DS]).isEqualTo(0x2222);
    assertThat(m.cpu.selector[Segments.FS]).isEqualTo(0x3333);
    assertThat(m.cpu.selector[Segments.GS]).isEqualTo(0x4444);
    assertThat(m.cpu.rights[Segments.CS]).isEqualTo(0xF3);
    assertThat(m.cpu.limit[Segments.DS]).isEqualTo(0xFFFF);
  }

  @ParameterizedTest
  @CsvSource({"0, '#GP(0)'", "2, '#GP(0)'", "3, OK"})
  void shouldNeedIopl3InVirtual8086Mode(int iopl, String outcome) {
    SystemMachine m = SystemMachine.virtual8086(iopl);
    m.push(2, 0x0002, 0x2000, 0x10);
    assertThat(iret(m)).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(m.cpu.v86()).isTrue();
      assertThat(m.cpu.iopl()).as("IOPL stays").isEqualTo(3);
      assertThat(m.cpu.base[Segments.CS]).isEqualTo(0x20000);
    }
  }

  @Test
  void shouldAlwaysPopStackIn64BitMode() {
    SystemMachine m = SystemMachine.longMode(0);
    m.push(8, DATA0, 0x7008, Rflags.FIXED, CODE0, HANDLER);
    assertThat(iretq(m)).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x7008);
    m.push(8, 0, 0x7008, Rflags.FIXED, CODE0, HANDLER);
    assertThat(iretq(m)).as("null SS below ring 3").isEqualTo("OK");
    assertThat(m.cpu.rights[Segments.SS] & Segments.UNUSABLE).isEqualTo(Segments.UNUSABLE);
  }

  @Test
  void shouldReturnToCompatibilityMode() {
    SystemMachine m = SystemMachine.longMode(0);
    m.push(8, DATA3, 0x7008, Rflags.FIXED, CODE3_COMPAT, HANDLER);
    assertThat(iretq(m)).isEqualTo("OK");
    assertThat(m.cpu.code64()).isFalse();
    assertThat(m.cpu.cpl).isEqualTo(3);
  }

  /** Upper half of the slot that EIP comes from. */
  @ParameterizedTest
  @CsvSource({"7fff", "8000", "ffffffff"})
  void shouldIgnoreWhatCompatibilityModeHasNoRipFor(String upper) {
    SystemMachine m = SystemMachine.longMode(0);
    m.push(8, DATA3, 0x7008, Rflags.FIXED, CODE3_COMPAT, Long.parseLong(upper, 16) << 32 | HANDLER);
    assertThat(iretq(m)).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
  }

  /** 64-bit frames that are refused: SS, RIP, NT, outcome. */
  @ParameterizedTest
  @CsvSource({"0, 1000, false, '#GP(0)'", "23, 800000000000, false, '#GP(0)'", "23, 1000, true, '#GP(0)'",
      "10, 1000, false, '#GP(10)'"})
  void shouldCheck64BitFrame(String ss, String rip, boolean nt, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.setSystemFlags(nt ? Rflags.NT : 0);
    m.push(8, Integer.parseInt(ss, 16), 0x7000, Rflags.FIXED, CODE3, Long.parseLong(rip, 16));
    assertThat(iretq(m)).isEqualTo(outcome);
  }

  @Test
  void shouldUnblockNmi() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.blockedByNmi = true;
    m.push(8, DATA0, 0x7008, Rflags.FIXED, CODE0, HANDLER);
    assertThat(iretq(m)).isEqualTo("OK");
    assertThat(m.cpu.blockedByNmi).isFalse();
  }
}
