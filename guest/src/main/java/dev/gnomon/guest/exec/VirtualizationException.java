package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Translation;

/**
 * Virtualization exceptions: EPT violations that the guest is told of by vector 20 instead of an exit (SDM vol. 3C,
 * "Virtualization Exceptions"). The processor leaves the particulars in a page that the hypervisor gives it:
 * <pre>
 *  32           24            16           8                    4               0
 *  EPTP index   GPA           linear       exit qualification   FFFFFFFFh       48, the exit
 *  (16 bits)                  address                           until cleared   reason
 * </pre>
 */
final class VirtualizationException {
  static final int REASON = 0;
  static final int BUSY = 4;
  static final int QUALIFICATION = 8;
  static final int GUEST_LINEAR = 16;
  static final int GUEST_PHYSICAL = 24;
  static final int EPTP_INDEX = 32;
  private static final int BUSY_VALUE = -1;

  private VirtualizationException() {}

  /**
   * Whether the EPT violation just found becomes an exception: not in real mode, not inside event delivery, not before
   * the last one is cleared.
   */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  static boolean isDue(Cpu cpu) {
    @Hpa long page = cpu.intercepts.exceptionInformation;
    return cpu.mmu.walk.convertible && cpu.intercepts.enabled && page >= 0 && cpu.protectedMode() && !cpu.eventPending
        && cpu.memory.read32(page + BUSY) == 0;
  }

  /** @return {@link dev.gnomon.guest.mmu.Status#FAULT} */
  static int raise(Cpu cpu) {
    Translation walk = cpu.mmu.walk;
    @Hpa long page = cpu.intercepts.exceptionInformation;
    cpu.memory.write(page + REASON, 4, walk.exitReason);
    cpu.memory.write(page + BUSY, 4, BUSY_VALUE);
    cpu.memory.write64(page + QUALIFICATION, walk.exitQualification);
    cpu.memory.write64(page + GUEST_LINEAR, Addresses.bits(walk.gva));
    cpu.memory.write64(page + GUEST_PHYSICAL, Addresses.bits(walk.exitGpa));
    cpu.memory.write(page + EPTP_INDEX, 2, cpu.intercepts.eptpIndex);
    return cpu.fault(Vector.VE);
  }
}
