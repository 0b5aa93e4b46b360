package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;

/**
 * The hypervisor's access to guest memory by guest-physical address: loaders, polled devices, debugger. It passes the
 * one write seam of {@link HostMemory}, may write read-only slots, and backs what it writes. Reads of what was never
 * touched give zeros and back nothing.
 */
public final class GuestPhysicalMemory {
  private static final int PAGE = HostMemory.FRAME_SIZE;
  private static final int PAGE_MASK = PAGE - 1;

  /**
   * Hears of each write that has happened here, for whoever derives something from the guest's memory (KVM:
   * {@code kvm_page_track_write}).
   */
  @FunctionalInterface
  public interface WriteTracker {
    void written(@Gpa long gpa, int size);
  }

  private final HostMemory memory;
  private final SlotMap slots;
  private WriteTracker tracker = (gpa, size) -> { };

  public GuestPhysicalMemory(HostMemory memory, SlotMap slots) {
    this.memory = memory;
    this.slots = slots;
  }

  /** Who hears of writes from now on. */
  public void setTracker(WriteTracker tracker) {
    this.tracker = tracker;
  }

  /**
   * These bytes, within one page, were written through the write seam of {@link HostMemory}: dirty logs and the tracker
   * are told.
   */
  public void written(@Gpa long gpa, int size) {
    slots.markDirty(gpa);
    tracker.written(gpa, size);
  }

  /** Zero-extended read of 1, 2, 4 or 8 bytes within one page; all ones where there is no memory. */
  public long read(@Gpa long gpa, int size) {
    if (slots.kind(gpa) == SlotMap.NONE) {
      return -1L >>> 64 - 8 * size;
    }
    @Hpa long hpa = slots.backing(gpa);
    return hpa < 0 ? 0 : memory.read(hpa, size);
  }

  /** Write of 1, 2, 4 or 8 bytes within one page; dropped where there is no memory. */
  public void write(@Gpa long gpa, int size, long value) {
    @Hpa long hpa = slots.back(gpa);
    if (hpa >= 0) {
      memory.write(hpa, size, value);
      written(gpa, size);
    }
  }

  /** Whether memory lies at each byte of a range. */
  public boolean covers(@Gpa long gpa, long length) {
    if (gpa < 0 || length < 0 || gpa > Long.MAX_VALUE - length) {
      return false;
    }
    for (long page = gpa & -PAGE; page < gpa + length; page += PAGE) {
      if (slots.kind(page) == SlotMap.NONE) {
        return false;
      }
    }
    return true;
  }

  /** Whether RAM lies at each byte of a range, as a device that writes by DMA needs it. */
  public boolean isRam(@Gpa long gpa, long length) {
    if (gpa < 0 || length < 0 || gpa > Long.MAX_VALUE - length) {
      return false;
    }
    for (long page = gpa & -PAGE; page < gpa + length; page += PAGE) {
      if (slots.kind(page) != SlotMap.RAM) {
        return false;
      }
    }
    return true;
  }

  /**
   * Copies bytes in.
   *
   * @throws IllegalArgumentException if there is no memory somewhere in the range; nothing is written then
   */
  public void write(@Gpa long gpa, byte[] bytes, int from, int length) {
    requireCovered(gpa, length);
    for (int done = 0; done < length; ) {
      int chunk = Math.min(length - done, PAGE - ((int) (gpa + done) & PAGE_MASK));
      memory.writeBytes(slots.back(gpa + done), bytes, from + done, chunk);
      written(gpa + done, chunk);
      done += chunk;
    }
  }

  /** Copies all of {@code bytes} in. */
  public void write(@Gpa long gpa, byte[] bytes) {
    write(gpa, bytes, 0, bytes.length);
  }

  /** Zeroes a range; what is not backed is zero already and stays so. */
  public void zero(@Gpa long gpa, long length) {
    requireCovered(gpa, length);
    byte[] zeros = new byte[PAGE];
    for (long done = 0; done < length; ) {
      int chunk = (int) Math.min(length - done, PAGE - Addresses.offset(gpa + done, PAGE));
      @Hpa long hpa = slots.backing(gpa + done);
      if (hpa >= 0) {
        memory.writeBytes(hpa, zeros, 0, chunk);
        written(gpa + done, chunk);
      }
      done += chunk;
    }
  }

  /** Copies bytes out. @throws IllegalArgumentException if there is no memory somewhere in the range */
  public byte[] read(@Gpa long gpa, long length, int limit) {
    if (length > limit) {
      throw new IllegalArgumentException("read of " + length + " bytes of guest memory: expected at most " + limit);
    }
    requireCovered(gpa, length);
    byte[] bytes = new byte[(int) length];
    for (int done = 0; done < length; ) {
      int chunk = (int) Math.min(length - done, PAGE - Addresses.offset(gpa + done, PAGE));
      @Hpa long hpa = slots.backing(gpa + done);
      if (hpa >= 0) {
        memory.readBytes(hpa, bytes, done, chunk);
      }
      done += chunk;
    }
    return bytes;
  }

  private void requireCovered(@Gpa long gpa, long length) {
    if (!covers(gpa, length)) {
      throw new IllegalArgumentException(
          "guest-physical range 0x" + Long.toHexString(gpa) + " + " + length + " bytes: expected memory there");
    }
  }
}
