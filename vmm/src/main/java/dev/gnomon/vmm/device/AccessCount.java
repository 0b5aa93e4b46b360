package dev.gnomon.vmm.device;

/**
 * How often a device was reached through the bus. An access that the bus splits counts once for each piece.
 *
 * @param device the device's name, {@link #ABSENT} for addresses that nothing answers
 */
public record AccessCount(String device, long reads, long writes) {
  /** The name under which accesses to nothing are counted. */
  public static final String ABSENT = "absent";
}
