package dev.gnomon.guest.memory;

/**
 * The places where an address becomes another kind of address or a plain value. Each is an identity, a shift or a mask;
 * they exist so that the check of the kinds ({@link AnyAddress}) holds everywhere else.
 */
@SuppressWarnings("subtyping") // Converting between the kinds is this class' purpose.
public final class Addresses {
  private Addresses() {}

  /** The address as a plain value, for a register, a table entry, a packed word or a difference. */
  public static long bits(@AnyAddress long address) {
    return address;
  }

  /** Frame number (GFN, HFN) or linear page number: the address in units of 4 KiB. */
  public static long frame(@AnyAddress long address) {
    return address >>> HostMemory.FRAME_SHIFT;
  }

  /** Offset of the address in its page. @param size of the page in bytes, a power of two */
  public static long offset(@AnyAddress long address, long size) {
    return address & size - 1;
  }

  /** Guest-physical address of a linear one while paging is off. */
  public static @Gpa long unpaged(@Gva long gva) {
    return gva;
  }

  /** Linear address of a guest-physical one in an identity mapping, as boot code and paging that is off have it. */
  public static @Gva long identityMapped(@Gpa long gpa) {
    return gpa;
  }

  /**
   * Host-physical address where there is one stage of translation: no hypervisor maps the guest-physical address
   * further.
   */
  public static @Hpa long oneStage(@Gpa long gpa) {
    return gpa;
  }

  /** A host-physical address as CR3 and the like hold it for a walk of one stage: the root of shadow tables. */
  public static @Gpa long walkedInOneStage(@Hpa long hpa) {
    return hpa;
  }
}
