package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.Translator;
import dev.gnomon.guest.mmu.WalkObserver;
import java.util.function.BiFunction;

/**
 * The second memory port of instruction emulation: walks the guest's own tables in software, by the control registers
 * that the guest sees and the memory slots, whatever the processor's tables are. It sets the guest's A and D flags and
 * caches nothing.
 */
final class EmulationPort implements Translator {
  final SlotStage stage;
  private final Cpu cpu;
  private final PagingContext paging = new PagingContext();
  private final long[] pdptes;
  private final Translator walker;

  /**
   * @param pdptes the guest's PDPTE registers
   * @param walkers makes a page walker of control registers and second stage
   */
  EmulationPort(Cpu cpu, SlotStage stage, long[] pdptes, BiFunction<PagingContext, SlotStage, Translator> walkers) {
    this.cpu = cpu;
    this.stage = stage;
    this.pdptes = pdptes;
    this.walker = walkers.apply(paging, stage);
  }

  /** Brings the port in step with the guest's control registers. */
  void prepare() {
    stage.forgetWrites();
    boolean pae = (cpu.cr4 & ControlRegister.CR4_PAE) != 0;
    if ((cpu.cr0 & ControlRegister.CR0_PG) == 0) {
      paging.mode = PagingContext.NONE;
    } else if (cpu.longMode()) {
      paging.mode = PagingContext.longMode(cpu.cr4);
      paging.root = cpu.cr3 & ControlRegister.CR3_ROOT_LONG;
    } else {
      paging.mode = pae ? PagingContext.PAE : PagingContext.LEGACY;
      paging.root = cpu.cr3 & (pae ? ControlRegister.CR3_ROOT_PAE : ControlRegister.CR3_ROOT_LEGACY);
      System.arraycopy(pdptes, 0, paging.pdpte, 0, pdptes.length);
    }
    paging.wp = (cpu.cr0 & ControlRegister.CR0_WP) != 0;
    paging.nxe = (cpu.efer & ControlRegister.EFER_NXE) != 0;
    paging.smep = (cpu.cr4 & ControlRegister.CR4_SMEP) != 0;
    paging.smap = (cpu.cr4 & ControlRegister.CR4_SMAP) != 0;
    paging.pke = (cpu.cr4 & ControlRegister.CR4_PKE) != 0;
    paging.pks = (cpu.cr4 & ControlRegister.CR4_PKS) != 0;
    paging.pkru = cpu.mmu.paging.pkru;
    paging.pkrs = cpu.mmu.paging.pkrs;
    paging.pages1g = cpu.cpuid.offers(Feature.PDPE1GB);
    paging.pse = (cpu.cr4 & ControlRegister.CR4_PSE) != 0;
    paging.pge = (cpu.cr4 & ControlRegister.CR4_PGE) != 0;
  }

  @Override
  public @Hpa long translate(@Gva long gva, int access, Translation out) {
    return walker.translate(gva, access, out);
  }

  @Override
  public @Hpa long peek(@Gva long gva, int access, Translation out, WalkObserver steps) {
    return walker.peek(gva, access, out, steps);
  }

  @Override
  public int loadPdptes(long cr3, long[] into, Translation out) {
    return walker.loadPdptes(cr3, into, out);
  }

  @Override
  public void flushAddress(@Gva long gva, int pcid) {}

  @Override
  public void flushLinear(int pcid) {}

  @Override
  public void flushAll() {}
}
