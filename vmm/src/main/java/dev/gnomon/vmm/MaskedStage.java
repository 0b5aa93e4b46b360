package dev.gnomon.vmm;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.WalkObserver;
import dev.gnomon.vmm.device.AddressLine20;

/**
 * Native mode's address bus while {@link AddressLine20} is closed: physical addresses without bit 20, those of page
 * tables too.
 */
final class MaskedStage implements SecondStage {
  private static final int WRITE_BACK = 6;
  private static final int RIGHTS = Translation.READABLE | Translation.EXECUTABLE | Translation.STAGE_WRITABLE
      | Translation.DIRTY;

  @Override
  public @Hpa long translate(@Gpa long gpa, @Gva long gva, int access, Translation out) {
    return masked(gpa, out);
  }

  @Override
  public @Hpa long peek(@Gpa long gpa, @Gva long gva, int access, Translation out, WalkObserver steps) {
    return masked(gpa, out);
  }

  @SuppressWarnings("subtyping") // Natively a guest-physical address is the host-physical one.
  private static @Hpa long masked(@Gpa long gpa, Translation out) {
    out.pageShift = HostMemory.FRAME_SHIFT;
    out.memoryType = WRITE_BACK;
    out.rights = RIGHTS;
    return gpa & ~AddressLine20.BIT;
  }
}
