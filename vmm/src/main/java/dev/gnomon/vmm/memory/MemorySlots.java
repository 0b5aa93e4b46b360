package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The slots of a running machine and the host memory behind them.
 *
 * <p>Under a hypervisor RAM is backed in naturally aligned pieces of one {@link BackingSize}, each allocated when it is
 * first touched, so the host-physical order is the order of first touches. A piece keeps its place within the piece (as
 * host huge pages do), so with large pieces the hole below 1 MiB costs host memory that nobody uses. Read-only and
 * reserved slots have backing of their own from the start:
 * <pre>
 *  offset in host memory   0 …                … F               … F + L         … end
 *                          whole pieces       last, cut piece   read-only and reserved slots by address
 * </pre>
 * Natively guest-physical is host-physical and all of it is there from the start, but for firmware at 4 GiB, which has
 * backing of its own behind all else.
 */
public final class MemorySlots implements SlotMap {
  private static final int FRAME_SHIFT = HostMemory.FRAME_SHIFT;
  private static final int SHIFT_2M = 21;
  private static final int SHIFT_1G = 30;
  private static final int UNBACKED = -1;
  private static final byte ABSENT_ROM = (byte) 0xFF;

  private final HostMemory memory;
  private final BackingSize backingSize;
  private final boolean identity;
  private final int[] pieceOffsets;
  private int nextPiece;
  private int residentFrames;
  private int generation;

  private MemoryLayout layout;
  private @Gpa long[] starts;
  private @Gpa long[] ends;
  private int[] mappings;
  /** Offset in host memory of a slot with backing of its own, {@link #UNBACKED} for RAM and devices. */
  private int[] runs;
  /** By slot: the pages written, bit n of word n / 64 for page n; null where writes are not logged. */
  private long[][] dirty;
  private int loggedSlots;
  private int last;
  /**
   * Host frames in the store by guest frame, plus 1, of RAM that is backed: what most lookups want. 0 if not looked up
   * yet or something else.
   */
  private int[] ramFrames;

  private MemorySlots(HostMemory memory, MemoryLayout layout, BackingSize backingSize, boolean identity) {
    this.memory = memory;
    this.backingSize = backingSize;
    this.identity = identity;
    long needed = identity ? layout.nativeBytes() : hostBytes(layout, backingSize);
    if (memory.dramBytes() < needed) {
      throw new IllegalArgumentException("host memory of " + memory.dramBytes() + " bytes: expected at least "
          + needed);
    }
    this.pieceOffsets = new int[identity ? 0 : pieces(layout, backingSize)];
    Arrays.fill(pieceOffsets, UNBACKED);
    index(layout);
    backRuns();
  }

  /**
   * The slots of a machine without a hypervisor; {@code memory} starts at host-physical 0 and holds
   * {@link MemoryLayout#nativeBytes()}.
   */
  public static MemorySlots identity(HostMemory memory, MemoryLayout layout) {
    if (memory.dramBase() != 0) {
      throw new IllegalArgumentException(
          "native memory at host-physical 0x" + Long.toHexString(memory.dramBase()) + ": expected it at 0");
    }
    return new MemorySlots(memory, layout, BackingSize.SIZE_1G, true);
  }

  /** The slots of a VM; {@code memory} holds at least {@link #hostBytes}. */
  public static MemorySlots virtual(HostMemory memory, MemoryLayout layout, BackingSize backingSize) {
    return new MemorySlots(memory, layout, backingSize, false);
  }

  /** Bytes of host memory that a VM of that layout can come to need. */
  public static long hostBytes(MemoryLayout layout, BackingSize backingSize) {
    long bytes = 0;
    long counted = 0;
    for (MemorySlot slot : layout.slots()) {
      if (slot.kind() == MemorySlot.Kind.RAM) {
        if (slot.end() > HostMemory.MAX_BYTES) {
          throw new IllegalArgumentException("memory slot " + slot + ": expected RAM to end at most at "
              + HostMemory.MAX_BYTES);
        }
        long first = Math.max(counted, Addresses.bits(slot.gpa()) >> backingSize.shift() << backingSize.shift());
        counted = Math.max(counted, roundUp(Addresses.bits(slot.end()), backingSize.bytes()));
        bytes += Math.max(0, counted - first);
      } else if (slot.kind().mapping() != NONE) {
        bytes += slot.size();
      }
    }
    return bytes - (counted - Addresses.bits(layout.ramEnd()));
  }

