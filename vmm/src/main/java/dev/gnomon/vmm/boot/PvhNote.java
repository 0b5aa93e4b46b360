package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Gpa;

/**
 * The ELF note by which a kernel offers the PVH entry (Xen, xen/include/public/elfnote.h,
 * {@code XEN_ELFNOTE_PHYS32_ENTRY}):
 * <pre>
 *  name size (4) | descriptor size (4) | type 18 | "Xen\0" | physical address of the entry (4 or 8)
 * </pre>
 */
final class PvhNote {
  /** No such note. */
  static final @Gpa long NONE = -1;
  private static final long SEGMENT_NOTE = 4;
  private static final long TYPE = 18;
  private static final long XEN = 0x006E_6558L;
  private static final int ELF_HEADER = 64;
  private static final int HEADER = 12;

  private PvhNote() {}

  /** The entry, {@link #NONE} if a file has none, or ends before its program headers or notes do. */
  static @Gpa long entry(ImageBytes image) {
    if (image.length() < ELF_HEADER) {
      return NONE;
    }
    boolean is64 = ElfFile.is64(image);
    long table = is64 ? image.raw64(0x20) : image.u32(0x1C, "e_phoff");
    int size = image.u16(is64 ? 0x36 : 0x2A, "e_phentsize");
    int count = image.u16(is64 ? 0x38 : 0x2C, "e_phnum");
    if (size < (is64 ? 56 : 32) || !image.has(table, (long) count * size)) {
      return NONE;
    }
    for (int i = 0; i < count; i++) {
      int header = (int) table + i * size;
      if (image.has32(header, SEGMENT_NOTE)) {
        long offset = is64 ? image.raw64(header + 8) : image.u32(header + 4, "p_offset");
        long bytes = is64 ? image.raw64(header + 32) : image.u32(header + 16, "p_filesz");
        @Gpa long entry = image.has(offset, bytes) ? find(image, offset, offset + bytes) : NONE;
        if (entry != NONE) {
          return entry;
        }
      }
    }
    return NONE;
  }

  private static @Gpa long find(ImageBytes image, long from, long end) {
    long at = from;
    while (end - at >= HEADER) {
      long nameBytes = image.u32(at, "note name size");
      long bytes = image.u32(at + 4, "note size");
      long descriptor = at + HEADER + align(nameBytes);
      if (image.u32(at + 8, "note type") == TYPE && nameBytes == 4 && image.has32(at + HEADER, XEN) && bytes >= 4
          && descriptor + bytes <= end) {
        @Gpa long entry = image.u32(descriptor, "PVH entry");
        return entry;
      }
      at = descriptor + align(bytes);
    }
    return NONE;
  }

  private static long align(long bytes) {
    return bytes + 3 & -4;
  }
}
