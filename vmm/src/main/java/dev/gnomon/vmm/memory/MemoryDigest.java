package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * Checksums of all memory that a guest can see, a page each. Memory that is not backed counts as zeros, so machines of
 * one layout compare whatever their mode.
 */
public final class MemoryDigest {
  private static final int PAGE = HostMemory.FRAME_SIZE;

  private final HostMemory memory;
  private final MemorySlots slots;
  private final @Gpa long[] firstPages;
  private final int[] pageCounts;
  private final int pages;
  private final CRC32C crc = new CRC32C();
  private final int zeros;

  /** Of the slots that hold memory now. */
  public MemoryDigest(HostMemory memory, MemorySlots slots) {
    this.memory = memory;
    this.slots = slots;
    List<MemorySlot> backed = new ArrayList<>();
    for (MemorySlot slot : slots.layout().slots()) {
      if (slot.kind() != MemorySlot.Kind.MMIO) {
        backed.add(slot);
      }
    }
    firstPages = new @Gpa long[backed.size()];
    pageCounts = new int[backed.size()];
    int sum = 0;
    for (int i = 0; i < pageCounts.length; i++) {
      firstPages[i] = backed.get(i).gpa();
      pageCounts[i] = (int) (backed.get(i).size() / PAGE);
      sum += pageCounts[i];
    }
    pages = sum;
    crc.update(new byte[PAGE]);
    zeros = (int) crc.getValue();
  }

  /** Pages that are summed. */
  public int pages() {
    return pages;
  }

  /** Guest-physical address of a page by its number in {@link #sums}. */
  public @Gpa long address(int number) {
    int slot = 0;
    int rest = number;
    while (rest >= pageCounts[slot]) {
      rest -= pageCounts[slot++];
    }
    return firstPages[slot] + (long) rest * PAGE;
  }

  /** Writes the checksum of each page. @param into at least {@link #pages} long */
  public void sums(int[] into) {
    int number = 0;
    for (int slot = 0; slot < pageCounts.length; slot++) {
      for (int i = 0; i < pageCounts[slot]; i++) {
        @Hpa long hpa = slots.backing(firstPages[slot] + (long) i * PAGE);
        into[number++] = hpa < 0 ? zeros : sum(hpa);
      }
    }
  }

  private int sum(@Hpa long hpa) {
    crc.reset();
    memory.addTo(crc, hpa, PAGE);
    return (int) crc.getValue();
  }

  /** One checksum of all. */
  public int sum() {
    int[] sums = new int[pages];
    sums(sums);
    return Arrays.hashCode(sums);
  }
}
