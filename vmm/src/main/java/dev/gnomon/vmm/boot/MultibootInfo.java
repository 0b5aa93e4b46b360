package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.E820;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The information structure that a multiboot1 loader leaves for the image, and the strings and lists that it points to,
 * in one block (Multiboot Specification 0.6.96, "Boot information format"):
 * <pre>
 *  0 flags | 4 mem_lower | 8 mem_upper | C boot_device | 10 cmdline | 14 mods_count | 18 mods_addr | 1C syms | 2C mmap_length | 30 mmap_addr
 *  34 drives | 3C config_table | 40 boot_loader_name | 44 apm_table | 48 vbe | 58 framebuffer_addr (64) | 60 pitch | 64 width | 68 height
 *  6C bits per pixel (8) | 6D type (8)                                                      78: memory map, modules, strings
 * </pre>
 */
final class MultibootInfo {
  private static final int FLAG_MEMORY = 1;
  private static final int FLAG_COMMAND_LINE = 1 << 2;
  private static final int FLAG_MODULES = 1 << 3;
  private static final int FLAG_MEMORY_MAP = 1 << 6;
  private static final int FLAG_LOADER_NAME = 1 << 9;
  private static final int FLAG_FRAMEBUFFER = 1 << 12;
  private static final int INFO_BYTES = 0x78;
  private static final int MMAP_ENTRY_BYTES = 24;
  private static final int MODULE_ENTRY_BYTES = 16;
  private static final String LOADER_NAME = "gnomon";
  private static final long LOW_MEMORY_LIMIT = 640 * 1024;
  private static final @Gpa long HIGH_MEMORY = 0x100000;
  private static final @Gpa long TEXT_MEMORY = 0xB8000;
  private static final byte TEXT_TYPE = 2;

  /** A module in memory, its end exclusive. */
  record Module(@Gpa long start, @Gpa long end, byte[] text) {}

  private MultibootInfo() {}

  /** Writes the block. @return its address */
  static @Gpa long write(String file, BootMemory memory, byte[] commandLine, List<Module> modules, boolean textScreen) {
    E820 map = memory.map();
    byte[] loaderName = (LOADER_NAME + "\0").getBytes(StandardCharsets.US_ASCII);
    int mapAt = INFO_BYTES;
    int modulesAt = mapAt + map.entries().size() * MMAP_ENTRY_BYTES;
    int stringsAt = modulesAt + modules.size() * MODULE_ENTRY_BYTES;
    List<byte[]> strings = new ArrayList<>(List.of(commandLine, loaderName));
    modules.forEach(module -> strings.add(module.text));
    int bytes = stringsAt + strings.stream().mapToInt(s -> s.length).sum();
    @Gpa long base = memory.placeLow(file, bytes, 4096, BootMemory.LIMIT_4G, "multiboot information");

    ByteBuffer block = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int[] stringAt = new int[strings.size()];
    int at = stringsAt;
    for (int i = 0; i < stringAt.length; i++) {
      stringAt[i] = (int) base + at;
      block.put(at, strings.get(i));
      at += strings.get(i).length;
    }
    block.putInt(0, FLAG_MEMORY | FLAG_COMMAND_LINE | FLAG_MODULES | FLAG_MEMORY_MAP | FLAG_LOADER_NAME
        | (textScreen ? FLAG_FRAMEBUFFER : 0));
    block.putInt(4, (int) (contiguous(map, 0, LOW_MEMORY_LIMIT) >> 10));
    block.putInt(8, (int) (contiguous(map, HIGH_MEMORY, BootMemory.LIMIT_4G) >> 10));
    block.putInt(0x10, stringAt[0]);
    block.putInt(0x14, modules.size());
    block.putInt(0x18, (int) base + modulesAt);
    block.putInt(0x2C, modulesAt - mapAt);
    block.putInt(0x30, (int) base + mapAt);
    block.putInt(0x40, stringAt[1]);
    if (textScreen) {
      block.putLong(0x58, TEXT_MEMORY).putInt(0x60, 160).putInt(0x64, 80).putInt(0x68, 25).put(0x6C, (byte) 16)
          .put(0x6D, TEXT_TYPE);
    }
    for (int i = 0; i < map.entries().size(); i++) {
      E820.Entry entry = map.entries().get(i);
      block.position(mapAt + i * MMAP_ENTRY_BYTES);
      // The size field does not count itself.
      block.putInt(MMAP_ENTRY_BYTES - 4).putLong(entry.base()).putLong(entry.length()).putInt(entry.type());
    }
    for (int i = 0; i < modules.size(); i++) {
      block.position(modulesAt + i * MODULE_ENTRY_BYTES);
      block.putInt((int) modules.get(i).start).putInt((int) modules.get(i).end).putInt(stringAt[2 + i]).putInt(0);
    }
    memory.write(base, block.array());
    return base;
  }

  /** Bytes of RAM that begin at an address without a gap, up to a limit. */
  private static long contiguous(E820 map, @Gpa long from, @Gpa long limit) {
    for (E820.Entry entry : map.entries()) {
      if (entry.type() == E820.TYPE_RAM && entry.base() <= from && from < entry.end()) {
        return Addresses.bits(Math.min(entry.end(), limit) - from);
      }
    }
    return 0;
  }
}
