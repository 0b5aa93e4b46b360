package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.E820;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * {@code boot_params}, the page in which a Linux kernel entered by the 32- or 64-bit boot protocol finds its setup
 * header, the memory map and the screen as firmware would leave it (Linux, Documentation/arch/x86/zero-page.rst).
 */
final class ZeroPage {
  /** 2.15, the newest protocol, for kernels that bring no header. */
  private static final int VERSION = 0x20F;
  private static final long MAX_ALIGNMENT = 0x200000;
  private static final @Gpa long HIGH_MEMORY = 0x100000;

  private final String file;
  private final byte[] bytes = new byte[BootParams.SIZE];
  private final ByteBuffer page = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);

  private ZeroPage(String file, E820 map) {
    this.file = file;
    describeMachine(map);
  }

  /** With the setup header of a bzImage. */
  static ZeroPage ofHeader(ImageBytes image, E820 map) {
    int end = BootParams.HEADER + image.u8(BootParams.JUMP_LENGTH, "setup header length");
    if (end > BootParams.HEADER_LIMIT || end <= BootParams.CMD_LINE_PTR + 3) {
      throw image.fault("setup header length", BootParams.JUMP_LENGTH, "an end at 0x" + Integer.toHexString(end),
          "one from 0x22c to 0x" + Integer.toHexString(BootParams.HEADER_LIMIT));
    }
    image.require(BootParams.SETUP_SECTS, end - BootParams.SETUP_SECTS, "setup header");
    ZeroPage zero = new ZeroPage(image.name(), map);
    System.arraycopy(image.array(), BootParams.SETUP_SECTS, zero.bytes, BootParams.SETUP_SECTS,
        end - BootParams.SETUP_SECTS);
    return zero.loaded();
  }

  /** With the header that a kernel without one needs. */
  static ZeroPage bare(String file, E820 map, long commandLineLimit) {
    ZeroPage zero = new ZeroPage(file, map);
    zero.page.putShort(BootParams.BOOT_FLAG, (short) BootParams.BOOT_FLAG_VALUE)
        .putInt(BootParams.HEADER, (int) BootParams.HEADER_VALUE)
        .putShort(BootParams.VERSION, (short) VERSION).put(BootParams.LOADFLAGS, (byte) BootParams.LOADED_HIGH)
        .putInt(BootParams.KERNEL_ALIGNMENT, (int) MAX_ALIGNMENT)
        .putInt(BootParams.CMDLINE_SIZE, (int) commandLineLimit);
    return zero.loaded();
  }

  private ZeroPage loaded() {
    page.put(BootParams.TYPE_OF_LOADER, (byte) BootParams.LOADER_UNDEFINED);
    return ramDisk(new LinuxExtras.RamDisk(0, 0));
  }

  private void describeMachine(E820 map) {
    page.put(BootParams.VIDEO_MODE, (byte) 3).put(BootParams.VIDEO_COLUMNS, (byte) 80)
        .put(BootParams.VIDEO_LINES, (byte) 25);
    page.put(BootParams.VIDEO_IS_VGA, (byte) 1).putShort(BootParams.VIDEO_POINTS, (short) 16);
    int n = map.entries().size();
    if (n > BootParams.E820_MAX) {
      throw new ImageException(file, "memory map of " + n + " entries: expected at most " + BootParams.E820_MAX);
    }
    page.put(BootParams.E820_ENTRIES, (byte) n);
    for (int i = 0; i < n; i++) {
      E820.Entry entry = map.entries().get(i);
      int at = BootParams.E820_TABLE + i * BootParams.E820_ENTRY_BYTES;
      page.putLong(at, Addresses.bits(entry.base())).putLong(at + 8, entry.length()).putInt(at + 16, entry.type());
      if (entry.type() == E820.TYPE_RAM && entry.base() == HIGH_MEMORY) {
        page.putShort(BootParams.EXT_MEM_K, (short) Math.min(entry.length() >> 10, 0xFFFF));
        page.putInt(BootParams.ALT_MEM_K, (int) (entry.length() >> 10));
      }
    }
  }

  ZeroPage code32Start(@Gpa long start) {
    page.putInt(BootParams.CODE32_START, (int) start);
    return this;
  }

  ZeroPage commandLine(@Gpa long at) {
    page.putInt(BootParams.CMD_LINE_PTR, (int) at);
    return this;
  }

  ZeroPage ramDisk(LinuxExtras.RamDisk disk) {
    page.putInt(BootParams.RAMDISK_IMAGE, (int) disk.start()).putInt(BootParams.RAMDISK_SIZE, disk.length());
    return this;
  }

  /** Puts the page into memory, with the ACPI root pointer's address. @return its address */
  @Gpa long write(BootMemory memory) {
    @Gpa long at = memory.placeLow(file, BootParams.SIZE, BootParams.SIZE, BootMemory.LIMIT_4G, "boot_params");
    page.putLong(BootParams.ACPI_RSDP, Addresses.bits(memory.rsdp()));
    memory.write(at, bytes);
    return at;
  }
}
