package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PagingStructureCache;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.Translator;
import dev.gnomon.guest.mmu.WalkObserver;

/**
 * The chipset's address decoder in native mode, behind the processor's walk: addresses without memory go to the device
 * bus, and so do writes to read-only memory, which vanish there. A large page over such a place is cached in pieces of
 * 4 KiB, as the processor does where MTRRs differ within a page.
 *
 * <p>The walk itself reads host memory unseen by this decoder, so page tables in the video memory would be read from
 * the memory behind it; a processor's result for tables in device memory is undefined anyway.
 */
public final class NativeMemoryMap implements Translator {
  private static final int SHIFT_2M = 21;
  /** A page of 2-level paging. */
  private static final int SHIFT_4M = 22;

  private final Translator walker;
  private final MemorySlots slots;

  public NativeMemoryMap(Translator walker, MemorySlots slots) {
    this.walker = walker;
    this.slots = slots;
  }

  @Override
  public @Hpa long translate(@Gva long gva, int access, Translation out) {
    long hpa = walker.translate(gva, access, out);
    return hpa < 0 ? hpa : decode(hpa, access, out);
  }

  @Override
  public @Hpa long peek(@Gva long gva, int access, Translation out, WalkObserver steps) {
    long hpa = walker.peek(gva, access, out, steps);
    return hpa < 0 ? hpa : decode(hpa, access, out);
  }

  @SuppressWarnings("subtyping") // Natively a host-physical address is the guest-physical one that slots are found by.
  private @Hpa long decode(@Hpa long hpa, int access, Translation out) {
    int kind = slots.kind(hpa);
    if (out.pageShift != HostMemory.FRAME_SHIFT) {
      int shift = slots.mappingShift(hpa);
      if (shift == SHIFT_2M && slots.mappingShift(hpa ^ 1L << SHIFT_2M) >= SHIFT_2M) {
        shift = SHIFT_4M;
      }
      out.pageShift = Math.min(out.pageShift, shift);
    }
    if (kind == SlotMap.RAM) {
      return hpa;
    }
    out.rights &= ~Translation.STAGE_WRITABLE;
    if (kind == SlotMap.READ_ONLY && (access & Access.WRITE) == 0) {
      // Itself, but for firmware at 4 GiB, which memory that begins at 0 does not reach.
      out.hpa = slots.backing(hpa);
      return out.hpa;
    }
    out.hpa = DeviceAddress.of(hpa);
    return out.hpa;
  }

  @Override
  public int loadPdptes(long cr3, long[] into, Translation out) {
    return walker.loadPdptes(cr3, into, out);
  }

  @Override
  public void setStructureCache(PagingStructureCache cache) {
    walker.setStructureCache(cache);
  }

  @Override
  public void flushAddress(@Gva long gva, int pcid) {
    walker.flushAddress(gva, pcid);
  }

  @Override
  public void flushLinear(int pcid) {
    walker.flushLinear(pcid);
  }

  @Override
  public void flushAll() {
    walker.flushAll();
  }
}
