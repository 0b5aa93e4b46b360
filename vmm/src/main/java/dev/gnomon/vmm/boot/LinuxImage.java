package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;

/**
 * A bzImage by the Linux boot protocol, 2.02 or later, without its real-mode part (Linux,
 * Documentation/arch/x86/boot.rst, "32-bit Boot Protocol" and "64-bit Boot Protocol"). If it holds a compressed ELF
 * kernel that the host can and is to unpack, what comes out is booted as {@link VmlinuxImage}. Otherwise the
 * protected-mode part goes to where it prefers to be, the setup header into {@code boot_params}, the command line and
 * the initial RAM disk beside it; ESI or RSI points to {@code boot_params}, and the 32-bit entry is the default.
 */
final class LinuxImage implements GuestImage {
  private static final int VERSION_MIN = 0x202;
  private static final int VERSION_INITRD_MAX = 0x203;
  private static final int VERSION_RELOCATABLE = 0x205;
  private static final int VERSION_CMDLINE_SIZE = 0x206;
  private static final int VERSION_PREF_ADDRESS = 0x20A;
  private static final int VERSION_XLOADFLAGS = 0x20C;
  private static final int DEFAULT_SETUP_SECTS = 4;
  private static final int DEFAULT_CMDLINE_SIZE = 255;
  private static final long DEFAULT_INITRD_MAX = 0x37FF_FFFFL;
  private static final @Gpa long DEFAULT_LOAD_ADDRESS = 0x100000;
  private static final @Gpa long HIGH_MEMORY = 0x100000;
  private static final long PARAGRAPH = 16;
  private static final long MAX_ALIGNMENT = 1L << 30;

  private final BootRequest request;
  private final ImageBytes image;
  /**
   * How the unpacked kernel is entered, told by {@link VmlinuxImage}; null until it is known, empty if the image
   * unpacks itself.
   */
  private String protocol;

  LinuxImage(BootRequest request) {
    this.request = request;
    this.image = new ImageBytes(request.kernel().name(), request.kernel().bytes());
  }

  static boolean matches(ImageBytes image) {
    return image.has16(BootParams.BOOT_FLAG, BootParams.BOOT_FLAG_VALUE)
        && image.has32(BootParams.HEADER, BootParams.HEADER_VALUE);
  }

  @Override
  public String format() {
    CompressedKernel kernel = packed();
    if (kernel == null) {
      return "Linux boot protocol";
    }
    if (protocol == null) {
      try {
        unpacked();
      } catch (ImageException e) {
        // Told when it is loaded.
        return "Linux, " + kernel.format();
      }
    }
    return "Linux, " + kernel.format() + ", " + (protocol.isEmpty() ? "unpacks itself" : protocol);
  }

  /** A packed kernel is one of an operating system; what is not packed is small. */
  @Override
  public long comfortableMemory() {
    return packed() == null ? 0 : VmlinuxImage.comfortableMemory(request);
  }

  private CompressedKernel packed() {
    try {
      return CompressedKernel.of(image, setupBytes());
    } catch (ImageException e) {
      // What is wrong with it is told when it is loaded.
      return null;
    }
  }

  @Override
  public InitialState load(BootMemory memory) {
    if (request.entry() == BootRequest.Entry.REAL) {
      throw new ImageException(image.name(),
          "real-mode entry of a Linux kernel: expected PVH or the 32- or 64-bit entry, there is no BIOS");
    }
    int version = version(image);
    VmlinuxImage kernel = unpacked();
    if (kernel != null) {
      return kernel.load(memory);
    }
    boolean entry64 = request.entry() == BootRequest.Entry.LONG;
    if (request.entry() == BootRequest.Entry.PVH) {
      throw new ImageException(image.name(),
          "PVH entry: expected a kernel packed into its bzImage and unpacked by the host");
    }
    int xloadflags = version >= VERSION_XLOADFLAGS ? image.u16(BootParams.XLOADFLAGS, "xloadflags") : 0;
    if (entry64 && (xloadflags & BootParams.XLF_KERNEL_64) == 0) {
      throw image.fault("xloadflags", BootParams.XLOADFLAGS, "0x" + Integer.toHexString(xloadflags),
          "bit 0 for the 64-bit entry");
    }
    @Gpa long start = loadKernel(memory, version);
    ZeroPage zeroPage = ZeroPage.ofHeader(image, memory.map()).code32Start(start);
    zeroPage.commandLine(LinuxExtras.commandLine(memory, image.name(), request.commandLine(), commandLineLimit(image)));
    @Gpa long params = zeroPage.ramDisk(LinuxExtras.ramDisk(memory, request, ramDiskLimit(image))).write(memory);
    return entry64 ? BootState.longMode(image.name(), memory, start + BootParams.ENTRY_64, Addresses.bits(params))
        : BootState.protectedMode(image.name(), memory, start, 0, 0, Addresses.bits(params));
  }

