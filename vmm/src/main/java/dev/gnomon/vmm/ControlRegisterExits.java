package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.HostMemory;

/**
 * What an intercepted write of a control register or of EFER has for consequence beyond the processor's own: the read
 * shadows and, under shadow paging, the shadow MMU. The processor itself executes the write with intercepts off
 * ({@link Emulator}); it cannot load a shadowed guest's PDPTEs, so a write that must load them is taken back if they
 * are bad.
 */
final class ControlRegisterExits {
  /** Changes that reload the PDPTE registers under PAE paging. */
  private static final long CR0_PDPTE = ControlRegister.CR0_PG | ControlRegister.CR0_CD | ControlRegister.CR0_NW;
  private static final long CR4_PDPTE = ControlRegister.CR4_PAE | ControlRegister.CR4_PGE | ControlRegister.CR4_PSE
      | ControlRegister.CR4_SMEP;
  private static final long CR0_ROLE = ControlRegister.CR0_PG | ControlRegister.CR0_WP;
  private static final long CR4_ROLE = ControlRegister.CR4_PAE | ControlRegister.CR4_PSE | ControlRegister.CR4_SMEP
      | ControlRegister.CR4_SMAP | ControlRegister.CR4_PCIDE
      | ControlRegister.CR4_PKE | ControlRegister.CR4_PKS;
  private static final long CR4_FLUSH = ControlRegister.CR4_PAE | ControlRegister.CR4_PSE | ControlRegister.CR4_PCIDE
      | ControlRegister.CR4_PKE | ControlRegister.CR4_PKS;
  private static final long CR3_RESERVED = -1L << HostMemory.MAXPHYADDR;

  private final Cpu cpu;
  private final VmxControls controls;
  /** Null under EPT. */
  private final ShadowPaging shadow;
  // The registers before the instruction.
  private long cr0;
  private long cr3;
  private long cr4;
  private long efer;
  private long rip;
  private long retired;

  ControlRegisterExits(Cpu cpu, VmxControls controls, ShadowPaging shadow) {
    this.cpu = cpu;
    this.controls = controls;
    this.shadow = shadow;
  }

  /** Remembers the registers before the instruction is emulated. */
  void before() {
    cr0 = cpu.cr0;
    cr3 = cpu.cr3;
    cr4 = cpu.cr4;
    efer = cpu.efer;
    rip = cpu.rip;
    retired = cpu.retired;
  }

  /**
   * Draws the consequences after the instruction was emulated.
   *
   * @param cr3Written CR3 was loaded, perhaps with the value that it had
   * @return false if the write was taken back and #GP(0) is due
   */
  boolean after(boolean cr3Written) {
    if (shadow != null && !followShadow(cr3Written || cpu.cr3 != cr3)) {
      return false;
    }
    controls.refreshShadows();
    return true;
  }

  private boolean followShadow(boolean cr3Written) {
    long changed0 = cpu.cr0 ^ cr0;
    long changed4 = cpu.cr4 ^ cr4;
    boolean reloadPdptes = cr3Written || (changed0 & CR0_PDPTE) != 0 || (changed4 & CR4_PDPTE) != 0;
    if (reloadPdptes && shadow.paePaging() && !shadow.loadPdptes()) {
      takeBack();
      return false;
    }
    boolean flush = cr3Written || (changed0 & ControlRegister.CR0_PG) != 0 || (changed4 & CR4_FLUSH) != 0
        || (changed4 & cpu.cr4 & ControlRegister.CR4_SMEP) != 0;
    boolean role = (changed0 & CR0_ROLE) != 0 || (changed4 & CR4_ROLE) != 0 || cpu.efer != efer;
    if (flush || role || reloadPdptes && shadow.paePaging()) {
      shadow.reload(flush);
    }
    if ((changed4 & ControlRegister.CR4_PGE) != 0) {
      shadow.mmu.flushGuest();
      cpu.mmu.flushAll();
    }
    return true;
  }

  private void takeBack() {
    cpu.cr0 = cr0;
    cpu.cr3 = cr3;
    cpu.cr4 = cr4;
    cpu.showControlBits();
    cpu.efer = efer;
    cpu.rip = rip;
    cpu.retired = retired;
    cpu.updateMode();
  }

  /**
   * MOV to CR3 under shadow paging, the frequent one, without the emulator. The instruction is not skipped.
   *
   * @return false if #GP(0) is due and nothing changed
   */
  boolean loadCr3(long value) {
    boolean pcide = (cpu.cr4 & ControlRegister.CR4_PCIDE) != 0;
    boolean keep = pcide && (value & ControlRegister.CR3_NO_FLUSH) != 0;
    long next = pcide ? value & ~ControlRegister.CR3_NO_FLUSH : value;
    if (cpu.longMode() && (next & CR3_RESERVED) != 0) {
      return false;
    }
    long old = cpu.cr3;
    cpu.cr3 = next;
    if (shadow.paePaging() && !shadow.loadPdptes()) {
      cpu.cr3 = old;
      return false;
    }
    if ((cpu.cr0 & ControlRegister.CR0_PG) != 0) {
      shadow.reload(!keep);
    }
    return true;
  }
}
