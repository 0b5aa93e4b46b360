package dev.gnomon.bench;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.mmu.PageWalker;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.WalkObserver;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.memory.DeviceAddress;

/**
 * The guest's own tables as software sees them: by the guest's control registers and the memory slots. It looks only.
 */
final class GuestTables implements SecondStage {
  private static final int WRITE_BACK = 6;
  /** Slots do not splinter pages. */
  private static final int LARGEST_SHIFT = 30;

  private final Vm vm;
  private final PagingContext paging = new PagingContext();

  GuestTables(Vm vm, Cpu cpu) {
    this.vm = vm;
    boolean pae = (cpu.cr4 & ControlRegister.CR4_PAE) != 0;
    if ((cpu.cr0 & ControlRegister.CR0_PG) == 0) {
      paging.mode = PagingContext.NONE;
    } else if (cpu.longMode()) {
      paging.mode = PagingContext.LONG4;
      paging.root = cpu.cr3 & ControlRegister.CR3_ROOT_LONG;
    } else if (pae) {
      paging.mode = PagingContext.PAE;
      paging.root = cpu.cr3 & ControlRegister.CR3_ROOT_PAE;
      for (int i = 0; i < paging.pdpte.length; i++) {
        paging.pdpte[i] = vm.guestMemory().read(paging.root + 8L * i, 8);
      }
    } else {
      paging.mode = PagingContext.LEGACY;
      paging.root = cpu.cr3 & ControlRegister.CR3_ROOT_LEGACY;
    }
    paging.wp = (cpu.cr0 & ControlRegister.CR0_WP) != 0;
    paging.nxe = (cpu.efer & ControlRegister.EFER_NXE) != 0;
    paging.smep = (cpu.cr4 & ControlRegister.CR4_SMEP) != 0;
    paging.smap = (cpu.cr4 & ControlRegister.CR4_SMAP) != 0;
    paging.pse = (cpu.cr4 & ControlRegister.CR4_PSE) != 0;
    paging.pge = (cpu.cr4 & ControlRegister.CR4_PGE) != 0;
  }

  PagingContext paging() {
    return paging;
  }

  /** Walks as the hypervisor would. @return host-physical address, or a {@link Status} */
  @Hpa long peek(@Gva long gva, int access, Translation out, WalkObserver steps) {
    return new PageWalker(vm.memory(), paging, this).peek(gva, access, out, steps);
  }

  @Override
  public @Hpa long translate(@Gpa long gpa, @Gva long gva, int access, Translation out) {
    return peek(gpa, gva, access, out, null);
  }

  @Override
  public @Hpa long peek(@Gpa long gpa, @Gva long gva, int access, Translation out, WalkObserver steps) {
    out.pageShift = LARGEST_SHIFT;
    out.memoryType = WRITE_BACK;
    out.rights = Translation.READABLE | Translation.EXECUTABLE | Translation.STAGE_WRITABLE | Translation.DIRTY;
    if (vm.slots().kind(gpa) == SlotMap.NONE) {
      return DeviceAddress.of(gpa);
    }
    long hpa = vm.slots().backing(gpa);
    if (hpa < 0) {
      out.exitGpa = gpa;
      return Status.EXIT;
    }
    return hpa;
  }
}