  private static int pieces(MemoryLayout layout, BackingSize backingSize) {
    return (int) (roundUp(Addresses.bits(layout.ramEnd()), backingSize.bytes()) >> backingSize.shift());
  }

  private static long roundUp(long value, long unit) {
    return (value + unit - 1) & -unit;
  }

  private void index(MemoryLayout newLayout) {
    int n = newLayout.slots().size();
    int[] newRuns = new int[n];
    layout = newLayout;
    starts = new @Gpa long[n];
    ends = new @Gpa long[n];
    mappings = new int[n];
    for (int i = 0; i < n; i++) {
      MemorySlot slot = newLayout.slots().get(i);
      starts[i] = slot.gpa();
      ends[i] = slot.end();
      mappings[i] = slot.kind().mapping();
      newRuns[i] = UNBACKED;
    }
    runs = newRuns;
    dirty = new long[n][];
    last = 0;
    ramFrames = new int[identity ? 0 : (int) Addresses.frame(newLayout.ramEnd())];
  }

  private void backRuns() {
    long offset = memory.dramBytes();
    for (int i = runs.length - 1; i >= 0; i--) {
      MemorySlot slot = layout.slots().get(i);
      if (slot.kind() == MemorySlot.Kind.RAM || slot.kind() == MemorySlot.Kind.MMIO) {
        continue;
      }
      if (!identity || MemoryLayout.isFirmware(slot)) {
        offset -= slot.size();
        runs[i] = (int) offset;
        residentFrames += (int) (slot.size() >> FRAME_SHIFT);
      }
      if (slot.kind() == MemorySlot.Kind.READ_ONLY) {
        memory.fill(back(slot.gpa()), (int) slot.size(), ABSENT_ROM);
      }
    }
  }

  /** The slots as they are now. */
  public MemoryLayout layout() {
    return layout;
  }

  /**
   * Adds a device range. Memory is fixed when the machine is built.
   *
   * @throws IllegalArgumentException if the slot is not {@link MemorySlot.Kind#MMIO}, overlaps another or has its name
   */
  public void add(MemorySlot slot) {
    if (slot.kind() != MemorySlot.Kind.MMIO) {
      throw new IllegalArgumentException("memory slot " + slot + ": expected kind MMIO once the machine is built");
    }
    change(layout.with(slot));
  }

  /** Takes a slot away; what the guest had mapped there must be zapped by the caller. RAM keeps its backing. */
  public void remove(String name) {
    List<MemorySlot> rest = new ArrayList<>(layout.slots());
    if (!rest.removeIf(slot -> slot.name().equals(name))) {
      throw new IllegalArgumentException("memory slot " + name + ": no slot of that name");
    }
    change(new MemoryLayout(rest));
  }

  private void change(MemoryLayout newLayout) {
    List<MemorySlot> before = layout.slots();
    int[] oldRuns = runs;
    long[][] oldDirty = dirty;
    int[] oldMappings = mappings;
    index(newLayout);
    loggedSlots = 0;
    for (int i = 0; i < runs.length; i++) {
      int was = before.indexOf(newLayout.slots().get(i));
      runs[i] = was < 0 ? UNBACKED : oldRuns[was];
      dirty[i] = was < 0 ? null : oldDirty[was];
      loggedSlots += dirty[i] == null ? 0 : 1;
      mappings[i] = was < 0 ? mappings[i] : oldMappings[was];
    }
    generation++;
  }

  /**
   * Lets the guest write a read-only slot, or no longer, as a chipset does with shadow RAM. What the guest had mapped
   * there must be zapped by the caller. @return whether that changed anything
   *
   * @param gpa an address in the slot
   * @throws IllegalArgumentException if the slot is not {@link MemorySlot.Kind#READ_ONLY}
   */
  public boolean setWritable(@Gpa long gpa, boolean writable) {
    int i = find(gpa);
    if (i < 0 || layout.slots().get(i).kind() != MemorySlot.Kind.READ_ONLY) {
      throw new IllegalArgumentException("guest-physical 0x" + Long.toHexString(gpa) + ": expected a read-only slot");
    }
    int mapping = writable ? RAM : READ_ONLY;
    if (mappings[i] == mapping) {
      return false;
    }
    mappings[i] = mapping;
    generation++;
    return true;
  }

