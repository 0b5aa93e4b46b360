package dev.gnomon.guest.asm;

/**
 * The header that marks an image for a Multiboot loader (Multiboot Specification 0.6.96, "The layout of Multiboot
 * header"). It must lie within the first 8192 bytes of the file: at the start of the first segment of an
 * {@link ElfImage} it does.
 */
public final class MultibootHeader {

  /** Flag: modules are to be aligned to 4 KiB. */
  public static final int PAGE_ALIGN = 1 << 0;
  /** Flag: the loader must pass the memory map. */
  public static final int MEMORY_INFO = 1 << 1;
  /** Flag: the header gives load addresses, as an image that is not ELF needs. */
  public static final int ADDRESSES = 1 << 16;
  /** What EAX holds when a Multiboot loader enters the image. */
  public static final int LOADER_MAGIC = 0x2BADB002;

  private static final int MAGIC = 0x1BADB002;
  private static final int ALIGNMENT = 4;

  private MultibootHeader() {
  }

  /** Writes the header of an ELF image at the next multiple of 4 bytes; {@code flags} without {@link #ADDRESSES}. */
  public static void write(Assembler a, int flags) {
    if ((flags & ADDRESSES) != 0) {
      throw new IllegalArgumentException("multiboot flag ADDRESSES: expected the form with addresses");
    }
    start(a, flags);
  }

  /**
   * Writes the header of a flat image at the next multiple of 4 bytes.
   *
   * @param loadStart label of the image's first byte
   * @param loadEnd label behind the last byte that is loaded
   * @param bssEnd label behind the memory to be cleared after it
   * @param entry label of the first instruction
   */
  public static void write(Assembler a, int flags, Label loadStart, Label loadEnd, Label bssEnd, Label entry) {
    Label header = start(a, flags | ADDRESSES);
    a.dd(header);
    a.dd(loadStart);
    a.dd(loadEnd);
    a.dd(bssEnd);
    a.dd(entry);
  }

  private static Label start(Assembler a, int flags) {
    a.align(ALIGNMENT, 0);
    Label header = a.here();
    a.dd(MAGIC, flags, -(MAGIC + flags));
    return header;
  }
}
