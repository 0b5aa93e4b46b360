package dev.gnomon.vmm.boot;

/** Recognises image formats. */
public final class GuestImages {
  private GuestImages() {}

  /**
   * The image of a request by its contents: Linux boot protocol, then multiboot1.
   *
   * @throws ImageException if it is neither
   */
  public static GuestImage recognize(BootRequest request) {
    ImageBytes image = new ImageBytes(request.kernel().name(), request.kernel().bytes());
    if (LinuxImage.matches(image)) {
      return new LinuxImage(request);
    }
    if (MultibootHeader.offset(image) >= 0) {
      return new MultibootImage(request);
    }
    if (ElfFile.matches(image)) {
      throw new ImageException(image.name(), "ELF file: no multiboot1 header found, expected one (magic 0x1badb002, flags, checksum) "
          + "in the first " + MultibootHeader.SEARCH_BYTES + " bytes");
    }
    throw new ImageException(image.name(), "file of " + image.length() + " bytes: expected a Linux kernel (\"HdrS\" at 0x202) or a "
        + "multiboot1 header in the first " + MultibootHeader.SEARCH_BYTES + " bytes; a flat binary must be asked for as such");
  }

  /** A flat binary. */
  public static GuestImage flat(BootRequest request) {
    return new FlatImage(request);
  }
}
