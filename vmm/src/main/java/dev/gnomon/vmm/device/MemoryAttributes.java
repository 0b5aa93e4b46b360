package dev.gnomon.vmm.device;

/** Takes what a host bridge's programmable attribute map (PAM) says of the memory from C0000h to FFFFFh. */
@FunctionalInterface
public interface MemoryAttributes {
  /** Twelve segments of 16 KiB from C0000h, and one of 64 KiB at F0000h. */
  int SEGMENTS = 13;
  /** The segment at F0000h. */
  int LAST = SEGMENTS - 1;
  /** Nothing follows the map. */
  MemoryAttributes FIXED = (segment, readEnabled, writeEnabled) -> { };

  /**
   * Says where accesses to a segment go.
   *
   * @param segment 0 to {@link #LAST}, by address
   * @param readEnabled reads go to RAM, not ROM
   * @param writeEnabled writes go to RAM, not ROM
   */
  void set(int segment, boolean readEnabled, boolean writeEnabled);
}
