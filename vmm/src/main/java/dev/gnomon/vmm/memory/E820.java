package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Gpa;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory map that firmware gives an operating system (ACPI specification, "INT 15H, E820H - Query System Address
 * Map"): RAM is type 1, reserved and read-only memory type 2; devices are not listed.
 *
 * @param entries in order of address, neighbours of one type joined
 */
public record E820(List<Entry> entries) {
  /** Memory that the operating system may use. */
  public static final int TYPE_RAM = 1;
  /** Memory that it must leave alone. */
  public static final int TYPE_RESERVED = 2;

  /**
   * One range.
   *
   * @param base first guest-physical address
   * @param length bytes, at least 1
   * @param type {@link #TYPE_RAM} or {@link #TYPE_RESERVED}
   */
  public record Entry(@Gpa long base, long length, int type) {
    public @Gpa long end() {
      return base + length;
    }
  }

  public E820 {
    entries = List.copyOf(entries);
  }

  /** The map of a layout. */
  public static E820 of(MemoryLayout layout) {
    List<Entry> entries = new ArrayList<>();
    for (MemorySlot slot : layout.slots()) {
      if (slot.kind() == MemorySlot.Kind.MMIO) {
        continue;
      }
      int type = slot.kind() == MemorySlot.Kind.RAM ? TYPE_RAM : TYPE_RESERVED;
      Entry last = entries.isEmpty() ? null : entries.get(entries.size() - 1);
      if (last != null && last.type == type && last.end() == slot.gpa()) {
        entries.set(entries.size() - 1, new Entry(last.base, last.length + slot.size(), type));
      } else {
        entries.add(new Entry(slot.gpa(), slot.size(), type));
      }
    }
    return new E820(entries);
  }

  /** Whether a whole range is usable RAM. */
  public boolean isRam(@Gpa long base, long length) {
    for (Entry entry : entries) {
      if (entry.type == TYPE_RAM && base >= entry.base && length >= 0 && length <= entry.end() - base) {
        return true;
      }
    }
    return false;
  }
}
