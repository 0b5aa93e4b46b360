package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.memory.BackingSize;
import dev.gnomon.vmm.memory.E820;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlots;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Small well-formed images, and guest memory to load them into. */
final class Images {
  static final byte[] CODE = {(byte) 0xF4, (byte) 0xEB, (byte) 0xFD, 1, 2, 3, 4, 5};
  static final int LINUX_SETUP_BYTES = 3 * 512;

  final GuestPhysicalMemory guest;
  private final E820 map;
  BootMemory boot;

  Images(long memoryBytes) {
    MemoryLayout layout = MemoryLayout.pc(memoryBytes);
    HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, BackingSize.SIZE_4K), 0);
    guest = new GuestPhysicalMemory(memory, MemorySlots.virtual(memory, layout, BackingSize.SIZE_4K));
    map = E820.of(layout);
    forget();
  }

  /** Takes nothing in memory as taken any more. */
  void forget() {
    boot = new BootMemory(guest, map);
  }

  long u32(long gpa) {
    return guest.read(gpa, 4);
  }

  String string(long gpa) {
    StringBuilder text = new StringBuilder();
    for (long at = gpa; guest.read(at, 1) != 0; at++) {
      text.append((char) guest.read(at, 1));
    }
    return text.toString();
  }

  private static ByteBuffer little(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** A bzImage of protocol 2.12 like memtest86+'s: two setup sectors, loaded at 1 MiB, both entries. */
  static byte[] linux() {
    ByteBuffer b = little(LINUX_SETUP_BYTES + 0x300);
    b.put(BootParams.SETUP_SECTS, (byte) 2);
    b.putInt(BootParams.SYSSIZE, 0x30);
    b.putShort(BootParams.BOOT_FLAG, (short) 0xAA55);
    b.put(0x200, (byte) 0xEB).put(BootParams.JUMP_LENGTH, (byte) 0x66);
    b.putInt(BootParams.HEADER, 0x53726448);
    b.putShort(BootParams.VERSION, (short) 0x20C);
    b.put(BootParams.LOADFLAGS, (byte) 1);
    b.putInt(BootParams.CODE32_START, 0x100000);
    b.putInt(BootParams.INITRD_ADDR_MAX, 0x7FFFFFFF);
    b.putInt(BootParams.KERNEL_ALIGNMENT, 0x200000);
    b.putShort(BootParams.XLOADFLAGS, (short) 9);
    b.putInt(BootParams.CMDLINE_SIZE, 255);
    b.putLong(BootParams.PREF_ADDRESS, 0x100000);
    b.putInt(BootParams.INIT_SIZE, 0x10000);
    b.put(LINUX_SETUP_BYTES, CODE);
    return b.array();
  }

  /** An ELF32 file with a multiboot header at the start of its one segment, loaded at 1 MiB, with 4 KiB of BSS. */
  static byte[] multibootElf32() {
    ByteBuffer b = little(0x1100);
    b.putInt(0, 0x464C457F).put(4, (byte) 1).put(5, (byte) 1).put(6, (byte) 1);
    b.putShort(0x10, (short) 2).putShort(0x12, (short) 3).putInt(0x14, 1);
    b.putInt(0x18, 0x10000C).putInt(0x1C, 52);
    b.putShort(0x28, (short) 52).putShort(0x2A, (short) 32).putShort(0x2C, (short) 1);
    b.putInt(52, 1).putInt(56, 0x1000).putInt(60, 0x100000).putInt(64, 0x100000).putInt(68, 0x100).putInt(72, 0x1100);
    multibootHeader(b, 0x1000, 3);
    b.put(0x100C, CODE);
    return b.array();
  }

  /** An ELF64 file linked to the upper half and loaded at 1 MiB. */
  static byte[] multibootElf64() {
    ByteBuffer b = little(0x1100);
    b.putInt(0, 0x464C457F).put(4, (byte) 2).put(5, (byte) 1).put(6, (byte) 1);
    b.putShort(0x10, (short) 2).putShort(0x12, (short) 62).putInt(0x14, 1);
    b.putLong(0x18, 0xFFFFFFFF8010000CL).putLong(0x20, 64);
    b.putShort(0x34, (short) 64).putShort(0x36, (short) 56).putShort(0x38, (short) 1);
    b.putInt(64, 1).putLong(72, 0x1000).putLong(80, 0xFFFFFFFF80100000L).putLong(88, 0x100000).putLong(96, 0x100)
        .putLong(104, 0x100);
    multibootHeader(b, 0x1000, 0);
    b.put(0x100C, CODE);
    return b.array();
  }

  /** A flat image whose multiboot header gives addresses: header 16 bytes into what is loaded at 2 MiB. */
  static byte[] multibootFlat() {
    ByteBuffer b = little(0x200);
    multibootHeader(b, 0x40, 0x10000);
    b.putInt(0x4C, 0x200010).putInt(0x50, 0x200000).putInt(0x54, 0x200100).putInt(0x58, 0x200300).putInt(0x5C,
        0x200030);
    b.put(0x60, CODE);
    return b.array();
  }

  static void multibootHeader(ByteBuffer b, int at, int flags) {
    b.putInt(at, 0x1BADB002).putInt(at + 4, flags).putInt(at + 8, -(0x1BADB002 + flags));
  }
}