  @Override
  public int kind(@Gpa long gpa) {
    if (ramFrame(gpa) != 0) {
      return RAM;
    }
    int i = find(gpa);
    return i < 0 ? NONE : mappings[i];
  }

  @Override
  public @Hpa long back(@Gpa long gpa) {
    return resolve(gpa, true);
  }

  @Override
  public @Hpa long backing(@Gpa long gpa) {
    return resolve(gpa, false);
  }

  @SuppressWarnings("subtyping") // The slots are where a guest-physical address becomes a host-physical one.
  private @Hpa long resolve(@Gpa long gpa, boolean allocate) {
    int frame = ramFrame(gpa);
    if (frame != 0) {
      return memory.dramBase() + ((long) frame - 1 << FRAME_SHIFT) + Addresses.offset(gpa, HostMemory.FRAME_SIZE);
    }
    int i = find(gpa);
    if (i < 0 || mappings[i] == NONE) {
      return -1;
    }
    if (runs[i] != UNBACKED) {
      return memory.dramBase() + runs[i] + (gpa - starts[i]);
    }
    if (identity) {
      return gpa;
    }
    int piece = (int) (gpa >> backingSize.shift());
    if (pieceOffsets[piece] == UNBACKED) {
      if (!allocate) {
        return -1;
      }
      allocate(piece);
    }
    long offset = pieceOffsets[piece] + (gpa & backingSize.bytes() - 1);
    if (mappings[i] == RAM) {
      ramFrames[(int) Addresses.frame(gpa)] = (int) (offset >> FRAME_SHIFT) + 1;
    }
    return memory.dramBase() + offset;
  }

  private int ramFrame(@Gpa long gpa) {
    long gfn = Addresses.frame(gpa);
    return gfn < ramFrames.length ? ramFrames[(int) gfn] : 0;
  }

  private void allocate(int piece) {
    long size = Math.min(backingSize.bytes(), Addresses.bits(layout.ramEnd()) - ((long) piece << backingSize.shift()));
    boolean cut = piece == pieceOffsets.length - 1 && size < backingSize.bytes();
    if (cut) {
      // The cut piece lies behind all whole ones, so that it does not spoil their alignment.
      int whole = 0;
      for (int p = 0; p < piece; p++) {
        whole += pieceHasRam(p) ? 1 : 0;
      }
      pieceOffsets[piece] = whole << backingSize.shift();
    } else {
      pieceOffsets[piece] = nextPiece++ << backingSize.shift();
    }
    residentFrames += (int) (size >> FRAME_SHIFT);
  }

  private boolean pieceHasRam(int piece) {
    long start = (long) piece << backingSize.shift();
    for (MemorySlot slot : layout.slots()) {
      if (slot.kind() == MemorySlot.Kind.RAM && slot.gpa() < start + backingSize.bytes() && start < slot.end()) {
        return true;
      }
    }
    return false;
  }

  @Override
  public int mappingShift(@Gpa long gpa) {
    int i = find(gpa);
    if (i >= 0 && mappings[i] != NONE && dirty[i] == null) {
      if (fits(i, gpa, SHIFT_1G)) {
        return SHIFT_1G;
      }
      if (fits(i, gpa, SHIFT_2M)) {
        return SHIFT_2M;
      }
    }
    return FRAME_SHIFT;
  }

  /**
   * Whether the page of that size around {@code gpa} lies in the slot, and its backing is, or would be, as large and as
   * aligned.
   */
  @SuppressWarnings("subtyping") // Alignment is judged of a sum over both kinds.
  private boolean fits(int slot, @Gpa long gpa, int shift) {
    long size = 1L << shift;
    long start = gpa & -size;
    if (start < starts[slot] || start + size > ends[slot]) {
      return false;
    }
    if (runs[slot] != UNBACKED) {
      return (memory.dramBase() + runs[slot] + (start - starts[slot]) & size - 1) == 0;
    }
    if (identity) {
      return true;
    }
    return backingSize.shift() >= shift;
  }

  /**
   * Begins to note which pages of a slot are written; none is at first. The caller lets no mapping grant more than
   * {@link #logged} says.
   *
   * @throws IllegalArgumentException if there is no writable slot of that name or it is logged already
   */
  public MemorySlot startLog(String name) {
    int i = slotIndex(name);
    MemorySlot slot = layout.slots().get(i);
    if (mappings[i] != RAM || dirty[i] != null || slot.kind() == MemorySlot.Kind.RESERVED) {
      throw new IllegalArgumentException(
          "memory slot " + slot + ": expected memory that the guest can write, that is no device's, and that is not"
              + " logged yet");
    }
    dirty[i] = emptyBitmap(slot);
    loggedSlots++;
    return slot;
  }

