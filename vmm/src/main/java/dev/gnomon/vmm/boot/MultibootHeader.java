package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Gpa;

/**
 * The header of a multiboot1 image (Multiboot Specification 0.6.96, "The layout of Multiboot header").
 * <pre>
 *  0 magic | 4 flags | 8 checksum | 0C header_addr | 10 load_addr | 14 load_end_addr | 18 bss_end_addr | 1C entry_addr | 20 mode_type …
 * </pre>
 * The addresses count only with {@link #ADDRESSES}, the mode only with {@link #VIDEO}.
 */
record MultibootHeader(long offset, long flags, @Gpa long headerAddress, @Gpa long loadAddress, @Gpa long loadEnd,
    @Gpa long bssEnd, @Gpa long entry) {
  /** The header lies wholly within that much of the file. */
  static final int SEARCH_BYTES = 8192;
  static final long MAGIC = 0x1BADB002L;
  static final long PAGE_ALIGN = 1;
  static final long MEMORY_INFO = 1 << 1;
  static final long VIDEO = 1 << 2;
  static final long ADDRESSES = 1 << 16;
  /** Flags that a loader must understand or else refuse the image. */
  private static final long REQUIRED = 0xFFFF;
  private static final int BASE_BYTES = 12;
  private static final int ADDRESS_BYTES = 32;

  /** Offset of the first header with a right checksum, −1 if there is none. */
  static int offset(ImageBytes image) {
    int end = Math.min(image.length(), SEARCH_BYTES) - BASE_BYTES;
    for (int at = 0; at <= end; at += 4) {
      if (image.has32(at, MAGIC)) {
        long flags = image.u32(at + 4, "multiboot flags");
        long checksum = image.u32(at + 8, "multiboot checksum");
        if ((MAGIC + flags + checksum & 0xFFFF_FFFFL) == 0) {
          return at;
        }
      }
    }
    return -1;
  }

  /** Reads the header that {@link #offset} found. */
  static MultibootHeader parse(ImageBytes image) {
    int at = offset(image);
    if (at < 0) {
      throw new ImageException(image.name(),
          "no multiboot1 header with a right checksum in the first " + SEARCH_BYTES + " bytes");
    }
    long flags = image.u32(at + 4, "multiboot flags");
    long unknown = flags & REQUIRED & ~(PAGE_ALIGN | MEMORY_INFO | VIDEO);
    if (unknown != 0) {
      throw image.fault("multiboot flags", at + 4, "required features 0x" + Long.toHexString(unknown),
          "at most bits 0, 1 and 2");
    }
    if ((flags & ADDRESSES) == 0) {
      return new MultibootHeader(at, flags, 0, 0, 0, 0, 0);
    }
    image.require(at, ADDRESS_BYTES, "multiboot address fields");
    return new MultibootHeader(at, flags, image.u32(at + 12, "header_addr"), image.u32(at + 16, "load_addr"),
        image.u32(at + 20, "load_end_addr"), image.u32(at + 24, "bss_end_addr"), image.u32(at + 28, "entry_addr"));
  }

  boolean has(long flag) {
    return (flags & flag) != 0;
  }
}
