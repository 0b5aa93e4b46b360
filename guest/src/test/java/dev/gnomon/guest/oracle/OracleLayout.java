package dev.gnomon.guest.oracle;

/**
 * What both sides of the comparison agree on: linear addresses of code and data, and the record that carries a case to
 * the helper and its outcome back.
 * <pre>
 *  data   10000000 absent | 10001000 read-only | 10002000 | 10003000 | 10004000 absent
 *  code   20000000 | 20001000 | 20002000 | 20003000 absent; filled with INT3
 *
 *  record   0 RAX to R15 | 128 RFLAGS | 136 RIP
 *         144 CS, back: vector | 152 bytes of code, back: error code | 160 DS, ES and SS, back: CR2 | 168 base of CS
 *         176 code | 432 the three data areas | 1328 x87, MMX and SSE state as FXSAVE64 lays it out
 * </pre>
 * Data accesses aim at three areas beside page boundaries. The rest of the writable pages is zero, and whatever was
 * written there is taken away after each batch. The middle area is large enough for all that an instruction can push.
 */
final class OracleLayout {
  static final int PAGE = 0x1000;
  static final long READ_ONLY = 0x1000_1000L;
  static final long DATA = 0x1000_2000L;
  static final long DATA_MIDDLE = 0x1000_3000L;
  static final long DATA_END = 0x1000_4000L;
  static final long CODE = 0x2000_0000L;
  static final int CODE_PAGES = 3;
  static final long CODE_END = CODE + CODE_PAGES * PAGE;
  /** Byte that the read-only page is filled with. */
  static final int READ_ONLY_FILL = 0x5A;
  static final int INT3 = 0xCC;

  static final long FS_BASE = 0x123_4568L;
  /** Large, so that offsets to the data wrap around. */
  static final long GS_BASE = 0x6FFF_8765_4321L;

  static final int USER_CODE_64 = 0x33;
  static final int USER_CODE_32 = 0x23;
  static final int USER_DATA = 0x2B;
  /** 16-bit segments in the LDT: code at {@link #CODE}, data and stack at {@link #DATA_16_BASE}, 64 KiB each. */
  static final int USER_CODE_16 = 0x07;
  static final int USER_DATA_16 = 0x0F;
  static final long DATA_16_BASE = 0x1000_0000L;

  static final int REGISTERS = 0;
  static final int RFLAGS = 128;
  static final int RIP = 136;
  static final int CS = 144;
  static final int VECTOR = 144;
  static final int LENGTH = 152;
  static final int ERROR = 152;
  static final int FAULT_ADDRESS = 160;
  static final int DATA_SELECTOR = 160;
  static final int CODE_BASE = 168;
  static final int CODE_BYTES = 176;
  static final int CODE_SIZE = 256;
  static final int AREAS = 432;
  static final int AREAS_SIZE = 896;
  /** A multiple of 16, as is the record's size. */
  static final int FX = AREAS + AREAS_SIZE;
  static final int RECORD = FX + FxImage.SIZE;
  static final int BATCH = 256;

  /** First address and size of each data area. */
  private static final long[] AREA = {DATA, DATA_MIDDLE - 384, DATA_END - 128};
  private static final int[] AREA_SIZE = {128, 640, 128};

  private OracleLayout() { }

  static int areas() {
    return AREA.length;
  }

  static long areaAddress(int area) {
    return AREA[area];
  }

  static int areaSize(int area) {
    return AREA_SIZE[area];
  }

  /** Index in the record's areas of a data address, or −1 if it is in none. */
  static int areaIndex(long address) {
    int index = 0;
    for (int area = 0; area < AREA.length; area++) {
      if (address >= AREA[area] && address < AREA[area] + AREA_SIZE[area]) {
        return index + (int) (address - AREA[area]);
      }
      index += AREA_SIZE[area];
    }
    return -1;
  }
}
