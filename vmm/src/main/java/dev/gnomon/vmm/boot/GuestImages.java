package dev.gnomon.vmm.boot;

/** Recognises image formats. */
public final class GuestImages {
  private static final int ELF_HEADER = 64;

  private GuestImages() {}

  /**
   * The image of a request by its contents: Linux boot protocol, then multiboot1, then an ELF file with a PVH note.
   *
   * @throws ImageException if it is none of them
   */
  public static GuestImage recognize(BootRequest request) {
    ImageBytes image = new ImageBytes(request.kernel().name(), request.kernel().bytes());
    if (LinuxImage.matches(image)) {
      return new LinuxImage(request);
    }
    // A hypervisor may offer multiboot and PVH; PVH is what it wants as a guest of another.
    boolean pvh = VmlinuxImage.matches(image);
    if (MultibootHeader.offset(image) >= 0 && !(pvh && request.entry() == BootRequest.Entry.PVH)) {
      return new MultibootImage(request);
    }
    if (pvh) {
      return new VmlinuxImage(request, image, null);
    }
    if (ElfFile.matches(image)) {
      if (image.length() >= ELF_HEADER) {
        // A file that is cut off says so itself.
        ElfFile.parse(image);
      }
      throw new ImageException(image.name(),
          "ELF file: no multiboot1 header found in the first " + MultibootHeader.SEARCH_BYTES
          + " bytes and no PVH note, expected one of them");
    }
    throw new ImageException(image.name(),
        "file of " + image.length() + " bytes: expected a Linux kernel (\"HdrS\" at 0x202) or a "
        + "multiboot1 header in the first " + MultibootHeader.SEARCH_BYTES
        + " bytes; a flat binary must be asked for as such");
  }

  /** The boot sector of a disk, entered without firmware. @param disk its name and at least its first sector */
  public static GuestImage bootSector(BootRequest.File disk) {
    return new BootSector(disk);
  }

  /** Firmware in ROM, entered as after a reset. @param signature the processor's, CPUID.1:EAX */
  public static GuestImage firmware(int signature) {
    return new FirmwareStart(signature);
  }

  /** A flat binary. */
  public static GuestImage flat(BootRequest request) {
    return new FlatImage(request);
  }
}
