package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Gpa;

/**
 * One DMA request that was refused, as a fault-recording register of VT-d holds it.
 *
 * @param device name of the requester
 * @param iova first address that could not be reached
 * @param write whether it was a write
 * @param reason why
 */
public record DmaFault(String device, @Gpa long iova, boolean write, Reason reason) {
  /**
   * Fault reasons (VT-d specification, "Fault Reason Encodings"; the last four are the hypervisor's own refusals to
   * map).
   */
  public enum Reason {
    /** The address, or its end, is beyond the 48 bits that the tables translate. */
    BEYOND_WIDTH(4),
    /** A write without write permission, or where nothing is mapped. */
    NO_WRITE(5),
    /** A read without read permission, or where nothing is mapped. */
    NO_READ(6),
    /** A table lies where there is no memory. */
    TABLE_UNREACHABLE(7),
    /** A reserved bit is set in a paging entry. */
    RESERVED_BIT(0xC),
    /**
     * The guest named a place that is not its RAM: a hole, a device, ROM, a reserved range, another device's window.
     */
    NOT_RAM(0x100),
    /** The domain's policy lets the guest name no pages. */
    NOT_ALLOWED(0x101),
    /** More pages than a device may hold, or no frame is left for tables. */
    TOO_MANY_PAGES(0x102),
    /** A range of negative or wrapping length. */
    BAD_LENGTH(0x103);

    private final int code;

    Reason(int code) {
      this.code = code;
    }

    /** VT-d's number, or one from 100h for what VT-d does not know. */
    public int code() {
      return code;
    }
  }

  /** As in {@code ring: write of 0xfee00000 refused: NO_WRITE}. */
  @Override
  public String toString() {
    return device + ": " + (write ? "write" : "read") + " of 0x" + Long.toHexString(iova) + " refused: " + reason;
  }
}
