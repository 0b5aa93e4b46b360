package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.SlotMap;
import java.util.Objects;

/**
 * A range of guest-physical addresses that is one thing (KVM: {@code kvm_userspace_memory_region}).
 *
 * @param kind what lies there
 * @param gpa first guest-physical address, a multiple of 4096
 * @param size bytes, a multiple of 4096, at least one page
 * @param name short name for messages and reports, unique in a layout
 */
public record MemorySlot(Kind kind, @Gpa long gpa, long size, String name) {
  private static final long PAGE_MASK = HostMemory.FRAME_SIZE - 1;

  /** What a slot is. */
  public enum Kind {
    /** Ordinary memory, backed on first touch. */
    RAM(SlotMap.RAM),
    /** Reads are direct, writes go to the device bus and so vanish (KVM: {@code KVM_MEM_READONLY}). */
    READ_ONLY(SlotMap.READ_ONLY),
    /** A trapped device: each access leaves the guest. The slot keeps memory from being put there. */
    MMIO(SlotMap.NONE),
    /**
     * Memory that the guest's operating system must leave alone (E820 type 2): the page of a polled device, backed from
     * the start.
     */
    RESERVED(SlotMap.RAM);

    private final int mapping;

    Kind(int mapping) {
      this.mapping = mapping;
    }

    /** How the slot is mapped: {@link SlotMap#NONE}, {@link SlotMap#RAM} or {@link SlotMap#READ_ONLY}. */
    public int mapping() {
      return mapping;
    }
  }

  public MemorySlot {
    Objects.requireNonNull(kind);
    Objects.requireNonNull(name);
    if (size <= 0 || (size & PAGE_MASK) != 0) {
      throw new IllegalArgumentException(name + ": size of " + size + " bytes, expected a positive multiple of 4096");
    }
    if (gpa < 0 || (gpa & PAGE_MASK) != 0 || gpa > (1L << HostMemory.MAXPHYADDR) - size) {
      throw new IllegalArgumentException(name + ": " + size + " bytes at guest-physical 0x" + Long.toHexString(gpa)
          + ", expected a multiple of 4096 with its end within " + HostMemory.MAXPHYADDR + " address bits");
    }
  }

  /** First guest-physical address behind the slot. */
  public @Gpa long end() {
    return gpa + size;
  }

  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public boolean contains(@Gpa long address) {
    return address >= gpa && address - gpa < size;
  }

  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public boolean overlaps(MemorySlot other) {
    return gpa < other.end() && other.gpa < end();
  }

  /** Name, kind and inclusive range: {@code low RAM (RAM, 0x0-0x9ffff)}. */
  @Override
  public String toString() {
    return name + " (" + kind + ", 0x" + Long.toHexString(gpa) + "-0x" + Long.toHexString(end() - 1) + ")";
  }
}
