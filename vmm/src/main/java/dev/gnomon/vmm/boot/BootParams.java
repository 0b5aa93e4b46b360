package dev.gnomon.vmm.boot;

/**
 * Offsets in the Linux setup header, which lies at the same place in a kernel image and in {@code boot_params}, and in
 * the rest of {@code boot_params} (Linux, Documentation/arch/x86/boot.rst and zero-page.rst).
 */
final class BootParams {
  static final int SIZE = 4096;

  static final int ACPI_RSDP = 0x70;

  // screen_info
  static final int EXT_MEM_K = 0x02;
  static final int VIDEO_MODE = 0x06;
  static final int VIDEO_COLUMNS = 0x07;
  static final int VIDEO_LINES = 0x0E;
  static final int VIDEO_IS_VGA = 0x0F;
  static final int VIDEO_POINTS = 0x10;

  static final int ALT_MEM_K = 0x1E0;
  static final int E820_ENTRIES = 0x1E8;
  static final int E820_TABLE = 0x2D0;
  static final int E820_ENTRY_BYTES = 20;
  static final int E820_MAX = 128;

  // Setup header
  static final int SETUP_SECTS = 0x1F1;
  static final int SYSSIZE = 0x1F4;
  static final int BOOT_FLAG = 0x1FE;
  static final int BOOT_FLAG_VALUE = 0xAA55;
  /** Length byte of the jump over the header: the header ends that far behind 202h. */
  static final int JUMP_LENGTH = 0x201;
  static final int HEADER = 0x202;
  /** "HdrS". */
  static final long HEADER_VALUE = 0x53726448L;
  static final int VERSION = 0x206;
  static final int TYPE_OF_LOADER = 0x210;
  /** A loader without an assigned number. */
  static final int LOADER_UNDEFINED = 0xFF;
  static final int LOADFLAGS = 0x211;
  static final int LOADED_HIGH = 1;
  static final int CODE32_START = 0x214;
  static final int RAMDISK_IMAGE = 0x218;
  static final int RAMDISK_SIZE = 0x21C;
  static final int CMD_LINE_PTR = 0x228;
  static final int INITRD_ADDR_MAX = 0x22C;
  static final int KERNEL_ALIGNMENT = 0x230;
  static final int RELOCATABLE = 0x234;
  static final int XLOADFLAGS = 0x236;
  /** The image has a 64-bit entry 200h behind its start. */
  static final int XLF_KERNEL_64 = 1;
  static final int CMDLINE_SIZE = 0x238;
  static final int PAYLOAD_OFFSET = 0x248;
  static final int PAYLOAD_LENGTH = 0x24C;
  static final int PREF_ADDRESS = 0x258;
  static final int INIT_SIZE = 0x260;
  /** The header can reach no further: the E820 table follows soon. */
  static final int HEADER_LIMIT = 0x290;

  static final int ENTRY_64 = 0x200;
  static final int SECTOR = 512;

  private BootParams() {}
}