  /** The pages written since the log began or was last taken. The log goes on empty. */
  public long[] takeLog(String name) {
    int i = loggedIndex(name);
    long[] taken = dirty[i];
    dirty[i] = emptyBitmap(layout.slots().get(i));
    return taken;
  }

  /** Notes nothing more of a slot. */
  public MemorySlot stopLog(String name) {
    int i = loggedIndex(name);
    dirty[i] = null;
    loggedSlots--;
    return layout.slots().get(i);
  }

  /** Writes which slots are logged, and the pages written. */
  public void saveLogs(DataOutput out) throws IOException {
    out.writeInt(dirty.length);
    for (long[] log : dirty) {
      out.writeInt(log == null ? 0 : log.length);
      for (int i = 0; log != null && i < log.length; i++) {
        out.writeLong(log[i]);
      }
    }
  }

  /**
   * Reads what {@link #saveLogs} wrote.
   *
   * @throws IOException if it is of other slots or ends early
   */
  public void loadLogs(DataInput in) throws IOException {
    int count = in.readInt();
    if (count != dirty.length) {
      throw new IOException("dirty log of " + count + " memory slots: expected " + dirty.length);
    }
    loggedSlots = 0;
    for (int i = 0; i < count; i++) {
      int words = in.readInt();
      int expected = emptyBitmap(layout.slots().get(i)).length;
      if (words != 0 && words != expected) {
        throw new IOException("dirty log of memory slot " + layout.slots().get(i) + ": " + words + " words, expected "
            + expected);
      }
      dirty[i] = words == 0 ? null : new long[words];
      for (int word = 0; word < words; word++) {
        dirty[i][word] = in.readLong();
      }
      loggedSlots += words == 0 ? 0 : 1;
    }
  }

  /** The slot of a name. @throws IllegalArgumentException if there is none or its writes are not logged */
  public MemorySlot logged(String name) {
    return layout.slots().get(loggedIndex(name));
  }

  /** Slots whose writes are logged. */
  public int loggedSlots() {
    return loggedSlots;
  }

  private static long[] emptyBitmap(MemorySlot slot) {
    return new long[(int) ((slot.size() >> FRAME_SHIFT) + Long.SIZE - 1 >> 6)];
  }

  private int loggedIndex(String name) {
    int i = slotIndex(name);
    if (dirty[i] == null) {
      throw new IllegalArgumentException("memory slot " + layout.slots().get(i)
          + ": expected one whose writes are logged");
    }
    return i;
  }

  private int slotIndex(String name) {
    for (int i = 0; i < starts.length; i++) {
      if (layout.slots().get(i).name().equals(name)) {
        return i;
      }
    }
    throw new IllegalArgumentException("memory slot " + name + ": no slot of that name");
  }

  @Override
  public boolean logged(@Gpa long gpa) {
    if (loggedSlots == 0) {
      return false;
    }
    int i = find(gpa);
    return i >= 0 && dirty[i] != null;
  }

  @Override
  public void markDirty(@Gpa long gpa) {
    if (loggedSlots != 0) {
      int i = find(gpa);
      if (i >= 0 && dirty[i] != null) {
        int page = (int) (gpa - starts[i] >> FRAME_SHIFT);
        dirty[i][page >>> 6] |= 1L << page;
      }
    }
  }

  @Override
  public int generation() {
    return generation;
  }

  /** 4-KiB frames of host memory given out so far, read-only and reserved slots included; natively all. */
  public int residentFrames() {
    return identity ? (int) (layout.nativeBytes() >> FRAME_SHIFT) : residentFrames;
  }

  /** Whether guest-physical and host-physical addresses are the same. */
  public boolean isIdentity() {
    return identity;
  }

  private int find(@Gpa long gpa) {
    int i = last;
    if (i < starts.length && gpa >= starts[i] && gpa < ends[i]) {
      return i;
    }
    int low = 0;
    int high = starts.length - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      if (gpa < starts[middle]) {
        high = middle - 1;
      } else if (gpa >= ends[middle]) {
        low = middle + 1;
      } else {
        last = middle;
        return middle;
      }
    }
    return -1;
  }
}
