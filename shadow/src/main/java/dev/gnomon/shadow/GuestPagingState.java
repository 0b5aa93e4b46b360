package dev.gnomon.shadow;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.PagingContext;
import java.util.Arrays;

/**
 * What the guest believes of its paging: the values that its MOVs to CR0, CR3, CR4 and WRMSR to EFER left, and the
 * PDPTEs that the last load took from memory. The vCPU fills it; the processor itself runs with other values.
 */
public final class GuestPagingState {
  public long cr0;
  public long cr3;
  public long cr4;
  public long efer;
  /** PKRU and IA32_PKRS, which the guest writes without exits; as of the last fault. */
  int pkru;
  int pkrs;
  /** The four PDPTE registers, PAE paging only; already checked for reserved bits by the load. */
  public final long[] pdpte = new long[4];

  /** The guest has 1-GiB pages; without them PS in a PDPTE is reserved. */
  public boolean pages1g = true;

  public void copyFrom(GuestPagingState other) {
    cr0 = other.cr0;
    cr3 = other.cr3;
    cr4 = other.cr4;
    efer = other.efer;
    pages1g = other.pages1g;
    System.arraycopy(other.pdpte, 0, pdpte, 0, pdpte.length);
  }

  public boolean paging() {
    return (cr0 & ControlRegister.CR0_PG) != 0;
  }

  public boolean longMode() {
    return paging() && (efer & ControlRegister.EFER_LMA) != 0;
  }

  public boolean pae() {
    return paging() && !longMode() && (cr4 & ControlRegister.CR4_PAE) != 0;
  }

  /** 2-level paging with 4-byte entries. */
  public boolean legacy() {
    return paging() && (cr4 & ControlRegister.CR4_PAE) == 0;
  }

  /** EFER.NXE where the paging mode has an XD bit. */
  public boolean nxe() {
    return (efer & ControlRegister.EFER_NXE) != 0 && paging() && !legacy();
  }

  public boolean wp() {
    return (cr0 & ControlRegister.CR0_WP) != 0;
  }

  public boolean smep() {
    return (cr4 & ControlRegister.CR4_SMEP) != 0;
  }

  public boolean smap() {
    return (cr4 & ControlRegister.CR4_SMAP) != 0;
  }

  /** Levels of the guest's tables in memory. */
  int levels() {
    return longMode() ? (cr4 & ControlRegister.CR4_LA57) != 0 ? 5 : 4 : 2;
  }

  /** Protection keys limit access to user or supervisor pages. */
  public boolean keys() {
    return longMode() && (cr4 & (ControlRegister.CR4_PKE | ControlRegister.CR4_PKS)) != 0;
  }

  public boolean pse() {
    return (cr4 & ControlRegister.CR4_PSE) != 0;
  }

  /** Current PCID, 0 unless CR4.PCIDE in long mode. */
  public int pcid() {
    return pcide() ? (int) (cr3 & ControlRegister.CR3_PCID) : 0;
  }

  public boolean pcide() {
    return (cr4 & ControlRegister.CR4_PCIDE) != 0 && longMode();
  }

  /** Guest-physical address of the top table in memory; of the PDPT under PAE. */
  public @Gpa long rootTable() {
    if (longMode()) {
      return cr3 & (1L << HostMemory.MAXPHYADDR) - HostMemory.FRAME_SIZE;
    }
    return pae() ? cr3 & 0xFFFF_FFE0L : cr3 & 0xFFFF_F000L;
  }

  /** Sets what {@link dev.gnomon.guest.mmu.Permissions} asks of. */
  void fill(PagingContext guest) {
    guest.mode = longMode() ? PagingContext.longMode(cr4) : pae() ? PagingContext.PAE : legacy() ? PagingContext.LEGACY
        : PagingContext.NONE;
    guest.wp = wp();
    guest.pke = (cr4 & ControlRegister.CR4_PKE) != 0;
    guest.pks = (cr4 & ControlRegister.CR4_PKS) != 0;
    guest.nxe = nxe();
    guest.smep = smep();
    guest.smap = smap();
  }

  boolean samePdptes(long[] other) {
    return Arrays.equals(pdpte, other);
  }
}
