package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;

/**
 * Guest-physical to host-physical translation under a guest walk: EPT for the hardware, memory slots for the
 * hypervisor's own walks. Natively there is none.
 */
public interface SecondStage {
  /** The access is to a guest paging-structure entry on behalf of a linear address. */
  int TABLE = 1 << 12;
  /** With {@link #TABLE}: the entry's A or D flag is about to be written (a read and write). */
  int TABLE_UPDATE = 1 << 13;
  /** No linear address stands behind the access (PDPTE load by MOV to CR). */
  int NO_LINEAR = 1 << 14;

  /**
   * Translates one guest-physical address.
   *
   * @param gpa guest-physical address of the byte or entry
   * @param gva linear address behind the access, for the exit qualification
   * @param access WRITE and FETCH of {@link Access} and the bits above
   * @param out on entry, for the final address (neither TABLE nor NO_LINEAR), {@code rights} holds USER, WRITABLE and
   *     EXECUTABLE as the guest's tables combine them, for the exit qualification; on success: {@code pageShift},
   *     {@code rights} (READABLE, STAGE_WRITABLE, EXECUTABLE, DIRTY), {@code memoryType} of the mapping; its {@code
   *     references} grows by the entries read; on failure the exit group
   * @return {@code hpa} or {@link Status#EXIT}
   */
  @Hpa long translate(@Gpa long gpa, @Gva long gva, int access, Translation out);

  /**
   * The same from what is remembered for host speed, with the same results and counts; if nothing is, a negative value
   * and no effect.
   */
  default @Hpa long remembered(@Gpa long gpa, int access, Translation out) {
    return -1;
  }

  /** Side-effect-free twin. */
  @Hpa long peek(@Gpa long gpa, @Gva long gva, int access, Translation out, WalkObserver steps);

  /** Drops all that is cached of guest-physical mappings. */
  default void flush() {}
}
