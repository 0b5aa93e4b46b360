package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.memory.TableFrames;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * The tables under one EPT root as a data structure that the hypervisor edits: finding, splitting, merging and range
 * edits. It knows frames and entries but no slots. All writes pass the physical-write seam of {@link HostMemory}.
 */
final class EptTableTree {
  /** What a range edit does to each leaf. */
  enum Edit {
    UNMAP, WRITE_PROTECT, ALLOW_WRITE, CLEAR_ACCESSED, CLEAR_DIRTY
  }

  /** Bits in which merged leaves may differ. */
  private static final long FLAGS = EptEntry.ACCESSED | EptEntry.DIRTY;

  /** Behind the last entry of a saved table. */
  private static final int END = -1;

  private final HostMemory memory;
  private final TableFrames frames;
  final @Hpa long root;
  private final int levels;
  /** An entry that is not present. */
  final long empty;
  /** Rights that make an entry present; entries that refer to tables have them all. */
  private final long rights;
  /** Leaves by level, 1 to 3. */
  private final long[] pages = new long[EptEntry.MAX_LEVELS + 1];
  private long tables = 1;
  /** Level at which the last {@link #find} or {@link #descend} stopped. */
  int level;

  EptTableTree(HostMemory memory, TableFrames frames, EptOptions options) {
    this.memory = memory;
    this.frames = frames;
    this.levels = options.levels();
    this.empty = options.exceptions() ? EptEntry.SUPPRESS_VE : 0;
    this.rights = options.modeBasedExecute() ? EptEntry.RIGHTS_BY_MODE : EptEntry.RIGHTS;
    this.root = allocate();
    if (root < 0) {
      throw new IllegalArgumentException("no frame left for an EPT root: expected at least one in the tables region");
    }
  }

  long pages(int level) {
    return pages[level];
  }

  /** Frames in use, the root included. */
  long tables() {
    return tables;
  }

  long read(@Hpa long at) {
    return memory.read64(at);
  }

  private @Hpa long allocate() {
    @Hpa long table = frames.allocate();
    for (int i = 0; i < EptEntry.ENTRIES && empty != 0 && table >= 0; i++) {
      memory.write64(table + 8L * i, empty);
    }
    return table;
  }

  private long tableEntry(@Hpa long table) {
    return EptEntry.table(table) | rights;
  }

  boolean isPresent(long entry) {
    return (entry & rights) != 0;
  }

  private boolean isTable(long entry, int level) {
    return isPresent(entry) && !EptEntry.isLeaf(entry, level);
  }

  boolean isPage(long entry, int level) {
    return isPresent(entry) && EptEntry.isLeaf(entry, level) && !MmioMarker.isMarker(entry);
  }

  /** Makes an entry one that is not present. */
  void clear(@Hpa long at, int level) {
    set(at, level, empty);
  }

  /** Replaces an entry and keeps the page counts. */
  void set(@Hpa long at, int level, long entry) {
    pages[level] += (isPage(entry, level) ? 1 : 0) - (isPage(read(at), level) ? 1 : 0);
    memory.write64(at, entry);
  }

  /** Address of the entry at which a walk of the address ends: a page, an MMIO marker or nothing. */
  @Hpa long find(@Gpa long gpa) {
    return descend(gpa, levels);
  }

  /**
   * Like {@link #find}, but makes tables down to a level where there is nothing yet.
   *
   * @return −1 if no frame is left; tables made until then stay
   */
  @Hpa long descend(@Gpa long gpa, int goal) {
    @Hpa long table = root;
    for (level = levels; ; level--) {
      @Hpa long at = table + 8L * EptEntry.index(gpa, level);
      long entry = read(at);
      if (isTable(entry, level)) {
        table = EptEntry.address(entry);
      } else if (level <= goal || isPresent(entry)) {
        return at;
      } else {
        table = allocate();
        if (table < 0) {
          return -1;
        }
        tables++;
        set(at, level, tableEntry(table));
      }
    }
  }

  /**
   * Replaces a page of level 2 or 3 by a table of the next smaller ones with the same rights, type and flags; false if
   * no frame is left.
   */
  boolean split(@Hpa long at, int level) {
    long leaf = read(at);
    @Hpa long table = allocate();
    if (table < 0) {
      return false;
    }
    tables++;
    long first = level == 2 ? leaf & ~EptEntry.PAGE_SIZE : leaf;
    for (int i = 0; i < EptEntry.ENTRIES; i++) {
      set(table + 8L * i, level - 1, first + ((long) i << EptEntry.shift(level - 1)));
    }
    set(at, level, tableEntry(table) | leaf & EptEntry.ACCESSED);
    return true;
  }

