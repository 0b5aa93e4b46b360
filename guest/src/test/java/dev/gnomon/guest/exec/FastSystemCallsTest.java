package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.HANDLER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FastSystemCallsTest {
  private static final int SYSCALL = 0x105;
  private static final int SYSRET = 0x107;
  private static final int SYSENTER = 0x134;
  private static final int SYSEXIT = 0x135;
  private static final int R11 = 11;

  @Test
  void shouldCallAndReturn() {
    SystemMachine m = SystemMachine.longMode(3);
    m.cpu.star = 0x0033_0010_0000_0000L;
    m.cpu.lstar = 0xFFFF_FFFF_8000_0000L;
    m.cpu.fmask = Rflags.IF | Rflags.TF;
    m.cpu.setRflags(Rflags.IF | Rflags.CF | Rflags.FIXED);
    assertThat(m.outcome(m.run(SYSCALL))).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(0xFFFF_FFFF_8000_0000L);
    assertThat(m.cpu.cpl).isZero();
    assertThat(m.cpu.regs[Cpu.RCX]).isEqualTo(CODE + 2);
    assertThat(m.cpu.regs[R11]).isEqualTo(Rflags.IF | Rflags.CF | Rflags.FIXED);
    assertThat(m.cpu.rflags()).isEqualTo(Rflags.CF | Rflags.FIXED);
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(0x10);
    assertThat(m.cpu.selector[Segments.SS]).isEqualTo(0x18);
    assertThat(m.outcome(m.run(m.wide(SYSRET)))).isEqualTo("OK");
    assertThat(m.cpu.cpl).isEqualTo(3);
    assertThat(m.cpu.rip).isEqualTo(CODE + 2);
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(0x43);
    assertThat(m.cpu.selector[Segments.SS]).isEqualTo(0x3B);
    assertThat(m.cpu.rflags()).isEqualTo(Rflags.IF | Rflags.CF | Rflags.FIXED);
  }

  /** Steps, as a debugger does: popf; syscall; sysretq in the handler; nop. */
  @Test
  void shouldTrapBehindSysretAndNotBehindSyscallThatMasksTf() {
    SystemMachine m = SystemMachine.longMode(3);
    m.cpu.star = 0x0033_0010_0000_0000L;
    m.cpu.lstar = CODE + 0x100;
    m.cpu.fmask = Rflags.TF;
    m.interruptGate(Vector.DB, SystemMachine.CODE0, HANDLER, 0xE, 0, 0);
    m.memory.writeBytes(CODE, new byte[] {0x0F, 0x05, (byte) 0x90}, 0, 3);
    m.memory.writeBytes(CODE + 0x100, new byte[] {(byte) 0x90, 0x48, 0x0F, 0x07}, 0, 4);
    m.cpu.setSystemFlags(Rflags.TF);
    Processor processor = new Processor(m.cpu, 64);
    assertThat(processor.run(2)).isEqualTo(ExitReason.BUDGET);
    assertThat(m.cpu.rip).as("in the kernel, unseen").isEqualTo(CODE + 0x101);
    processor.run(3);
    assertThat(m.cpu.rip).as("SYSRET is over").isEqualTo(HANDLER);
    assertThat(m.cpu.cpl).isZero();
    assertThat(m.stack(0, 8)).as("behind the SYSCALL").isEqualTo(CODE + 2);
    assertThat(m.cpu.dr[6] & Debug.DR6_BS).isEqualTo(Debug.DR6_BS);
  }

  @Test
  void shouldReturnToCompatibilityMode() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.star = 0x0033_0010_0000_0000L;
    m.cpu.regs[Cpu.RCX] = 0xFFFF_FFFF_0000_1000L;
    assertThat(m.outcome(m.run(SYSRET))).isEqualTo("OK");
    assertThat(m.cpu.code64()).isFalse();
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(0x33);
    assertThat(m.cpu.rip).isEqualTo(0x1000);
  }

  @ParameterizedTest
  @CsvSource({"3, 1000, true, '#GP(0)'", "0, 800000000000, true, '#GP(0)'", "0, 1000, false, '#UD(0)'"})
  void shouldCheckSysret(int cpl, String rcx, boolean enabled, String outcome) {
    SystemMachine m = SystemMachine.longMode(cpl);
    m.cpu.regs[Cpu.RCX] = Long.parseLong(rcx, 16);
    if (!enabled) {
      m.cpu.efer &= ~ControlRegister.EFER_SCE;
    }
    assertThat(m.outcome(m.run(m.wide(SYSRET)))).isEqualTo(outcome);
  }

  @Test
  void shouldRefuseSyscallOutside64BitMode() {
    SystemMachine m = SystemMachine.longMode(3);
    m.load(Segments.CS, SystemMachine.CODE3_COMPAT);
    assertThat(m.outcome(m.run(SYSCALL))).isEqualTo("#UD(0)");
  }

  @Test
  void shouldEnterAndExitIn32BitMode() {
    SystemMachine m = SystemMachine.protectedMode(3);
    assertThat(m.outcome(m.run(SYSENTER))).as("no selector").isEqualTo("#GP(0)");
    m.cpu.sysenterCs = 0x08;
    m.cpu.sysenterEip = HANDLER;
    m.cpu.sysenterEsp = 0x7000;
    m.cpu.setSystemFlags(Rflags.IF);
    assertThat(m.outcome(m.run(SYSENTER))).isEqualTo("OK");
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x7000);
    assertThat(m.cpu.selector[Segments.SS]).isEqualTo(0x10);
    assertThat(m.cpu.rflags() & Rflags.IF).isZero();
    m.cpu.regs[Cpu.RDX] = 0x1234;
    m.cpu.regs[Cpu.RCX] = 0x5678;
    assertThat(m.outcome(m.run(SYSEXIT))).isEqualTo("OK");
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(0x1B);
    assertThat(m.cpu.selector[Segments.SS]).isEqualTo(0x23);
    assertThat(m.cpu.rip).isEqualTo(0x1234);
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(0x5678);
    assertThat(m.outcome(m.run(SYSEXIT))).as("ring 3").isEqualTo("#GP(0)");
  }

  @Test
  void shouldExitTo64BitMode() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.sysenterCs = 0x08;
    m.cpu.regs[Cpu.RDX] = 1L << 47;
    assertThat(m.outcome(m.run(m.wide(SYSEXIT)))).isEqualTo("#GP(0)");
    m.cpu.regs[Cpu.RDX] = 0x1_0000_1000L;
    assertThat(m.outcome(m.run(m.wide(SYSEXIT)))).isEqualTo("OK");
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(0x2B);
    assertThat(m.cpu.code64()).isTrue();
    assertThat(m.cpu.rip).isEqualTo(0x1_0000_1000L);
  }
}
