package dev.gnomon.vmm.device;

/**
 * The VGA registers that text mode needs, by the names of the IBM VGA documents.
 *
 * <pre>
 *  3C0 attribute index/data, 3C1 attribute data       3C2 write: miscellaneous output, read: input status 0
 *  3C4 sequencer index, 3C5 data                      3C6 to 3C9 palette mask, read index, write index, data
 *  3CC miscellaneous output, read                     3CE graphics index, 3CF data
 *  3D4 CRTC index, 3D5 data                           3DA input status 1
 *
 *                    7     6     5     4     3     2     1     0
 *  CRTC 0A           0     0   cursor off [   first scan line    ]
 *  CRTC 0B           0   [  skew   ]      [   last scan line     ]
 *  CRTC 11          lock  of CRTC 00 to 07
 *  input status 1    0     0     0     0   VRTRC  0     0    blank
 * </pre>
 */
final class VgaTextBits {
  static final int PORT_ATTRIBUTE = 0x3C0;
  static final int PORT_ATTRIBUTE_READ = 0x3C1;
  static final int PORT_MISC_WRITE = 0x3C2;
  static final int PORT_SEQUENCER_INDEX = 0x3C4;
  static final int PORT_SEQUENCER = 0x3C5;
  static final int PORT_PALETTE_MASK = 0x3C6;
  static final int PORT_PALETTE_READ_INDEX = 0x3C7;
  static final int PORT_PALETTE_WRITE_INDEX = 0x3C8;
  static final int PORT_PALETTE = 0x3C9;
  static final int PORT_MISC_READ = 0x3CC;
  static final int PORT_GRAPHICS_INDEX = 0x3CE;
  static final int PORT_GRAPHICS = 0x3CF;
  static final int PORT_CRTC_INDEX = 0x3D4;
  static final int PORT_CRTC = 0x3D5;
  static final int PORT_STATUS1 = 0x3DA;

  static final int ATTRIBUTE_INDEX = 0x1F;
  /** Bit 5 of the attribute index: the palette drives the screen. */
  static final int ATTRIBUTE_WRITABLE = 0x3F;

  static final int CRTC_CURSOR_START = 0x0A;
  static final int CRTC_CURSOR_END = 0x0B;
  static final int CRTC_START_HIGH = 0x0C;
  static final int CRTC_START_LOW = 0x0D;
  static final int CRTC_CURSOR_HIGH = 0x0E;
  static final int CRTC_CURSOR_LOW = 0x0F;
  static final int CRTC_OVERFLOW = 0x07;
  static final int CRTC_RETRACE_END = 0x11;
  static final int CRTC_RETRACE_END_LOCK = 1 << 7;
  /** Bit 8 of line compare: the only bit of CRTC 00 to 07 that the lock leaves writable. */
  static final int CRTC_OVERFLOW_LINE_COMPARE = 1 << 4;
  static final int CURSOR_OFF = 1 << 5;
  static final int CURSOR_SCAN_LINE = 0x1F;

  static final int STATUS1_BLANK = 1 << 0;
  static final int STATUS1_RETRACE = 1 << 3;

  private VgaTextBits() {
  }
}