  /** The kernel inside, null if the image is to unpack itself. */
  private VmlinuxImage unpacked() {
    protocol = "";
    CompressedKernel packed = unpacksHere() ? CompressedKernel.of(image, setupBytes()) : null;
    if (packed == null || !packed.canUnpack()) {
      return null;
    }
    ImageBytes bytes = new ImageBytes(image.name(), packed.unpack());
    if (!ElfFile.matches(bytes)) {
      return null;
    }
    VmlinuxImage kernel = new VmlinuxImage(request, bytes, image);
    protocol = kernel.protocol();
    return kernel;
  }

  /**
   * Whether the host unpacks: not if it is told not to, nor for the 32-bit entry, by which the decompressor is meant.
   */
  private boolean unpacksHere() {
    return request.unpack() == BootRequest.Unpack.HOST && request.entry() != BootRequest.Entry.PROTECTED;
  }

  private long setupBytes() {
    int sectors = image.u8(BootParams.SETUP_SECTS, "setup_sects");
    long setupBytes = (1L + (sectors == 0 ? DEFAULT_SETUP_SECTS : sectors)) * BootParams.SECTOR;
    if (setupBytes >= image.length()) {
      throw image.fault("setup_sects", BootParams.SETUP_SECTS, sectors + " for a file of " + image.length() + " bytes",
          "a protected-mode part behind them");
    }
    return setupBytes;
  }

  private static int version(ImageBytes image) {
    int version = image.u16(BootParams.VERSION, "boot protocol version");
    if (version < VERSION_MIN) {
      throw image.fault("boot protocol version", BootParams.VERSION, (version >> 8) + "." + (version & 0xFF),
          "2.02 or later");
    }
    int loadflags = image.u8(BootParams.LOADFLAGS, "loadflags");
    if ((loadflags & BootParams.LOADED_HIGH) == 0) {
      throw image.fault("loadflags", BootParams.LOADFLAGS, "0x" + Integer.toHexString(loadflags),
          "bit 0, a bzImage loaded high");
    }
    return version;
  }

  /** Places and writes the protected-mode part. @return where it begins */
  private @Gpa long loadKernel(BootMemory memory, int version) {
    long setupBytes = setupBytes();
    long bytes = image.length() - setupBytes;
    long declared = image.u32(BootParams.SYSSIZE, "syssize") * PARAGRAPH;
    // syssize is rounded up; a signature may follow it.
    if (declared >= bytes + PARAGRAPH) {
      throw image.fault("syssize", BootParams.SYSSIZE, declared + " bytes",
          "at most the " + bytes + " behind the setup sectors; is the "
          + "file truncated?");
    }
    boolean relocatable = version >= VERSION_RELOCATABLE && image.u8(BootParams.RELOCATABLE, "relocatable_kernel") != 0;
    @Gpa long preferred = version >= VERSION_PREF_ADDRESS ? image.u64(BootParams.PREF_ADDRESS, "pref_address")
        : DEFAULT_LOAD_ADDRESS;
    long room = version >= VERSION_PREF_ADDRESS ? Math.max(bytes, image.u32(BootParams.INIT_SIZE, "init_size")) : bytes;
    @Gpa long start = preferred;
    if (relocatable && !memory.map().isRam(preferred, room)) {
      start = memory.placeLow(image.name(), room, alignment(), HIGH_MEMORY, BootMemory.LIMIT_4G, "kernel");
    } else {
      if (preferred >= BootMemory.LIMIT_4G) {
        throw image.fault("pref_address", BootParams.PREF_ADDRESS, "0x" + Long.toHexString(preferred),
            "an address below 4 GiB");
      }
      memory.claim(image.name(), preferred, room, "kernel");
    }
    memory.write(start, image.array(), setupBytes, bytes);
    return start;
  }

  private long alignment() {
    long alignment = image.u32(BootParams.KERNEL_ALIGNMENT, "kernel_alignment");
    if (Long.bitCount(alignment) != 1 || alignment > MAX_ALIGNMENT) {
      throw image.fault("kernel_alignment", BootParams.KERNEL_ALIGNMENT, "0x" + Long.toHexString(alignment),
          "a power of two up to 1 GiB");
    }
    return alignment;
  }

  /** Most bytes of a command line for a bzImage's kernel. */
  static long commandLineLimit(ImageBytes image) {
    return version(image) >= VERSION_CMDLINE_SIZE ? image.u32(BootParams.CMDLINE_SIZE, "cmdline_size")
        : DEFAULT_CMDLINE_SIZE;
  }

  /** First address that the initial RAM disk of a bzImage's kernel may not reach. */
  static @Gpa long ramDiskLimit(ImageBytes image) {
    return 1 + (version(image) >= VERSION_INITRD_MAX ? image.u32(BootParams.INITRD_ADDR_MAX, "initrd_addr_max")
        : DEFAULT_INITRD_MAX);
  }
}
