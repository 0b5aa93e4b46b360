package dev.gnomon.vmm.boot;

/** An image of a recognised format. */
public interface GuestImage {
  /** The format's name in one or two words. */
  String format();

  /** Memory in which the guest is comfortable, for when the user names none: bytes, 0 if any will do. */
  default long comfortableMemory() {
    return 0;
  }

  /** Whether its protocol starts it where firmware has been, so that it may expect the {@link BiosDataArea}. */
  default boolean followsFirmware() {
    return true;
  }

  /**
   * Puts the image, its modules and what its protocol wants into guest memory.
   *
   * @return the processor's state at the first instruction
   * @throws ImageException if the image is malformed or does not fit; memory may then be partly written
   */
  InitialState load(BootMemory memory);
}
