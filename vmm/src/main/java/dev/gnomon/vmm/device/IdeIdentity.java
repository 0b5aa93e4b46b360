package dev.gnomon.vmm.device;

import java.nio.charset.StandardCharsets;

/** The 256 words that IDENTIFY DEVICE gives (ATA/ATAPI-6, "IDENTIFY DEVICE"). */
final class IdeIdentity {
  private static final int WORDS = 256;
  private static final long MAX_LBA28 = (1L << 28) - 1;
  private static final int MULTIPLE_WORD = 0x8000;
  private static final int MULTIPLE_VALID = 0x100;
  private static final int FIXED_DISK = 0x0040;
  private static final int LBA_SUPPORTED = 1 << 9;
  /** Words 54 to 58 and 64 to 70 are valid. */
  private static final int VALID = 3;
  private static final int PIO_3_AND_4 = 3;
  private static final int PIO_CYCLE_NS = 120;
  /** ATA-1 to ATA/ATAPI-6. */
  private static final int VERSIONS = 0x7E;
  private static final int WORD_VALID = 1 << 14;
  private static final int FLUSH_48_BIT = 1 << 10 | 1 << 12 | 1 << 13;
  /** Word 93 of device 0: jumper, passed diagnostics. */
  private static final int FIRST = WORD_VALID | 1 << 3 | 1 << 1 | 1;
  /** Word 93 of device 0: device 1 said that it is there and that it passed. */
  private static final int SECOND_SEEN = 1 << 5 | 1 << 4;
  /** Word 93 of device 0: it answers for the absent device 1. */
  private static final int SECOND_ABSENT = 1 << 6;
  /** Word 93 of device 1: said that it passed, jumper. */
  private static final int SECOND = WORD_VALID | 1 << 11 | 1 << 9 | 1 << 8;

  private IdeIdentity() {
  }

  /** Word 93, the result of a hardware reset. @param index the disk's number on its channel of {@code drives} disks */
  static int resetResult(int index, int drives) {
    return index > 0 ? SECOND : FIRST | (drives > 1 ? SECOND_SEEN : SECOND_ABSENT);
  }

  /**
   * The words.
   *
   * @param geometry default cylinders, heads and sectors a track
   * @param heads of the current translation, with {@code trackSectors}
   * @param multiple sectors of a block of READ MULTIPLE, 0 if not set
   * @param resetResult word 93
   */
  static byte[] of(long sectors, int[] geometry, int heads, int trackSectors, int multiple, int maxMultiple,
      int resetResult) {
    int[] w = new int[WORDS];
    w[0] = FIXED_DISK;
    w[1] = geometry[0];
    w[3] = geometry[1];
    // Bytes of a track and of a sector, which ATA-2 retired: the Bochs BIOS reads as much as word 5 says.
    w[4] = geometry[2] * DiskImage.SECTOR_BYTES;
    w[5] = DiskImage.SECTOR_BYTES;
    w[6] = geometry[2];
    text(w, 10, 10, "GN0001");
    text(w, 23, 4, "1.0");
    text(w, 27, 20, "GNOMON DISK");
    w[47] = MULTIPLE_WORD | maxMultiple;
    w[49] = LBA_SUPPORTED;
    w[53] = VALID;
    long cylinders = Math.min(0xFFFF, sectors / ((long) heads * trackSectors));
    w[54] = (int) cylinders;
    w[55] = heads;
    w[56] = trackSectors;
    words(w, 57, 2, cylinders * heads * trackSectors);
    w[59] = multiple == 0 ? 0 : MULTIPLE_VALID | multiple;
    words(w, 60, 2, Math.min(sectors, MAX_LBA28));
    w[64] = PIO_3_AND_4;
    w[67] = PIO_CYCLE_NS;
    w[68] = PIO_CYCLE_NS;
    w[80] = VERSIONS;
    w[83] = WORD_VALID | FLUSH_48_BIT;
    w[84] = WORD_VALID;
    w[86] = FLUSH_48_BIT;
    w[87] = WORD_VALID;
    w[93] = resetResult;
    words(w, 100, 4, sectors);
    byte[] bytes = new byte[2 * WORDS];
    for (int i = 0; i < WORDS; i++) {
      bytes[2 * i] = (byte) w[i];
      bytes[2 * i + 1] = (byte) (w[i] >> 8);
    }
    return bytes;
  }

  private static void words(int[] w, int at, int count, long value) {
    for (int i = 0; i < count; i++) {
      w[at + i] = (int) (value >>> 16 * i) & 0xFFFF;
    }
  }

  /** Text has its first character in the high byte of a word. */
  private static void text(int[] w, int at, int count, String text) {
    byte[] bytes = String.format("%-" + 2 * count + "s", text).getBytes(StandardCharsets.US_ASCII);
    for (int i = 0; i < count; i++) {
      w[at + i] = bytes[2 * i] << 8 | bytes[2 * i + 1];
    }
  }
}
