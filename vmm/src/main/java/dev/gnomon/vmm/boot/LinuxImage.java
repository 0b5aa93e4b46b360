package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.E820;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A bzImage by the Linux boot protocol, 2.02 or later, without its real-mode part (Linux, Documentation/arch/x86/boot.rst, "32-bit Boot
 * Protocol" and "64-bit Boot Protocol"): the protected-mode part goes to where it prefers to be, the setup header into {@code boot_params}
 * with the memory map and the screen as firmware would leave it, the command line and the initial RAM disk beside it. ESI or RSI points to
 * {@code boot_params}. The 32-bit entry is the default.
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
  private static final int PAGE = 4096;
  private static final long MAX_ALIGNMENT = 1L << 30;

  private final BootRequest request;
  private final ImageBytes image;

  LinuxImage(BootRequest request) {
    this.request = request;
    this.image = new ImageBytes(request.kernel().name(), request.kernel().bytes());
  }

  static boolean matches(ImageBytes image) {
    return image.has16(BootParams.BOOT_FLAG, BootParams.BOOT_FLAG_VALUE) && image.has32(BootParams.HEADER, BootParams.HEADER_VALUE);
  }

  @Override
  public String format() {
    return "Linux boot protocol";
  }

  @Override
  public InitialState load(BootMemory memory) {
    if (request.entry() == BootRequest.Entry.REAL) {
      throw new ImageException(image.name(), "real-mode entry of a Linux kernel: expected the 32- or 64-bit entry, there is no BIOS");
    }
    int version = version();
    boolean entry64 = request.entry() == BootRequest.Entry.LONG;
    int xloadflags = version >= VERSION_XLOADFLAGS ? image.u16(BootParams.XLOADFLAGS, "xloadflags") : 0;
    if (entry64 && (xloadflags & BootParams.XLF_KERNEL_64) == 0) {
      throw image.fault("xloadflags", BootParams.XLOADFLAGS, "0x" + Integer.toHexString(xloadflags), "bit 0 for the 64-bit entry");
    }
    @Gpa long start = loadKernel(memory, version);
    byte[] params = new byte[BootParams.SIZE];
    ByteBuffer zeroPage = ByteBuffer.wrap(params).order(ByteOrder.LITTLE_ENDIAN);
    copyHeader(params);
    describeMachine(zeroPage, memory.map());
    zeroPage.put(BootParams.TYPE_OF_LOADER, (byte) BootParams.LOADER_UNDEFINED);
    zeroPage.putInt(BootParams.CODE32_START, (int) start);
    zeroPage.putInt(BootParams.CMD_LINE_PTR, (int) loadCommandLine(memory, version));
    loadRamDisk(zeroPage, memory, version);
    @Gpa long zeroPageAddress = memory.placeLow(image.name(), BootParams.SIZE, PAGE, BootMemory.LIMIT_4G, "boot_params");
    memory.write(zeroPageAddress, params);
    return entry64 ? BootState.longMode(image.name(), memory, start + BootParams.ENTRY_64, Addresses.bits(zeroPageAddress))
        : BootState.protectedMode(image.name(), memory, start, 0, 0, Addresses.bits(zeroPageAddress));
  }

  private int version() {
    int version = image.u16(BootParams.VERSION, "boot protocol version");
    if (version < VERSION_MIN) {
      throw image.fault("boot protocol version", BootParams.VERSION, (version >> 8) + "." + (version & 0xFF), "2.02 or later");
    }
    int loadflags = image.u8(BootParams.LOADFLAGS, "loadflags");
    if ((loadflags & BootParams.LOADED_HIGH) == 0) {
      throw image.fault("loadflags", BootParams.LOADFLAGS, "0x" + Integer.toHexString(loadflags), "bit 0, a bzImage loaded high");
    }
    return version;
  }

  /** Places and writes the protected-mode part. @return where it begins */
  private @Gpa long loadKernel(BootMemory memory, int version) {
    int sectors = image.u8(BootParams.SETUP_SECTS, "setup_sects");
    long setupBytes = (1L + (sectors == 0 ? DEFAULT_SETUP_SECTS : sectors)) * BootParams.SECTOR;
    if (setupBytes >= image.length()) {
      throw image.fault("setup_sects", BootParams.SETUP_SECTS, sectors + " for a file of " + image.length() + " bytes",
          "a protected-mode part behind them");
    }
    long bytes = image.length() - setupBytes;
    long declared = image.u32(BootParams.SYSSIZE, "syssize") * PARAGRAPH;
    // syssize is rounded up; a signature may follow it.
    if (declared >= bytes + PARAGRAPH) {
      throw image.fault("syssize", BootParams.SYSSIZE, declared + " bytes", "at most the " + bytes + " behind the setup sectors; is the "
          + "file truncated?");
    }
    boolean relocatable = version >= VERSION_RELOCATABLE && image.u8(BootParams.RELOCATABLE, "relocatable_kernel") != 0;
    @Gpa long preferred = version >= VERSION_PREF_ADDRESS ? image.u64(BootParams.PREF_ADDRESS, "pref_address") : DEFAULT_LOAD_ADDRESS;
    long room = version >= VERSION_PREF_ADDRESS ? Math.max(bytes, image.u32(BootParams.INIT_SIZE, "init_size")) : bytes;
    @Gpa long start = preferred;
    if (relocatable && !memory.map().isRam(preferred, room)) {
      start = memory.placeLow(image.name(), room, alignment(), HIGH_MEMORY, BootMemory.LIMIT_4G, "kernel");
    } else {
      if (preferred >= BootMemory.LIMIT_4G) {
        throw image.fault("pref_address", BootParams.PREF_ADDRESS, "0x" + Long.toHexString(preferred), "an address below 4 GiB");
      }
      memory.claim(image.name(), preferred, room, "kernel");
    }
    memory.write(start, image.array(), setupBytes, bytes);
    return start;
  }

  private long alignment() {
    long alignment = image.u32(BootParams.KERNEL_ALIGNMENT, "kernel_alignment");
    if (Long.bitCount(alignment) != 1 || alignment > MAX_ALIGNMENT) {
      throw image.fault("kernel_alignment", BootParams.KERNEL_ALIGNMENT, "0x" + Long.toHexString(alignment), "a power of two up to 1 GiB");
    }
    return alignment;
  }

  private void copyHeader(byte[] params) {
    int end = BootParams.HEADER + image.u8(BootParams.JUMP_LENGTH, "setup header length");
    if (end > BootParams.HEADER_LIMIT || end <= BootParams.CMD_LINE_PTR + 3) {
      throw image.fault("setup header length", BootParams.JUMP_LENGTH, "an end at 0x" + Integer.toHexString(end),
          "one from 0x22c to 0x" + Integer.toHexString(BootParams.HEADER_LIMIT));
    }
    image.require(BootParams.SETUP_SECTS, end - BootParams.SETUP_SECTS, "setup header");
    System.arraycopy(image.array(), BootParams.SETUP_SECTS, params, BootParams.SETUP_SECTS, end - BootParams.SETUP_SECTS);
  }

  private void describeMachine(ByteBuffer zeroPage, E820 map) {
    zeroPage.put(BootParams.VIDEO_MODE, (byte) 3).put(BootParams.VIDEO_COLUMNS, (byte) 80).put(BootParams.VIDEO_LINES, (byte) 25);
    zeroPage.put(BootParams.VIDEO_IS_VGA, (byte) 1).putShort(BootParams.VIDEO_POINTS, (short) 16);
    int n = map.entries().size();
    if (n > BootParams.E820_MAX) {
      throw new ImageException(image.name(), "memory map of " + n + " entries: expected at most " + BootParams.E820_MAX);
    }
    zeroPage.put(BootParams.E820_ENTRIES, (byte) n);
    for (int i = 0; i < n; i++) {
      E820.Entry entry = map.entries().get(i);
      int at = BootParams.E820_TABLE + i * BootParams.E820_ENTRY_BYTES;
      zeroPage.putLong(at, entry.base()).putLong(at + 8, entry.length()).putInt(at + 16, entry.type());
      if (entry.type() == E820.TYPE_RAM && entry.base() == HIGH_MEMORY) {
        zeroPage.putShort(BootParams.EXT_MEM_K, (short) Math.min(entry.length() >> 10, 0xFFFF));
        zeroPage.putInt(BootParams.ALT_MEM_K, (int) (entry.length() >> 10));
      }
    }
  }

  private @Gpa long loadCommandLine(BootMemory memory, int version) {
    byte[] text = ImageBytes.zeroTerminated(image.name(), "command line", request.commandLine());
    long limit = version >= VERSION_CMDLINE_SIZE ? image.u32(BootParams.CMDLINE_SIZE, "cmdline_size") : DEFAULT_CMDLINE_SIZE;
    if (text.length - 1 > limit) {
      throw new ImageException(image.name(), "command line of " + (text.length - 1) + " bytes: expected at most " + limit
          + " (cmdline_size)");
    }
    @Gpa long at = memory.placeLow(image.name(), text.length, PAGE, BootMemory.LIMIT_4G, "command line");
    memory.write(at, text);
    return at;
  }

  private void loadRamDisk(ByteBuffer zeroPage, BootMemory memory, int version) {
    zeroPage.putInt(BootParams.RAMDISK_IMAGE, 0).putInt(BootParams.RAMDISK_SIZE, 0);
    if (request.modules().isEmpty()) {
      return;
    }
    BootRequest.File file = request.modules().get(0);
    if (request.modules().size() > 1) {
      throw new ImageException(request.modules().get(1).name(), "a second initial RAM disk: expected at most one for a Linux kernel");
    }
    long highest = version >= VERSION_INITRD_MAX ? image.u32(BootParams.INITRD_ADDR_MAX, "initrd_addr_max") : DEFAULT_INITRD_MAX;
    @Gpa long at = memory.placeHigh(file.name(), file.bytes().length, PAGE, highest + 1, "initial RAM disk");
    memory.write(at, file.bytes());
    zeroPage.putInt(BootParams.RAMDISK_IMAGE, (int) at).putInt(BootParams.RAMDISK_SIZE, file.bytes().length);
  }
}
