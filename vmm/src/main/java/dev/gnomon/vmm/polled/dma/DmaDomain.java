package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.vmm.memory.MemorySlot;
import dev.gnomon.vmm.memory.MemorySlots;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import org.eclipse.collections.impl.map.mutable.primitive.LongIntHashMap;

/**
 * What one device may reach: its windows for as long as it is attached, and pages of RAM that the guest names at run
 * time, pinned until the device releases them or the guest is reset. Everything else is denied; tables, device ranges,
 * ROM, other devices' windows and reserved ranges cannot be named at all.
 *
 * <p>Changes are synchronous: each takes the lock that a step of the device holds, so when a method that takes memory
 * away returns, no access to it is under way and none can follow.
 */
public final class DmaDomain {
  /** What a device reaches beside its windows. */
  public enum Policy {
    /** Nothing. */
    WINDOWS_ONLY,
    /** What the guest names and the device pins. */
    QUEUES_AND_BUFFERS,
    /** All RAM: what a guest needs that does not say what its devices may reach. */
    ALL_RAM
  }

  /** Pages that a device can hold pinned: 256 MiB. */
  public static final int MAX_PINNED_PAGES = 1 << 16;

  private static final int PAGE = HostMemory.FRAME_SIZE;

  private final String device;
  private final Policy policy;
  private final MemorySlots slots;
  private final SecondLevelTable table;
  private final FaultLog faults;
  private final Boundary boundary = new Boundary();
  /** Times that each page is pinned, by frame number. */
  private final LongIntHashMap pins = new LongIntHashMap();
  private final LongIntHashMap writablePins = new LongIntHashMap();
  /** Grows with each change of the tables; ports compare it. Written under the lock. */
  private volatile int generation;

  /** @param device name of the requester, for faults */
  public DmaDomain(String device, Policy policy, MemorySlots slots, DeviceFrames frames, FaultLog faults) {
    this.device = device;
    this.policy = policy;
    this.slots = slots;
    this.table = new SecondLevelTable(frames);
    this.faults = faults;
    grantRam();
  }

  public String device() {
    return device;
  }

  public Policy policy() {
    return policy;
  }

  /** Where refused requests are recorded. */
  public FaultLog faults() {
    return faults;
  }

  /** The tables, to look at. */
  public SecondLevelTable table() {
    return table;
  }

  /** Held by whoever lets the device run, for as long as a step takes. */
  public Boundary boundary() {
    return boundary;
  }

  int generation() {
    return generation;
  }

  /** Pages of RAM that are pinned. */
  public int pinnedPages() {
    return pins.size();
  }

  /**
   * Maps a window for good.
   *
   * @param hpa what lies behind it, contiguous
   * @param rights of the device, bits of {@link SecondLevelEntry#RIGHTS}
   * @throws IllegalArgumentException if no frame is left for the tables
   */
  public void grant(@Gpa long gpa, @Hpa long hpa, long length, long rights) {
    if (!table.map(gpa, hpa, length, rights)) {
      throw new IllegalArgumentException(device + ": no frame left for second-level tables of " + length
          + " bytes at guest-physical 0x"
          + Long.toHexString(gpa));
    }
    generation++;
  }

  private void grantRam() {
    if (policy != Policy.ALL_RAM) {
      return;
    }
    for (MemorySlot slot : slots.layout().slots()) {
      if (slot.kind() == MemorySlot.Kind.RAM) {
        for (@Gpa long gpa = slot.gpa(); gpa < slot.end(); ) {
          long size = 1L << slots.mappingShift(gpa);
          grant(gpa, slots.back(gpa), size, SecondLevelEntry.RIGHTS);
          gpa += size;
        }
      }
    }
  }

  /**
   * Pins pages that the guest has named.
   *
   * @param gpa any address
   * @param length bytes; any number, as a guest gives it
   * @param write whether the device may write there
   * @return false if that is refused, with the fault recorded and nothing changed
   */
  public boolean pin(@Gpa long gpa, long length, boolean write) {
    boundary.enter();
    try {
      DmaFault.Reason refusal = refusal(gpa, length);
      if (refusal == null && (length >> HostMemory.FRAME_SHIFT) + pins.size() >= MAX_PINNED_PAGES) {
        refusal = DmaFault.Reason.TOO_MANY_PAGES;
      }
      if (refusal != null) {
        faults.record(new DmaFault(device, gpa, write, refusal));
        return false;
      }
      if (length == 0) {
        return true;
      }
      for (@Gpa long page = gpa & -PAGE; page < gpa + length; page += PAGE) {
        long gfn = Addresses.frame(page);
        int writable = write ? writablePins.addToValue(gfn, 1) : writablePins.get(gfn);
        boolean first = pins.addToValue(gfn, 1) == 1;
        if ((first || write && writable == 1) && policy != Policy.ALL_RAM
            && !table.map(page, slots.back(page), PAGE,
                writable > 0 ? SecondLevelEntry.RIGHTS : SecondLevelEntry.READ)) {
          release(gpa & -PAGE, page + PAGE, write);
          faults.record(new DmaFault(device, page, write, DmaFault.Reason.TOO_MANY_PAGES));
          return false;
        }
      }
      generation++;
      return true;
    } finally {
      boundary.leave();
    }
  }

