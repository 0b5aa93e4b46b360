package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.E820;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The data area that a PC's firmware leaves at 400h, for system software that asks it where conventional memory ends,
 * where COM1 is or how the screen is set up (IBM PC/AT Technical Reference, "ROM BIOS Data Area"): Xen and Linux put
 * their start-up code below the end of conventional memory, and who looks for MP tables searches its last KiB. There is
 * no extended data area, and no interrupt services come with it.
 */
public final class BiosDataArea {
  private static final @Gpa long ADDRESS = 0x400;
  private static final int BYTES = 0x100;
  private static final @Gpa long CONVENTIONAL_END = 0xA0000;
  private static final int KIB_SHIFT = 10;

  // Offsets.
  private static final int COM1_PORT = 0x00;
  private static final int EQUIPMENT = 0x10;
  private static final int BASE_MEMORY_KIB = 0x13;
  private static final int KEYBOARD_HEAD = 0x1A;
  private static final int KEYBOARD_TAIL = 0x1C;
  private static final int VIDEO_MODE = 0x49;
  private static final int VIDEO_COLUMNS = 0x4A;
  private static final int VIDEO_PAGE_BYTES = 0x4C;
  private static final int CURSOR_SHAPE = 0x60;
  private static final int CRTC_PORT = 0x63;
  private static final int KEYBOARD_START = 0x80;
  private static final int KEYBOARD_END = 0x82;
  private static final int VIDEO_LAST_ROW = 0x84;
  private static final int CHARACTER_HEIGHT = 0x85;

  /** A coprocessor (bit 1), 80 columns in colour (bits 5:4), one serial port (bits 11:9). */
  private static final int EQUIPPED = 1 << 1 | 2 << 4 | 1 << 9;
  private static final int COM1 = 0x3F8;
  private static final int KEYBOARD_BUFFER = 0x1E;
  private static final int KEYBOARD_BUFFER_END = 0x3E;
  private static final int TEXT_MODE = 3;
  private static final int COLUMNS = 80;
  private static final int ROWS = 25;
  private static final int PAGE_BYTES = 0x1000;
  private static final int CURSOR_LINES = 0x0D0E;
  private static final int COLOUR_CRTC = 0x3D4;
  private static final int CELL_HEIGHT = 16;

  private BiosDataArea() {}

  /** Puts it into memory. */
  public static void write(BootMemory memory) {
    @Gpa long end = 0;
    for (E820.Entry entry : memory.map().entries()) {
      if (entry.type() == E820.TYPE_RAM && entry.base() < CONVENTIONAL_END) {
        end = Math.max(end, Math.min(entry.end(), CONVENTIONAL_END));
      }
    }
    ByteBuffer area = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
    area.putShort(COM1_PORT, (short) COM1).putShort(EQUIPMENT, (short) EQUIPPED)
        .putShort(BASE_MEMORY_KIB, (short) (Addresses.bits(end) >> KIB_SHIFT))
        .putShort(KEYBOARD_HEAD, (short) KEYBOARD_BUFFER)
        .putShort(KEYBOARD_TAIL, (short) KEYBOARD_BUFFER).putShort(KEYBOARD_START, (short) KEYBOARD_BUFFER)
        .putShort(KEYBOARD_END, (short) KEYBOARD_BUFFER_END).put(VIDEO_MODE, (byte) TEXT_MODE)
        .putShort(VIDEO_COLUMNS, (short) COLUMNS)
        .putShort(VIDEO_PAGE_BYTES, (short) PAGE_BYTES).putShort(CURSOR_SHAPE, (short) CURSOR_LINES)
        .putShort(CRTC_PORT, (short) COLOUR_CRTC)
        .put(VIDEO_LAST_ROW, (byte) (ROWS - 1)).put(CHARACTER_HEIGHT, (byte) CELL_HEIGHT);
    memory.write(ADDRESS, area.array());
  }
}
