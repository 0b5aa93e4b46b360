package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.shadow.GuestPagingState;
import dev.gnomon.shadow.HardwareFlush;
import dev.gnomon.shadow.ShadowMmu;
import dev.gnomon.vmm.device.AddressLine20;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;

/**
 * Ties a vCPU's registers to its shadow MMU: tells it what the guest believes of its paging, and flushes what it says.
 */
final class ShadowPaging {
  static final int PDPTES = 4;
  private static final long PRESENT = 1;
  /**
   * Bits 2:1, 8:5 and those above the physical addresses must be 0 in a present PDPTE (SDM vol. 3A, "PDPTE Registers").
   */
  private static final long PDPTE_RESERVED = 0x1E6 | -1L << HostMemory.MAXPHYADDR;

  final ShadowMmu mmu;
  private final Cpu cpu;
  private final GuestPhysicalMemory memory;
  private final AddressLine20 line;
  private final GuestPagingState state = new GuestPagingState();
  private final long[] loaded = new long[PDPTES];

  ShadowPaging(ShadowMmu mmu, Cpu cpu, GuestPhysicalMemory memory, AddressLine20 line) {
    this.line = line;
    this.mmu = mmu;
    this.cpu = cpu;
    this.memory = memory;
    cpu.mmu.pagingFollowsGuest = false;
    // The shadow tables may have large pages whatever the guest may have.
    cpu.mmu.paging.pages1g = true;
    state.pages1g = cpu.cpuid.offers(Feature.PDPE1GB);
  }

  /** The guest's PDPTE registers. */
  long[] pdptes() {
    return state.pdpte;
  }

  boolean paePaging() {
    return (cpu.cr0 & ControlRegister.CR0_PG) != 0 && (cpu.cr4 & ControlRegister.CR4_PAE) != 0 && !cpu.longMode();
  }

  /**
   * Loads the PDPTE registers from the table that CR3 names.
   *
   * @return false, with nothing loaded, if one has a reserved bit: #GP(0)
   */
  boolean loadPdptes() {
    @Gpa long table = cpu.cr3 & ControlRegister.CR3_ROOT_PAE & line.mask();
    for (int i = 0; i < PDPTES; i++) {
      loaded[i] = memory.read(table + 8L * i, 8);
      if ((loaded[i] & PRESENT) != 0 && (loaded[i] & PDPTE_RESERVED) != 0) {
        return false;
      }
    }
    System.arraycopy(loaded, 0, state.pdpte, 0, PDPTES);
    return true;
  }

  /**
   * Tells the shadow MMU the guest's registers after any of CR0, CR3, CR4, EFER changed.
   *
   * @param flush whether the change flushes the current PCID's translations
   */
  void reload(boolean flush) {
    state.cr0 = cpu.cr0;
    state.cr3 = cpu.cr3;
    state.cr4 = cpu.cr4;
    state.efer = cpu.efer;
    HardwareFlush needed = mmu.loadRoot(state, flush);
    switch (needed) {
      case ALL -> cpu.mmu.flushAll();
      case CURRENT_PCID -> cpu.mmu.flushPcid(cpu.mmu.paging.pcid);
      // The soft TLBs know no PCID, so another root empties them whatever the modelled TLB keeps.
      case NONE -> cpu.mmu.softFlush();
    }
  }
}
