package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The slots of a machine, sorted by address and free of overlap. That of a PC without firmware:
 * <pre>
 *  0       .. 9FFFF    RAM         "low RAM"
 *  A0000   .. BFFFF    hole: video memory, a device's business
 *  C0000   .. FFFFF    READ_ONLY   "ROM", all ones, as sockets without chips read
 *  100000  .. size − 1 RAM         "RAM"
 * </pre>
 * As on a PC the memory behind the hole is lost: the size given is the address at which RAM ends. Scans of 40E and of
 * E0000–FFFFF find neither an EBDA nor SMBIOS nor ACPI tables.
 *
 * @param slots in order of address
 */
public record MemoryLayout(List<MemorySlot> slots) {
  /** End of low RAM and start of the video memory. */
  public static final @Gpa long HOLE_START = 0xA0000;
  /** End of the video memory, where read-only memory begins. */
  public static final @Gpa long ROM_START = 0xC0000;
  /** Start of RAM above the hole: 1 MiB. */
  public static final @Gpa long HIGH_START = 0x100000;

  /** Start of the system BIOS's 64 KiB below 1 MiB. */
  public static final @Gpa long BIOS_START = 0xF0000;
  /** Bytes of a segment of the attribute map below {@link #BIOS_START}. */
  public static final long ATTRIBUTE_SEGMENT = 0x4000;
  /** Where firmware in ROM ends: 4 GiB. */
  public static final @Gpa long FIRMWARE_END = 1L << 32;

  /** Where a PC's devices begin, up to 4 GiB: 3 GiB. */
  public static final @Gpa long DEVICE_START = 0xC000_0000L;

  public MemoryLayout {
    List<MemorySlot> sorted = new ArrayList<>(slots);
    sorted.sort(Comparator.comparingLong(slot -> Addresses.bits(slot.gpa())));
    for (int i = 1; i < sorted.size(); i++) {
      if (sorted.get(i - 1).overlaps(sorted.get(i))) {
        throw new IllegalArgumentException("memory slot " + sorted.get(i - 1) + " overlaps " + sorted.get(i));
      }
    }
    for (int i = 0; i < sorted.size(); i++) {
      for (int k = 0; k < i; k++) {
        if (sorted.get(i).name().equals(sorted.get(k).name())) {
          throw new IllegalArgumentException("memory slots " + sorted.get(k) + " and " + sorted.get(i)
              + ": expected different names");
        }
      }
    }
    slots = List.copyOf(sorted);
  }

  /**
   * The PC's layout.
   *
   * @param memoryBytes where RAM ends: a multiple of 4096, from one page to what {@link HostMemory} can hold
   */
  public static MemoryLayout pc(long memoryBytes) {
    if (memoryBytes <= 0) {
      throw new IllegalArgumentException("memory size of " + memoryBytes + " bytes: expected at least 4096");
    }
    if ((memoryBytes & (HostMemory.FRAME_SIZE - 1)) != 0) {
      throw new IllegalArgumentException("memory size of " + memoryBytes + " bytes: expected a multiple of 4096");
    }
    if (memoryBytes > HostMemory.MAX_BYTES) {
      throw new IllegalArgumentException("memory size of " + memoryBytes + " bytes: expected at most "
          + HostMemory.MAX_BYTES);
    }
    List<MemorySlot> slots = new ArrayList<>();
    slots.add(new MemorySlot(MemorySlot.Kind.RAM, 0, Math.min(memoryBytes, Addresses.bits(HOLE_START)), "low RAM"));
    slots.add(new MemorySlot(MemorySlot.Kind.READ_ONLY, ROM_START, Addresses.bits(HIGH_START - ROM_START), "ROM"));
    if (memoryBytes > HIGH_START) {
      slots.add(new MemorySlot(MemorySlot.Kind.RAM, HIGH_START, Addresses.bits(memoryBytes - HIGH_START), "RAM"));
    }
    return new MemoryLayout(slots);
  }

  /**
   * The layout with the ROM below 1 MiB in the segments of a 440FX's attribute map, each a slot: sixteenths of 256 KiB
   * up to F0000h and the rest.
   */
  public MemoryLayout withAttributeSegments() {
    List<MemorySlot> parts = new ArrayList<>(slots);
    parts.removeIf(slot -> Addresses.bits(slot.gpa()) == Addresses.bits(ROM_START));
    for (@Gpa long gpa = ROM_START; gpa < HIGH_START; ) {
      long size = gpa < BIOS_START ? ATTRIBUTE_SEGMENT : Addresses.bits(HIGH_START - BIOS_START);
      parts.add(new MemorySlot(MemorySlot.Kind.READ_ONLY, gpa, size, "ROM " + Long.toHexString(gpa)));
      gpa += size;
    }
    return new MemoryLayout(parts);
  }

  /** The layout with a ROM that ends at 4 GiB, where the processor starts. @param bytes a multiple of 4096 */
  public MemoryLayout withFirmware(long bytes) {
    return with(new MemorySlot(MemorySlot.Kind.READ_ONLY, FIRMWARE_END - bytes, bytes, "firmware"));
  }

  /** This layout with one more slot. */
  public MemoryLayout with(MemorySlot slot) {
    List<MemorySlot> more = new ArrayList<>(slots);
    more.add(slot);
    return new MemoryLayout(more);
  }

  /** The slot at an address, null if there is none. */
  public MemorySlot at(@Gpa long gpa) {
    for (MemorySlot slot : slots) {
      if (slot.contains(gpa)) {
        return slot;
      }
    }
    return null;
  }

  /** The slot of a name. @throws IllegalArgumentException if there is none */
  public MemorySlot named(String name) {
    for (MemorySlot slot : slots) {
      if (slot.name().equals(name)) {
        return slot;
      }
    }
    throw new IllegalArgumentException("memory slot " + name + ": no slot of that name");
  }

  /** Where RAM ends: the first address behind the last RAM slot, 0 without RAM. */
  public @Gpa long ramEnd() {
    @Gpa long end = 0;
    for (MemorySlot slot : slots) {
      if (slot.kind() == MemorySlot.Kind.RAM) {
        end = slot.end();
      }
    }
    return end;
  }

  /** First address behind everything that memory backs, but for firmware at 4 GiB. */
  public @Gpa long backedEnd() {
    @Gpa long end = 0;
    for (MemorySlot slot : slots) {
      if (slot.kind().mapping() != dev.gnomon.guest.memory.SlotMap.NONE && !isFirmware(slot)) {
        end = slot.end();
      }
    }
    return end;
  }

  /** Whether a slot is the ROM at 4 GiB. */
  static boolean isFirmware(MemorySlot slot) {
    return slot.kind() == MemorySlot.Kind.READ_ONLY && Addresses.bits(slot.end()) == Addresses.bits(FIRMWARE_END);
  }

  /** Bytes of the ROM at 4 GiB, 0 if there is none. */
  public long firmwareBytes() {
    for (MemorySlot slot : slots) {
      if (isFirmware(slot)) {
        return slot.size();
      }
    }
    return 0;
  }

  /** Bytes of host memory that a machine without a hypervisor needs: up to {@link #backedEnd()}, and the firmware's. */
  public long nativeBytes() {
    return Addresses.bits(backedEnd()) + firmwareBytes();
  }
}
