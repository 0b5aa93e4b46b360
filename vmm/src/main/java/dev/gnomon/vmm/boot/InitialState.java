package dev.gnomon.vmm.boot;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import java.util.Arrays;
import java.util.List;

/**
 * The processor at an image's first instruction. General registers that are not named are zero; interrupts are off;
 * everything else is as after a reset (SDM vol. 3A, "IA-32 Processor States Following Power-up, Reset, or INIT").
 *
 * @param rip offset in CS
 * @param rax multiboot's magic
 * @param rbx multiboot's information
 * @param rdx a boot sector's drive, or after a reset the processor's signature
 * @param rsi Linux' boot parameters
 * @param segments in the order of {@link Segments}
 * @param cr3 0 if paging is off
 * @param gdtrBase linear address of the descriptor table, {@code gdtrLimit} its last byte
 */
public record InitialState(long rip, long rax, long rbx, long rdx, long rsi, List<SegmentState> segments, long cr0,
    @Gpa long cr3, long cr4, long efer, @Gva long gdtrBase, int gdtrLimit, int idtrLimit) {
  private static final long DR6_RESET = 0xFFFF_0FF0L;
  private static final long DR7_RESET = 0x400;
  /** WB, WT, UC−, UC twice. */
  private static final long PAT_RESET = 0x0007_0406_0007_0406L;
  /** Processors of the P6 family and later power up with caches on once firmware has run, so CD and NW are clear. */
  static final long CR0_BASE = ControlRegister.CR0_ET | ControlRegister.CR0_NE;

  public InitialState {
    segments = List.copyOf(segments);
    if (segments.size() != Segments.COUNT) {
      throw new IllegalArgumentException(segments.size() + " segments: expected " + Segments.COUNT);
    }
  }

  /**
   * After a reset: real mode at F000:FFF0 with a base that reaches the end of the first 4 GiB, the processor's
   * signature in EDX.
   */
  public static InitialState afterReset(Cpu cpu) {
    return BootState.reset().withRdx(cpu.cpuid.query(1, 0)[Cpuid.EAX] & 0xFFFF_FFFFL);
  }

  /**
   * Does what an INIT does: as a reset, but CR0.CD and CR0.NW, the x87 and SSE state and model-specific registers but
   * EFER stay.
   */
  public static void initialize(Cpu cpu) {
    long caching = cpu.cr0 & (ControlRegister.CR0_CD | ControlRegister.CR0_NW);
    afterReset(cpu).applyRegisters(cpu);
    cpu.cr0 = cpu.cr0 & ~(ControlRegister.CR0_CD | ControlRegister.CR0_NW) | caching;
  }

  /**
   * Does what a start-up message does to a processor that waits for it: real mode at the begin of a page.
   *
   * @param vector number of the page, 0 to 255
   */
  public static void startUp(Cpu cpu, int vector) {
    cpu.waitsForStartup = false;
    cpu.selector[Segments.CS] = vector << 8;
    cpu.base[Segments.CS] = (long) vector << 12;
    cpu.rip = 0;
    cpu.updateMode();
  }

  InitialState withRdx(long value) {
    return new InitialState(rip, rax, rbx, value, rsi, segments, cr0, cr3, cr4, efer, gdtrBase, gdtrLimit, idtrLimit);
  }

  /** Puts the processor into this state. Time and the retired-instruction count go on. */
  public void applyTo(Cpu cpu) {
    resetMsrs(cpu);
    applyRegisters(cpu);
  }

  private void applyRegisters(Cpu cpu) {
    Arrays.fill(cpu.regs, 0);
    cpu.regs[Cpu.RAX] = rax;
    cpu.regs[Cpu.RBX] = rbx;
    cpu.regs[Cpu.RDX] = rdx;
    cpu.regs[Cpu.RSI] = rsi;
    cpu.rip = rip;
    for (int i = 0; i < Segments.COUNT; i++) {
      SegmentState segment = segments.get(i);
      cpu.selector[i] = segment.selector();
      cpu.base[i] = Addresses.bits(segment.base());
      cpu.limit[i] = segment.limit();
      cpu.rights[i] = segment.rights();
    }
    cpu.gdtrBase = gdtrBase;
    cpu.gdtrLimit = gdtrLimit;
    cpu.idtrBase = 0;
    cpu.idtrLimit = idtrLimit;
    cpu.cr0 = cr0;
    cpu.cr2 = 0;
    cpu.cr3 = Addresses.bits(cr3);
    cpu.cr4 = cr4;
    cpu.cr8 = 0;
    cpu.efer = efer;
    Arrays.fill(cpu.dr, 0);
    cpu.dr[6] = DR6_RESET;
    cpu.dr[7] = DR7_RESET;
    cpu.blockedBySti = false;
    cpu.blockedByMovSs = false;
    cpu.blockedByNmi = false;
    cpu.nmiPending = false;
    cpu.halted = false;
    cpu.waitsForStartup = false;
    cpu.repeating = false;
    cpu.eventPending = false;
    cpu.pendingDebug = 0;
    cpu.showControlBits();
    cpu.setRflags(Rflags.FIXED);
    cpu.setCpl(0);
    cpu.syncPaging();
    if (cpu.mmu.translator() != null) {
      cpu.mmu.flushAll();
    }
  }

  private static void resetMsrs(Cpu cpu) {
    cpu.star = 0;
    cpu.lstar = 0;
    cpu.cstar = 0;
    cpu.fmask = 0;
    cpu.kernelGsBase = 0;
    cpu.sysenterCs = 0;
    cpu.sysenterEsp = 0;
    cpu.sysenterEip = 0;
    cpu.tscAux = 0;
    cpu.mmu.setPkru(0);
    cpu.mmu.setPkrs(0);
    cpu.pat = PAT_RESET;
  }
}