  /**
   * Merges a table of 512 equal, contiguous and aligned pages into one page, A and D being those of any.
   *
   * @param at entry of level 2 or 3 that refers to the table
   * @return whether it was done
   */
  boolean collapse(@Hpa long at, int level) {
    long entry = read(at);
    if (!isTable(entry, level)) {
      return false;
    }
    @Hpa long table = EptEntry.address(entry);
    long first = read(table);
    long flags = 0;
    for (int i = 0; i < EptEntry.ENTRIES; i++) {
      long leaf = read(table + 8L * i);
      if (!isPage(leaf, level - 1) || ((leaf ^ first + ((long) i << EptEntry.shift(level - 1))) & ~FLAGS) != 0) {
        return false;
      }
      flags |= leaf & FLAGS;
    }
    if ((EptEntry.address(first) & (1L << EptEntry.shift(level)) - 1) != 0) {
      return false;
    }
    free(table, level - 1);
    set(at, level, first | flags | EptEntry.PAGE_SIZE);
    return true;
  }

  /** Entry of a level for an address, or −1 if the walk ends above it. */
  @Hpa long entryAt(@Gpa long gpa, int goal) {
    @Hpa long table = root;
    for (int at = levels; ; at--) {
      @Hpa long address = table + 8L * EptEntry.index(gpa, at);
      if (at == goal) {
        return address;
      }
      long entry = read(address);
      if (!isTable(entry, at)) {
        return -1;
      }
      table = EptEntry.address(entry);
    }
  }

  /** Frees all tables but the root, which it empties. */
  void clear() {
    for (int i = 0; i < EptEntry.ENTRIES; i++) {
      discard(root + 8L * i, levels);
    }
  }

  /** Frees everything; the tree must not be used again. */
  void dispose() {
    clear();
    frames.free(root);
    tables--;
  }

  private void discard(@Hpa long at, int level) {
    long entry = read(at);
    if (entry != empty) {
      clear(at, level);
      if (isTable(entry, level)) {
        free(EptEntry.address(entry), level - 1);
      }
    }
  }

  /** Frees a table of a level with all below it. */
  private void free(@Hpa long table, int level) {
    for (int i = 0; i < EptEntry.ENTRIES; i++) {
      discard(table + 8L * i, level);
    }
    frames.free(table);
    tables--;
  }

  /** The host memory that a page of guest-physical memory shows, for {@link #load}. */
  interface Backing {
    /** @return its host-physical address, or −1 if it has none */
    @Hpa long of(@Gpa long gpa);
  }

  /** Writes all entries; where pages lie in host memory is not part of them. */
  void save(DataOutput out) throws IOException {
    save(root, levels, out);
  }

  private void save(@Hpa long table, int level, DataOutput out) throws IOException {
    for (int i = 0; i < EptEntry.ENTRIES; i++) {
      long entry = read(table + 8L * i);
      if (entry == empty) {
        continue;
      }
      boolean refers = isTable(entry, level);
      boolean moves = refers || isPage(entry, level);
      out.writeShort(i);
      out.writeLong(moves ? entry & ~EptEntry.ADDRESS_MASK : entry);
      if (refers) {
        save(EptEntry.address(entry), level - 1, out);
      }
    }
    out.writeShort(END);
  }

  /**
   * Reads what {@link #save} wrote in place of what there is.
   *
   * @throws IOException if it is damaged, a page has no backing, or no frame is left
   */
  void load(DataInput in, Backing backing) throws IOException {
    clear();
    load(root, levels, 0, in, backing);
  }

  private void load(@Hpa long table, int level, @Gpa long base, DataInput in, Backing backing) throws IOException {
    for (int i = in.readShort(); i != END; i = in.readShort()) {
      if (i < 0 || i >= EptEntry.ENTRIES) {
        throw new IOException("EPT entry " + i + " of a table: expected 0 to " + (EptEntry.ENTRIES - 1));
      }
      long entry = in.readLong();
      @Gpa long gpa = base + ((long) i << EptEntry.shift(level));
      @Hpa long at = table + 8L * i;
      @Hpa long next;
      if (isTable(entry, level)) {
        next = allocate();
        if (next < 0) {
          throw new IOException("EPT tables: no frame left for the one at guest-physical 0x" + Long.toHexString(gpa));
        }
        tables++;
        set(at, level, entry & ~EptEntry.ADDRESS_MASK | EptEntry.table(next));
        load(next, level - 1, gpa, in, backing);
      } else if (isPage(entry, level)) {
        next = backing.of(gpa);
        if (next < 0) {
          throw new IOException("EPT page at guest-physical 0x" + Long.toHexString(gpa)
              + ": expected one of a memory slot");
        }
        set(at, level, entry & ~EptEntry.ADDRESS_MASK | Addresses.bits(next) & -1L << EptEntry.shift(level));
      } else {
        set(at, level, entry);
      }
    }
  }