  private DmaFault.Reason refusal(@Gpa long gpa, long length) {
    if (policy == Policy.WINDOWS_ONLY) {
      return DmaFault.Reason.NOT_ALLOWED;
    }
    if (length < 0 || Addresses.bits(gpa) > Long.MAX_VALUE - length || Addresses.bits(gpa) < 0) {
      return DmaFault.Reason.BAD_LENGTH;
    }
    if (gpa + length > 1L << SecondLevelEntry.ADDRESS_BITS) {
      return DmaFault.Reason.BEYOND_WIDTH;
    }
    for (@Gpa long at = gpa; at < gpa + length; ) {
      MemorySlot slot = slots.layout().at(at);
      if (slot == null || slot.kind() != MemorySlot.Kind.RAM) {
        return DmaFault.Reason.NOT_RAM;
      }
      at = slot.end();
    }
    return null;
  }

  /**
   * Releases pages as often as they were pinned with the same range and right; ranges that were never pinned are none
   * of its business.
   */
  public void unpin(@Gpa long gpa, long length, boolean write) {
    boundary.enter();
    try {
      if (length > 0 && refusal(gpa, length) == null) {
        release(gpa & -PAGE, gpa + length, write);
      }
    } finally {
      boundary.leave();
    }
  }

  private void release(@Gpa long from, @Gpa long to, boolean write) {
    for (@Gpa long page = from; page < to; page += PAGE) {
      long gfn = Addresses.frame(page);
      int count = pins.get(gfn);
      if (count == 0) {
        continue;
      }
      int writable = writablePins.get(gfn);
      if (write && writable > 0) {
        writable--;
        put(writablePins, gfn, writable);
      }
      put(pins, gfn, count - 1);
      if (policy != Policy.ALL_RAM) {
        if (count == 1) {
          table.unmap(page, PAGE);
        } else if (write && writable == 0) {
          table.map(page, slots.back(page), PAGE, SecondLevelEntry.READ);
        }
      }
    }
    generation++;
  }

  private static void put(LongIntHashMap map, long key, int count) {
    if (count == 0) {
      map.removeKey(key);
    } else {
      map.put(key, count);
    }
  }

  /** Takes back all that the guest has named, as at its reset. */
  public void revoke() {
    boundary.enter();
    try {
      if (policy != Policy.ALL_RAM) {
        pins.forEachKey(gfn -> table.unmap(gfn << HostMemory.FRAME_SHIFT, PAGE));
      }
      pins.clear();
      writablePins.clear();
      generation++;
    } finally {
      boundary.leave();
    }
  }

  /**
   * Takes pages away, pinned or not, because the host moves or withdraws them. When it returns, no access to them is
   * under way, and later ones are faults.
   */
  public void unmap(@Gpa long gpa, long length) {
    boundary.enter();
    try {
      table.unmap(gpa & -PAGE, (Addresses.offset(gpa, PAGE) + length + PAGE - 1) & -PAGE);
      generation++;
    } finally {
      boundary.leave();
    }
  }

  /**
   * Maps pinned pages anew, because the host moves them. When it returns, no access to where they were is under way,
   * and later ones go where the host's memory slots say.
   */
  public void remap(@Gpa long gpa, long length) {
    boundary.enter();
    try {
      for (@Gpa long page = gpa & -PAGE; page < gpa + length; page += PAGE) {
        long gfn = Addresses.frame(page);
        if (pins.containsKey(gfn) || policy == Policy.ALL_RAM && slots.kind(page) == SlotMap.RAM) {
          table.unmap(page, PAGE);
          boolean writable = policy == Policy.ALL_RAM || writablePins.get(gfn) > 0;
          table.map(page, slots.back(page), PAGE, writable ? SecondLevelEntry.RIGHTS : SecondLevelEntry.READ);
        }
      }
      generation++;
    } finally {
      boundary.leave();
    }
  }

  /** Unmaps everything, windows too. */
  public void dispose() {
    boundary.enter();
    try {
      table.clear();
      pins.clear();
      writablePins.clear();
      generation++;
    } finally {
      boundary.leave();
    }
  }

  /** Writes the pinned pages. */
  public void save(DataOutput out) throws IOException {
    long[] gfns = pins.keySet().toSortedArray();
    out.writeInt(gfns.length);
    for (long gfn : gfns) {
      out.writeLong(gfn);
      out.writeInt(pins.get(gfn));
      out.writeInt(writablePins.get(gfn));
    }
  }

  /** Reads what {@link #save} wrote and pins it again. @throws IOException if that is no longer possible */
  public void load(DataInput in) throws IOException {
    revoke();
    int pages = in.readInt();
    for (int i = 0; i < pages; i++) {
      @Gpa long page = in.readLong() << HostMemory.FRAME_SHIFT;
      int count = in.readInt();
      int writable = in.readInt();
      for (int k = 0; k < count; k++) {
        if (!pin(page, PAGE, k < writable)) {
          throw new IOException(device + ": saved state has page 0x" + Long.toHexString(page)
              + " pinned, expected RAM there");
        }
      }
    }
  }
}
