package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;

/**
 * Level-1 EPT entry by which the hypervisor marks a guest-physical page that has no slot, so that an access is an EPT
 * misconfiguration, known at once for device access, and not a violation (the Linux kernel's MMIO SPTE,
 * arch/x86/kvm/mmu/spte.c). Rights of write and execute without read misconfigure on every processor; no other entry of
 * the hypervisor has them.
 * <pre>
 *  63   62:52             51:46   45:12   11   10:3             2 1 0
 *  0    generation 18:8   0       GFN     0    generation 7:0   1 1 0
 * </pre>
 * The generation is that of the memory slots, cut to 19 bits.
 */
public final class MmioMarker {
  public static final int GENERATION_MASK = (1 << 19) - 1;
  private static final long RIGHTS = EptEntry.WRITE | EptEntry.EXECUTE;
  private static final int LOW_SHIFT = 3;
  private static final int LOW_MASK = (1 << 8) - 1;
  private static final int HIGH_SHIFT = 52;
  private static final int HIGH_MASK = (1 << 11) - 1;

  private MmioMarker() {}

  public static long of(@Gpa long gpa, int generation) {
    return Addresses.bits(gpa) & EptEntry.ADDRESS_MASK | (long) (generation >>> 8 & HIGH_MASK) << HIGH_SHIFT
        | (long) (generation & LOW_MASK) << LOW_SHIFT | RIGHTS;
  }

  public static boolean isMarker(long entry) {
    return (entry & EptEntry.RIGHTS) == RIGHTS;
  }

  public static int generation(long entry) {
    return (int) (entry >>> HIGH_SHIFT & HIGH_MASK) << 8 | (int) (entry >>> LOW_SHIFT) & LOW_MASK;
  }

  /** Guest-physical address of the page. */
  public static @Gpa long gpa(long entry) {
    return entry & (1L << HostMemory.MAXPHYADDR) - HostMemory.FRAME_SIZE;
  }
}
