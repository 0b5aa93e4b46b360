package dev.gnomon.vmm.firmware;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.FwCfg;
import dev.gnomon.vmm.device.Mc146818;
import dev.gnomon.vmm.memory.E820;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Objects;

/**
 * Firmware in ROM: it ends at 4 GiB, and its last 128 KiB are also seen below 1 MiB, as on a PC.
 *
 * @param name the file's, for messages
 * @param bytes a multiple of 4096, at most 16 MiB; a PC's has at least 64 KiB
 * @param videoBios an option ROM for the display that firmware finds in the firmware configuration device, and if it
 *     fits at C0000h, where that of a real display is, or null; without one the firmware is told to use the serial port
 *     for its console
 */
public record RomImage(String name, byte[] bytes, byte[] videoBios) {
  private static final int PAGE = 4096;
  private static final int MAX_BYTES = 16 << 20;
  private static final int LOW_BYTES = 128 << 10;
  private static final @Gpa long VIDEO_BIOS = 0xC0000;
  private static final int VIDEO_BIOS_BYTES = 128 << 10;
  private static final int E820_ENTRY = 20;

  // Bytes of the clock's memory in which QEMU leaves the order of boot devices.
  private static final int CMOS_BOOT_ORDER = 0x3D;
  /** How many application processors there are. */
  private static final int CMOS_OTHER_PROCESSORS = 0x5F;
  /** Hard disk, then CD. */
  private static final int BOOT_ORDER = 0x32;

  public RomImage {
    Objects.requireNonNull(name);
    if (bytes.length == 0 || bytes.length % PAGE != 0 || bytes.length > MAX_BYTES) {
      throw new IllegalArgumentException(name + ": firmware of " + bytes.length
          + " bytes: expected a multiple of 4096, at most 16 MiB");
    }
  }

  /** Firmware whose console is the serial port. */
  public RomImage(String name, byte[] bytes) {
    this(name, bytes, null);
  }

  /** Puts the ROM into memory. */
  public void install(GuestPhysicalMemory memory) {
    memory.write(MemoryLayout.FIRMWARE_END - bytes.length, bytes);
    int low = Math.min(bytes.length, LOW_BYTES);
    memory.write(MemoryLayout.HIGH_START - low, bytes, bytes.length - low, low);
    if (videoBios != null && videoBios.length <= VIDEO_BIOS_BYTES) {
      memory.write(VIDEO_BIOS, videoBios);
    }
  }

  /**
   * Fills a firmware configuration device.
   *
   * @param ramEnd where RAM ends, which begins at 0 for firmware
   * @param processors how many there are
   */
  public static void configure(FwCfg device, long ramEnd, RomImage rom, int processors) {
    ByteBuffer map = ByteBuffer.allocate(E820_ENTRY).order(ByteOrder.LITTLE_ENDIAN);
    map.putLong(0).putLong(ramEnd).putInt(E820.TYPE_RAM);
    device.add(FwCfg.RAM_SIZE, ramEnd, 8).add(FwCfg.NB_CPUS, processors, 2).add(FwCfg.MAX_CPUS, processors, 2)
        .add(FwCfg.IRQ0_OVERRIDE, 1, 4).add(FwCfg.NOGRAPHIC, rom == null || rom.videoBios != null ? 0 : 1, 2)
        .addFile("etc/e820", map.array());
    if (rom != null && rom.videoBios != null) {
      device.addFile("vgaroms/vgabios.bin", rom.videoBios);
    }
  }

  /** Leaves in the clock's memory what firmware wants to find there. */
  public static void describeBoot(Mc146818 rtc, int processors) {
    rtc.setMemory(CMOS_OTHER_PROCESSORS, processors - 1);
    rtc.setMemory(CMOS_BOOT_ORDER, BOOT_ORDER);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof RomImage rom && name.equals(rom.name) && Arrays.equals(bytes, rom.bytes)
        && Arrays.equals(videoBios, rom.videoBios);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  @Override
  public String toString() {
    return name + " (" + bytes.length + " bytes)";
  }
}