  /**
   * Edits all pages of a range. A larger page that is only partly in it is split first; if no frame is left for that,
   * it is unmapped whole, which is always safe: the next access faults it in again.
   *
   * @param last last address of the range, inclusive
   * @return whether cached translations must be invalidated
   */
  boolean edit(@Gpa long first, @Gpa long last, Edit edit) {
    return edit(root, levels, 0, first, last, edit);
  }

  /** Tells the slots of every page in a range that has D. */
  void markDirty(@Gpa long first, @Gpa long last, SlotMap slots) {
    markDirty(root, levels, 0, first, last, slots);
  }

  private void markDirty(@Hpa long table, int level, @Gpa long base, @Gpa long first, @Gpa long last, SlotMap slots) {
    int shift = EptEntry.shift(level);
    int from = (int) (Math.max(Addresses.bits(first - base), 0) >>> shift);
    int to = (int) Math.min(Addresses.bits(last - base) >>> shift, EptEntry.ENTRIES - 1);
    for (int i = from; i <= to; i++) {
      long entry = read(table + 8L * i);
      @Gpa long start = base + ((long) i << shift);
      if (isTable(entry, level)) {
        markDirty(EptEntry.address(entry), level - 1, start, first, last, slots);
      } else if (isPage(entry, level) && (entry & EptEntry.DIRTY) != 0) {
        for (long offset = 0; offset < 1L << shift; offset += HostMemory.FRAME_SIZE) {
          slots.markDirty(start + offset);
        }
      }
    }
  }

  private boolean edit(@Hpa long table, int level, @Gpa long base, @Gpa long first, @Gpa long last, Edit edit) {
    boolean invalidate = false;
    int shift = EptEntry.shift(level);
    int from = (int) (Math.max(Addresses.bits(first - base), 0) >>> shift);
    int to = (int) Math.min(Addresses.bits(last - base) >>> shift, EptEntry.ENTRIES - 1);
    for (int i = from; i <= to; i++) {
      @Hpa long at = table + 8L * i;
      long entry = read(at);
      @Gpa long start = base + ((long) i << shift);
      boolean whole = contains(first, last, start, shift);
      if (whole && edit == Edit.UNMAP) {
        // A marker was never cached, but a table may be: paging-structure caches hold the way to it.
        invalidate |= isPresent(entry) && !MmioMarker.isMarker(entry);
        discard(at, level);
      } else if (isTable(entry, level)) {
        invalidate |= edit(EptEntry.address(entry), level - 1, start, first, last, edit);
      } else if (isPage(entry, level)) {
        invalidate |= editPage(at, level, start, whole, first, last, edit);
      }
    }
    return invalidate;
  }

  /** Whether a range has all of a page. */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  private static boolean contains(@Gpa long first, @Gpa long last, @Gpa long page, int shift) {
    return first <= page && page + (1L << shift) - 1 <= last;
  }

  private boolean editPage(@Hpa long at, int level, @Gpa long start, boolean whole, @Gpa long first, @Gpa long last,
      Edit edit) {
    long entry = read(at);
    long edited = switch (edit) {
      case UNMAP -> empty;
      case WRITE_PROTECT -> entry & ~(EptEntry.WRITE | EptEntry.SUB_PAGE_WRITE);
      case ALLOW_WRITE -> entry | EptEntry.WRITE;
      case CLEAR_ACCESSED -> entry & ~EptEntry.ACCESSED;
      case CLEAR_DIRTY -> entry & ~EptEntry.DIRTY;
    };
    if (edited == entry) {
      return false;
    }
    if (whole) {
      set(at, level, edited);
    } else if (split(at, level)) {
      edit(EptEntry.address(read(at)), level - 1, start, first, last, edit);
    } else {
      clear(at, level);
    }
    return true;
  }
}
