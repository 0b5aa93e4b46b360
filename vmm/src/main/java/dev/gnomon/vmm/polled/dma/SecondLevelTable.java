package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * The second-level tables of one domain, four levels of real entries in host memory: the hypervisor edits them, the DMA
 * port walks them. Pages are of 4K, 2M and 1G.
 */
public final class SecondLevelTable {
  private static final int LEVELS = SecondLevelEntry.LEVELS;

  private final DeviceFrames frames;
  private final HostMemory memory;
  private final @Hpa long root;
  /** Why the last {@link #translate} failed. */
  private DmaFault.Reason reason;
  /** log2 of the page that the last {@link #translate} found. */
  private int pageShift;

  /** @throws IllegalArgumentException if no frame is left for the root */
  public SecondLevelTable(DeviceFrames frames) {
    this.frames = frames;
    this.memory = frames.memory();
    this.root = frames.allocate();
    if (root < 0) {
      throw new IllegalArgumentException("no frame left for second-level tables: expected at least one");
    }
  }

  /** Where the highest table lies. */
  public @Hpa long root() {
    return root;
  }

  /**
   * Walks the tables for one address.
   *
   * @return the host-physical address, or −1 with {@link #reason} set
   */
  public @Hpa long translate(@Gpa long iova, boolean write) {
    if (iova >>> SecondLevelEntry.ADDRESS_BITS != 0) {
      return fail(DmaFault.Reason.BEYOND_WIDTH);
    }
    @Hpa long table = root;
    long needed = write ? SecondLevelEntry.WRITE : SecondLevelEntry.READ;
    for (int level = LEVELS; ; level--) {
      int offset = memory.offset(table);
      if (offset < 0) {
        return fail(DmaFault.Reason.TABLE_UNREACHABLE);
      }
      long entry = memory.get64(offset + 8 * SecondLevelEntry.index(iova, level));
      if ((entry & needed) == 0) {
        return fail(write ? DmaFault.Reason.NO_WRITE : DmaFault.Reason.NO_READ);
      }
      if ((entry & SecondLevelEntry.reserved(entry, level)) != 0) {
        return fail(DmaFault.Reason.RESERVED_BIT);
      }
      if (SecondLevelEntry.isPage(entry, level)) {
        pageShift = SecondLevelEntry.shift(level);
        return SecondLevelEntry.address(entry) + Addresses.offset(iova, 1L << pageShift);
      }
      table = SecondLevelEntry.address(entry);
    }
  }

  private @Hpa long fail(DmaFault.Reason why) {
    reason = why;
    return -1;
  }

  /** Why the last translation failed. */
  public DmaFault.Reason reason() {
    return reason;
  }

  /** log2 of the size of the page that the last translation found: 12, 21 or 30. */
  public int pageShift() {
    return pageShift;
  }

  /** Rights that an address has, 0 if it is not mapped. */
  public long rights(@Gpa long iova) {
    return (translate(iova, false) >= 0 ? SecondLevelEntry.READ : 0)
        | (translate(iova, true) >= 0 ? SecondLevelEntry.WRITE : 0);
  }

  /**
   * Maps a contiguous range by the largest pages that its alignment allows; whatever was mapped there is replaced.
   *
   * @param iova a multiple of 4096
   * @param hpa a multiple of 4096
   * @param length a positive multiple of 4096
   * @param rights bits of {@link SecondLevelEntry#RIGHTS}, not 0
   * @return false if no frame is left for tables; the range is partly mapped then
   */
  public boolean map(@Gpa long iova, @Hpa long hpa, long length, long rights) {
    for (long done = 0; done < length; ) {
      long bits = Addresses.bits(iova) + done | Addresses.bits(hpa) + done;
      int level = 3;
      while (level > 1
          && ((bits & (1L << SecondLevelEntry.shift(level)) - 1) != 0
          || length - done < 1L << SecondLevelEntry.shift(level))) {
        level--;
      }
      int at = descend(iova + done, level);
      if (at < 0) {
        return false;
      }
      drop(at, level);
      memory.set64(at, SecondLevelEntry.page(hpa + done, rights, level));
      done += 1L << SecondLevelEntry.shift(level);
    }
    return true;
  }

  /**
   * Unmaps a range of whole 4K pages, splitting larger ones at its ends.
   *
   * @return false if no frame was left to split a page; all of that page is unmapped then
   */
  public boolean unmap(@Gpa long iova, long length) {
    boolean exact = true;
    for (long done = 0; done < length; ) {
      int level = LEVELS;
      int at = memory.offset(root) + 8 * SecondLevelEntry.index(iova + done, level);
      while (true) {
        long entry = memory.get64(at);
        long span = 1L << SecondLevelEntry.shift(level);
        long left = span - Addresses.offset(iova + done, span);
        if (!SecondLevelEntry.isPresent(entry)) {
          done += left;
          break;
        }
        if (SecondLevelEntry.isPage(entry, level)) {
          if (left == span && length - done >= span) {
            memory.set64(at, 0);
            done += span;
            break;
          }
          if (!split(at, level)) {
            memory.set64(at, 0);
            exact = false;
            done += left;
            break;
          }
          entry = memory.get64(at);
        }
        level--;
        at = memory.offset(SecondLevelEntry.address(entry)) + 8 * SecondLevelEntry.index(iova + done, level);
      }
    }
    return exact;
  }

  /** Offset of the entry of a level, tables made and larger pages split on the way; −1 if no frame is left. */
  private int descend(@Gpa long iova, int goal) {
    int at = memory.offset(root) + 8 * SecondLevelEntry.index(iova, LEVELS);
    for (int level = LEVELS; level > goal; level--) {
      long entry = memory.get64(at);
      if (!SecondLevelEntry.isPresent(entry)) {
        @Hpa long table = frames.allocate();
        if (table < 0) {
          return -1;
        }
        memory.set64(at, SecondLevelEntry.table(table));
      } else if (SecondLevelEntry.isPage(entry, level) && !split(at, level)) {
        return -1;
      }
      at = memory.offset(SecondLevelEntry.address(memory.get64(at))) + 8 * SecondLevelEntry.index(iova, level - 1);
    }
    return at;
  }

  /** Replaces a page of level 2 or 3 by a table of smaller ones. */
  private boolean split(int at, int level) {
    @Hpa long table = frames.allocate();
    if (table < 0) {
      return false;
    }
    long page = memory.get64(at);
    long rights = page & SecondLevelEntry.RIGHTS;
    for (int i = 0; i < SecondLevelEntry.ENTRIES; i++) {
      @Hpa long part = SecondLevelEntry.address(page) + ((long) i << SecondLevelEntry.shift(level - 1));
      memory.set64(memory.offset(table) + 8 * i, SecondLevelEntry.page(part, rights, level - 1));
    }
    memory.set64(at, SecondLevelEntry.table(table));
    return true;
  }

  /** Empties an entry and frees the tables below it. */
  private void drop(int at, int level) {
    long entry = memory.get64(at);
    memory.set64(at, 0);
    if (SecondLevelEntry.isPresent(entry) && !SecondLevelEntry.isPage(entry, level)) {
      @Hpa long table = SecondLevelEntry.address(entry);
      for (int i = 0; i < SecondLevelEntry.ENTRIES; i++) {
        drop(memory.offset(table) + 8 * i, level - 1);
      }
      frames.free(table);
    }
  }

  /** Unmaps everything; only the root stays. */
  public void clear() {
    for (int i = 0; i < SecondLevelEntry.ENTRIES; i++) {
      drop(memory.offset(root) + 8 * i, LEVELS);
    }
  }
}
