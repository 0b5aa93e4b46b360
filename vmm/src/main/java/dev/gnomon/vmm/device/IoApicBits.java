package dev.gnomon.vmm.device;

/**
 * Registers of the I/O APIC and its redirection entries (Intel 82093AA data sheet).
 *
 * <pre>
 *  63      56 55     17 16  15  14   13  12  11  10   8 7       0
 *  destination  0       M   TM  RIRR POL DS  DM  mode   vector
 *
 *  M masked    TM 1: level    RIRR accepted and not ended, level only    POL 1: active low    DM 1: logical destination
 * </pre>
 */
final class IoApicBits {
  static final int SELECT = 0x00;
  static final int WINDOW = 0x10;

  static final int REG_ID = 0;
  static final int REG_VERSION = 1;
  static final int REG_ARBITRATION = 2;
  static final int REG_ENTRIES = 0x10;

  static final int ID_SHIFT = 24;
  static final int ID_MASK = 0xF;
  /** Version 11h; the highest entry in bits 23 to 16. */
  static final int VERSION = 0x11;
  static final int VERSION_ENTRIES_SHIFT = 16;

  static final int VECTOR = 0xFF;
  static final int MODE_SHIFT = 8;
  static final int MODE = 7;
  static final int LOGICAL = 1 << 11;
  static final int POLARITY = 1 << 13;
  static final int REMOTE_IRR = 1 << 14;
  static final int LEVEL = 1 << 15;
  static final int MASKED = 1 << 16;
  static final int LOW_WRITABLE = MASKED | LEVEL | POLARITY | LOGICAL | MODE << MODE_SHIFT | VECTOR;
  static final int DESTINATION_SHIFT = 24;

  private IoApicBits() {
  }
}
