package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.mmu.PagingContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ControlRegistersTest {
  private static final int MOV_FROM = 0x120;
  private static final int MOV_TO = 0x122;
  private static final int MOV_FROM_DR = 0x121;
  private static final int MOV_TO_DR = 0x123;

  private static String write(SystemMachine m, int cr, long value) {
    m.cpu.regs[Cpu.RAX] = value;
    return m.outcome(m.run(m.register(MOV_TO, cr, Cpu.RAX)));
  }

  private static long read(SystemMachine m, int cr) {
    assertThat(m.outcome(m.run(m.register(MOV_FROM, cr, Cpu.RBX)))).isEqualTo("OK");
    return m.cpu.regs[Cpu.RBX];
  }

  /** Registers that do not exist, and privilege. */
  @ParameterizedTest
  @CsvSource({"1, 0, '#UD(0)'", "5, 0, '#UD(0)'", "7, 0, '#UD(0)'", "9, 0, '#UD(0)'", "15, 0, '#UD(0)'",
      "1, 3, '#UD(0)'", "0, 3, '#GP(0)'", "8, 3, '#GP(0)'"})
  void shouldCheckRegisterThenPrivilege(int cr, int cpl, String outcome) {
    SystemMachine m = SystemMachine.longMode(cpl);
    assertThat(write(m, cr, 0)).isEqualTo(outcome);
    assertThat(m.outcome(m.run(m.register(MOV_FROM, cr, Cpu.RBX)))).isEqualTo(outcome);
  }

  /** CR0 in 64-bit mode: value, outcome (SDM vol. 3A, "Control Registers"). */
  @ParameterizedTest
  @CsvSource({"80000031, OK", "80000011, OK", "80000010, '#GP(0)'", "a0000031, '#GP(0)'", "e0000031, OK",
      "c0000031, OK", "31, '#GP(0)'", "180000031, '#GP(0)'", "ffffffff9ffaffd1, '#GP(0)'", "8000ffd1, OK"})
  void shouldCheckCr0(String value, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    assertThat(write(m, 0, Long.parseUnsignedLong(value, 16))).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(m.cpu.cr0).isEqualTo(Long.parseLong(value, 16) & ControlRegister.CR0_DEFINED | ControlRegister.CR0_ET);
    }
  }

  @Test
  void shouldActivateLongModeWithPaging() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.efer = ControlRegister.EFER_LME;
    assertThat(write(m, 0, 0x8000_0011L)).as("without PAE").isEqualTo("#GP(0)");
    assertThat(write(m, 4, ControlRegister.CR4_PAE)).isEqualTo("OK");
    assertThat(write(m, 3, 0x5000)).isEqualTo("OK");
    m.cpu.rights[Segments.CS] |= Segments.L;
    assertThat(write(m, 0, 0x8000_0011L)).as("with CS.L").isEqualTo("#GP(0)");
    m.cpu.rights[Segments.CS] &= ~Segments.L;
    m.cpu.rights[Segments.TR] = 0x83;
    assertThat(write(m, 0, 0x8000_0011L)).as("with a 16-bit TSS").isEqualTo("#GP(0)");
    m.cpu.rights[Segments.TR] = 0x8B;
    assertThat(write(m, 0, 0x8000_0011L)).isEqualTo("OK");
    assertThat(m.cpu.longMode()).isTrue();
    assertThat(m.mmu.paging.mode).isEqualTo(PagingContext.LONG4);
    assertThat(m.mmu.paging.root).isEqualTo(0x5000);
    assertThat(write(m, 4, 0)).as("PAE off in long mode").isEqualTo("#GP(0)");
    assertThat(write(m, 0, 0x11)).as("paging off in compatibility mode").isEqualTo("OK");
    assertThat(m.cpu.longMode()).isFalse();
    assertThat(m.mmu.paging.mode).isEqualTo(PagingContext.NONE);
  }

  @Test
  void shouldFollowPagingModes() {
    SystemMachine m = SystemMachine.protectedMode(0);
    write(m, 3, 0x1234_5FFFL);
    assertThat(write(m, 0, 0x8000_0011L)).isEqualTo("OK");
    assertThat(m.mmu.paging.mode).isEqualTo(PagingContext.LEGACY);
    assertThat(m.mmu.paging.root).isEqualTo(0x1234_5000L);
    assertThat(m.flushes()).contains("all");
  }

  /** CR4 in 64-bit mode: old value, new value, CR3, outcome. */
  @ParameterizedTest
  @CsvSource({"20, 30, 0, OK", "20, 21, 0, '#GP(0)'", "20, 22, 0, '#GP(0)'", "20, 820, 0, '#GP(0)'",
      "20, 10020, 0, '#GP(0)'", "20, 40020, 0, '#GP(0)'", "20, 3006ac, 0, OK", "20, 3007fc, 0, OK", "20, 20020, 0, OK",
      "20, 20020, 1, '#GP(0)'", "20, 2020, 0, '#GP(0)'", "20, 100000020, 0, '#GP(0)'"})
  void shouldCheckCr4(String old, String value, String cr3, String outcome) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.cr4 = Long.parseLong(old, 16);
    m.cpu.cr3 = Long.parseLong(cr3, 16);
    assertThat(write(m, 4, Long.parseLong(value, 16))).isEqualTo(outcome);
    assertThat(m.cpu.cr4).isEqualTo(Long.parseLong(outcome.equals("OK") ? value : old, 16));
  }

  @Test
  void shouldRefusePcidOutsideLongMode() {
    assertThat(write(SystemMachine.protectedMode(0), 4, ControlRegister.CR4_PCIDE)).isEqualTo("#GP(0)");
  }

  @Test
  void shouldRefusePagingOffWithPcid() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.cr4 |= ControlRegister.CR4_PCIDE;
    m.load(Segments.CS, SystemMachine.CODE0_COMPAT);
    assertThat(write(m, 0, 0x11)).isEqualTo("#GP(0)");
  }

  /** What a MOV to CR4 flushes: old, new, expected (SDM vol. 3A, "Operations that Invalidate TLBs"). */
  @ParameterizedTest
  @CsvSource({"a0, 20, all", "20, a0, all", "20, 30, all", "20020, 20, all", "20, 20020, ''", "20, 100020, pcid",
      "100020, 20, ''", "20, 200020, ''", "20, 24, ''"})
  void shouldFlushByChangeOfCr4(String old, String value, String flush) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.cr4 = Long.parseLong(old, 16);
    m.cpu.syncPaging();
    m.flushes();
    assertThat(write(m, 4, Long.parseLong(value, 16))).isEqualTo("OK");
    assertThat(m.flushes()).isEqualTo(flush);
    assertThat(m.mmu.paging.smep).isEqualTo((m.cpu.cr4 & ControlRegister.CR4_SMEP) != 0);
    assertThat(m.mmu.paging.smap).isEqualTo((m.cpu.cr4 & ControlRegister.CR4_SMAP) != 0);
    assertThat(m.mmu.paging.pge).isEqualTo((m.cpu.cr4 & ControlRegister.CR4_PGE) != 0);
  }

  /** CR3 in 64-bit mode: PCIDE, value, outcome, flush, root, PCID. */
  @ParameterizedTest
  @CsvSource({"false, 123456fff, OK, pcid, 123456000, 0", "true, 123456fff, OK, pcid, 123456000, 4095",
      "true, 8000000000005001, OK, '', 5000, 1", "false, 8000000000005001, '#GP(0)', '', 0, 0",
      "true, 400000000000, '#GP(0)', '', 0, 0", "true, 4000000000000000, '#GP(0)', '', 0, 0"})
  void shouldLoadCr3(boolean pcide, String value, String outcome, String flush, String root, int pcid) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.cr4 |= pcide ? ControlRegister.CR4_PCIDE : 0;
    m.cpu.syncPaging();
    m.flushes();
    long written = Long.parseUnsignedLong(value, 16);
    assertThat(write(m, 3, written)).isEqualTo(outcome);
    assertThat(m.flushes()).isEqualTo(flush);
    assertThat(m.mmu.paging.root).isEqualTo(Long.parseLong(root, 16));
    assertThat(m.mmu.paging.pcid).isEqualTo(pcid);
    if (outcome.equals("OK")) {
      assertThat(read(m, 3)).as("bit 63 reads 0").isEqualTo(written & Long.MAX_VALUE);
    }
  }

  @Test
  void shouldNotTouchPagingThatHypervisorOwns() {
    SystemMachine m = SystemMachine.longMode(0);
    m.mmu.paging.root = 0x7000;
    m.mmu.pagingFollowsGuest = false;
    assertThat(write(m, 3, 0x5000)).isEqualTo("OK");
    assertThat(m.mmu.paging.root).isEqualTo(0x7000);
    assertThat(m.cpu.cr3).isEqualTo(0x5000);
  }

  @Test
  void shouldLimitCr8() {
    SystemMachine m = SystemMachine.longMode(0);
    assertThat(write(m, 8, 16)).isEqualTo("#GP(0)");
    assertThat(write(m, 8, 15)).isEqualTo("OK");
    assertThat(read(m, 8)).isEqualTo(15);
  }

  @ParameterizedTest
  @CsvSource({"0, f, 1f", "0, e, 1e", "1, 0, 11", "1, e, 1f", "0, fff0, 10"})
  void shouldChangeOnlyLowBitsByLmswAndNeverClearPe(String pe, String source, String result) {
    SystemMachine m = SystemMachine.real();
    m.cpu.cr0 = ControlRegister.CR0_ET | Long.parseLong(pe);
    m.cpu.regs[Cpu.RAX] = Long.parseLong(source, 16);
    assertThat(m.outcome(m.run(m.register(0x101, 6, Cpu.RAX)))).isEqualTo("OK");
    assertThat(Long.toHexString(m.cpu.cr0)).isEqualTo(result);
  }

  @Test
  void shouldClearTaskSwitched() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.cr0 |= ControlRegister.CR0_TS;
    assertThat(m.outcome(m.run(0x106))).isEqualTo("OK");
    assertThat(m.cpu.cr0 & ControlRegister.CR0_TS).isZero();
    assertThat(m.outcome(SystemMachine.protectedMode(3).run(0x106) == 0 ? 0 : -1)).isNotEqualTo("OK");
  }

  /** Debug registers: number, DE, CPL, outcome. */
  @ParameterizedTest
  @CsvSource({"0, false, 0, OK", "4, false, 0, OK", "4, true, 0, '#UD(0)'", "5, true, 3, '#UD(0)'",
      "7, false, 3, '#GP(0)'", "8, false, 0, '#UD(0)'"})
  void shouldCheckDebugRegisterAccess(int number, boolean de, int cpl, String outcome) {
    SystemMachine m = SystemMachine.longMode(cpl);
    m.cpu.cr4 |= de ? ControlRegister.CR4_DE : 0;
    assertThat(m.outcome(m.run(m.register(MOV_FROM_DR, number, Cpu.RAX)))).isEqualTo(outcome);
  }

  @Test
  void shouldFixReservedBitsOfDr6AndDr7() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.regs[Cpu.RAX] = 0xFFFF_FFFFL;
    m.run(m.register(MOV_TO_DR, 7, Cpu.RAX));
    m.cpu.dr[7] &= ~(long) Debug.DR7_GD;
    m.run(m.register(MOV_FROM_DR, 7, Cpu.RBX));
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0xFFFF_07FFL);
    m.run(m.register(MOV_TO_DR, 6, Cpu.RCX));
    m.run(m.register(MOV_FROM_DR, 4, Cpu.RBX));
    assertThat(m.cpu.regs[Cpu.RBX]).isEqualTo(0xFFFF_0FF0L);
    m.cpu.regs[Cpu.RAX] = 1L << 32;
    assertThat(m.outcome(m.run(m.register(MOV_TO_DR, 6, Cpu.RAX)))).isEqualTo("#GP(0)");
  }
}
