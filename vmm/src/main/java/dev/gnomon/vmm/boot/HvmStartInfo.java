package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.E820;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What a kernel entered by PVH finds at EBX (Xen, xen/include/public/arch-x86/hvm/start_info.h, version 1), its lists
 * behind it in one block:
 * <pre>
 *  0 magic | 4 version | 8 flags | C nr_modules | 10 modlist (64) | 18 cmdline (64) | 20 rsdp (64) | 28 memmap (64) | 30 memmap_entries | 34 0
 *  38 memory map: address (64), size (64), type, 0 …   modules: address (64), size (64), cmdline (64), 0 (64)
 * </pre>
 */
final class HvmStartInfo {
  private static final int MAGIC = 0x336E_C578;
  private static final int VERSION = 1;
  private static final int BYTES = 0x38;
  private static final int MAP_ENTRY_BYTES = 24;
  private static final int MODULE_BYTES = 32;

  private HvmStartInfo() {}

  /**
   * Writes the block.
   *
   * @param rsdp of the ACPI root pointer, 0 if the kernel is to look for it
   * @return its address
   */
  static @Gpa long write(String file, BootMemory memory, @Gpa long commandLine, LinuxExtras.RamDisk disk,
      @Gpa long rsdp) {
    E820 map = memory.map();
    int modulesAt = BYTES + map.entries().size() * MAP_ENTRY_BYTES;
    int bytes = modulesAt + MODULE_BYTES;
    @Gpa long at = memory.placeLow(file, bytes, 4096, BootMemory.LIMIT_4G, "hvm_start_info");
    ByteBuffer block = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    block.putInt(MAGIC).putInt(VERSION).putInt(0).putInt(disk.exists() ? 1 : 0);
    block.putLong(disk.exists() ? Addresses.bits(at + modulesAt) : 0).putLong(Addresses.bits(commandLine))
        .putLong(Addresses.bits(rsdp));
    block.putLong(Addresses.bits(at + BYTES)).putInt(map.entries().size()).putInt(0);
    for (E820.Entry entry : map.entries()) {
      block.putLong(Addresses.bits(entry.base())).putLong(entry.length()).putInt(entry.type()).putInt(0);
    }
    block.putLong(Addresses.bits(disk.start())).putLong(disk.length());
    memory.write(at, block.array());
    return at;
  }
}
