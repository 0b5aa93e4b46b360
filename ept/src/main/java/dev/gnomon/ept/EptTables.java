package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.memory.TableFrames;
import java.util.ArrayList;
import java.util.List;

/**
 * The hypervisor's side of EPT: fills one VM's tables from the memory slots on an exit, and edits them. One belongs to
 * each VM, whatever the number of its vCPUs. It follows the Linux kernel's two-dimensional-paging MMU
 * (arch/x86/kvm/mmu), and knows the hardware by the table formats alone.
 *
 * <p>Policy: RAM is mapped RWX, a read-only slot RX, with type WB and IPAT as for a guest without passed-through
 * devices, by the largest page that slot, backing, processor and {@link #setMaxPageShift limit} allow. Where a table
 * already stands, pages under it stay small until {@link #collapse}. A page without a slot gets an {@link MmioMarker} at
 * its first violation, so that later accesses misconfigure.
 *
 * <p>When no frame is left, everything is zapped and built again by faults; if even that leaves too few for the pages
 * mapped in advance and the one wanted, the result is {@link #NO_FRAMES}.
 *
 * <p>Invalidation: the hardware caches guest-physical mappings. Where a right or an address is taken away, a flag
 * cleared, a page size changed or a table freed, the caller must do INVEPT on every vCPU before it enters the guest
 * again: edits return true, exits return a result with {@link #INVEPT}. Adding rights or filling what was not present
 * needs none. (For a split or a merge the SDM asks for none as long as nothing else changes; the Linux kernel flushes,
 * and so does this.)
 */
public final class EptTables {
  /** The page is mapped with the right that was missing: enter the guest again. */
  public static final int FIXED = 0;
  /** The tables allowed the access already: enter the guest again. */
  public static final int SPURIOUS = 1;
  /** No slot: emulate the access as one to a device. */
  public static final int MMIO = 2;
  /**
   * A write to a read-only slot: emulate it. With EPT's A and D flags on, the walk of guest tables in such a slot ends
   * here too, since it counts as a write.
   */
  public static final int READ_ONLY = 3;
  /** The tables region is too small even for an empty start. */
  public static final int NO_FRAMES = 4;
  /** A misconfigured entry that is no marker: a bug, or tables that someone else has written. */
  public static final int BAD_ENTRY = 5;
  /** Flag beside a result: do INVEPT before entering the guest. */
  public static final int INVEPT = 1 << 8;
  private static final int RESULT_MASK = INVEPT - 1;
  private static final int PAGE_TYPE = EptMemoryType.WB | EptMemoryType.IPAT;
  private static final @Gpa long LAST_GPA = (1L << EptEntry.GPA_BITS) - 1;

  private record Range(@Gpa long first, @Gpa long last) {}

  private final SlotMap slots;
  private final EptCapabilities capabilities;
  private final EptTableTree tree;
  private final List<Range> eager = new ArrayList<>();
  private int maxPageShift;
  private long splits;
  private long collapses;
  private long zaps;
  private long mmioMarkers;
  private long fastFaults;
  /** Pages of logged slots get W only for a write. */
  private boolean protectsLogged;
  /** D flags of logged slots are the log, so that none may be lost. */
  private boolean keepsDirty;
  private EptObserver observer = new EptObserver() { };

  /**
   * @param maxPageShift log2 of the largest page to use: 12, 21 or 30; lowered to what the processor has
   * @throws IllegalArgumentException if the limit is another or no frame is left for the root
   */
  public EptTables(HostMemory memory, TableFrames frames, SlotMap slots, EptCapabilities capabilities,
      int maxPageShift) {
    this.slots = slots;
    this.capabilities = capabilities;
    setMaxPageShift(maxPageShift);
    this.tree = new EptTableTree(memory, frames);
  }

  /** Lets somebody hear what it does. */
  public void setObserver(EptObserver observer) {
    this.observer = observer;
  }

  /** The part of an exit's result without {@link #INVEPT}. */
  public static int result(int resultAndFlags) {
    return resultAndFlags & RESULT_MASK;
  }

  /** Pointer for {@link EptWalker#setEptPointer}. */
  public long eptPointer(boolean accessedDirty) {
    return EptPointer.of(tree.root, accessedDirty);
  }

  /**
   * Limits pages mapped from now on, for instance to 4 KiB while writes are logged. A fault on a larger page splits it.
   */
  public void setMaxPageShift(int shift) {
    if (shift != EptEntry.SHIFT_4K && shift != EptEntry.SHIFT_2M && shift != EptEntry.SHIFT_1G) {
      throw new IllegalArgumentException("largest EPT page of 2^" + shift + " bytes: expected 12, 21 or 30");
    }
    maxPageShift = Math.min(shift, capabilities.maxPageShift());
  }

  public int maxPageShift() {
    return maxPageShift;
  }

  public long pages4k() {
    return tree.pages(1);
  }

  public long pages2m() {
    return tree.pages(2);
  }

  public long pages1g() {
    return tree.pages(3);
  }

  /** Frames that the tables take, the root included. */
  public long tables() {
    return tree.tables();
  }

  /** Pages split into smaller ones by a fault or {@link #split}. */
  public long splits() {
    return splits;
  }

  public long collapses() {
    return collapses;
  }

  /** Times that everything was zapped. */
  public long zaps() {
    return zaps;
  }

  /** Markers installed; the Linux kernel's {@code pf_mmio_spte_created}. */
  public long mmioMarkers() {
    return mmioMarkers;
  }

  /** Violations that only gave back a W which dirty logging had taken; the Linux kernel's {@code pf_fast}. */
  public long fastFaults() {
    return fastFaults;
  }

  /** The entry at which a walk of an address ends: a page, an {@link MmioMarker}, or one that is not present. */
  public long entry(@Gpa long gpa) {
    return tree.read(tree.find(gpa));
  }

  /** log2 of the page that maps an address, or 0 if none does. */
  public int pageShift(@Gpa long gpa) {
    long entry = entry(gpa);
    return EptEntry.isPresent(entry) && !MmioMarker.isMarker(entry) ? EptEntry.shift(tree.level) : 0;
  }

  /**
   * Handles an EPT violation.
   *
   * @param gpa guest-physical address of the exit
   * @param qualification exit qualification, see {@link EptViolation}
   * @return a result, with {@link #INVEPT} if needed
   */
  public int violation(@Gpa long gpa, long qualification) {
    if (gpa >>> EptEntry.GPA_BITS != 0) {
      return MMIO;
    }
    int kind = slots.kind(gpa);
    if (kind == SlotMap.NONE) {
      return mark(gpa);
    }
    if (kind == SlotMap.READ_ONLY && (qualification & EptViolation.ACC_WRITE) != 0) {
      return READ_ONLY;
    }
    return fill(gpa, kind, (qualification & EptViolation.ACC_WRITE) != 0);
  }

  /**
   * Handles an EPT misconfiguration. A marker of older slots is renewed or replaced by the page that is there now.
   *
   * @return {@link #MMIO}, {@link #FIXED}, {@link #BAD_ENTRY} or {@link #NO_FRAMES}, with {@link #INVEPT} if needed
   */
  public int misconfiguration(@Gpa long gpa) {
    if (gpa >>> EptEntry.GPA_BITS != 0) {
      return BAD_ENTRY;
    }
    @Hpa long at = tree.find(gpa);
    long entry = tree.read(at);
    if (tree.level != 1 || !MmioMarker.isMarker(entry)) {
      return BAD_ENTRY;
    }
    int kind = slots.kind(gpa);
    if (kind != SlotMap.NONE) {
      tree.set(at, 1, 0);
      return fill(gpa, kind, false);
    }
    return MmioMarker.generation(entry) == (slots.generation() & MmioMarker.GENERATION_MASK) ? MMIO : mark(gpa);
  }

  private int mark(@Gpa long gpa) {
    int flags = 0;
    @Hpa long at = tree.descend(gpa, 1);
    if (at >= 0 && tree.level > 1) {
      // A page of a slot that is gone.
      tree.set(at, tree.level, 0);
      flags = INVEPT;
      at = tree.descend(gpa, 1);
    }
    if (at < 0) {
      // The marker only saves work; each access is a violation until there is room for it.
      return MMIO | flags;
    }
    long old = tree.read(at);
    if (EptEntry.isPresent(old) && !MmioMarker.isMarker(old)) {
      flags = INVEPT;
    }
    long marker = MmioMarker.of(gpa, slots.generation());
    tree.set(at, 1, marker);
    observer.changed(gpa & -HostMemory.FRAME_SIZE, 1, old, marker, at);
    mmioMarkers++;
    return MMIO | flags;
  }

  private int fill(@Gpa long gpa, int kind, boolean write) {
    @Hpa long hpa = slots.back(gpa);
    if (hpa < 0) {
      return mark(gpa);
    }
    int result = install(gpa, hpa, kind, write);
    if (result == NO_FRAMES) {
      result = (rebuild() ? install(gpa, hpa, kind, write) : NO_FRAMES) | INVEPT;
    }
    return result;
  }

  /** Maps the page around an address, without zapping anything for room. */
  private int install(@Gpa long gpa, @Hpa long hpa, int kind, boolean write) {
    boolean held = protectsLogged && slots.logged(gpa);
    if (held && write) {
      slots.markDirty(gpa);
    }
    long rights = kind == SlotMap.READ_ONLY || held && !write ? EptEntry.READ | EptEntry.EXECUTE : EptEntry.RIGHTS;
    int goal = EptEntry.level(Math.min(maxPageShift, slots.mappingShift(gpa)));
    int flags = 0;
    @Hpa long at = tree.descend(gpa, goal);
    while (at >= 0 && tree.level > goal) {
      long large = tree.read(at);
      int largeLevel = tree.level;
      if (!tree.split(at, tree.level)) {
        return NO_FRAMES;
      }
      observer.split(gpa & -1L << EptEntry.shift(largeLevel), largeLevel, large);
      splits++;
      flags = INVEPT;
      at = tree.descend(gpa, goal);
    }
    if (at < 0) {
      return NO_FRAMES;
    }
    int level = tree.level;
    int shift = EptEntry.shift(level);
    long leaf = EptEntry.leaf(hpa & -1L << shift, shift, rights, PAGE_TYPE);
    long old = tree.read(at);
    @Gpa long page = gpa & -1L << shift;
    observer.requested(page, hpa & -1L << shift, level);
    if (!EptEntry.isPresent(old) || MmioMarker.isMarker(old)) {
      write(page, at, level, old, leaf);
      return FIXED | flags;
    }
    if (EptEntry.address(old) != EptEntry.address(leaf)) {
      write(page, at, level, old, leaf);
      return FIXED | INVEPT;
    }
    if ((old & rights) == rights) {
      return SPURIOUS | flags;
    }
    fastFaults += held && (rights & ~old) == EptEntry.WRITE ? 1 : 0;
    write(page, at, level, old, old | rights);
    return FIXED | flags;
  }

  private void write(@Gpa long page, @Hpa long at, int level, long old, long entry) {
    tree.set(at, level, entry);
    observer.changed(page, level, old, entry, at);
  }

  /**
   * Maps a range in advance and keeps it mapped over every zap, so that its accesses never exit (a polled device's
   * pages).
   *
   * @param gpa first address, rounded down to a page
   * @param length bytes, at least 1
   * @return {@link #FIXED} or {@link #NO_FRAMES}, with {@link #INVEPT} if needed
   * @throws IllegalArgumentException if a page of the range has no slot
   */
  public int eagerMap(@Gpa long gpa, long length) {
    Range range = range(gpa, length);
    for (@Gpa long page = range.first; page <= range.last; page += HostMemory.FRAME_SIZE) {
      if (slots.kind(page) == SlotMap.NONE) {
        throw new IllegalArgumentException("guest-physical page 0x" + Long.toHexString(page)
            + " has no memory slot to map in advance");
      }
    }
    int result = mapRange(range);
    if (result(result) == NO_FRAMES) {
      result = (rebuild() ? mapRange(range) : NO_FRAMES) | INVEPT;
    }
    if (result(result) == FIXED && !eager.contains(range)) {
      eager.add(range);
    }
    return result;
  }

  private int mapRange(Range range) {
    int flags = 0;
    for (@Gpa long page = range.first; page <= range.last; ) {
      int kind = slots.kind(page);
      @Hpa long hpa = kind == SlotMap.NONE ? -1 : slots.back(page);
      if (hpa < 0) {
        page += HostMemory.FRAME_SIZE;
        continue;
      }
      int result = install(page, hpa, kind, false);
      if (result == NO_FRAMES) {
        return NO_FRAMES | flags;
      }
      flags |= result & INVEPT;
      page = (page & -1L << EptEntry.shift(tree.level)) + (1L << EptEntry.shift(tree.level));
    }
    return FIXED | flags;
  }

  /** Unmaps a range, for slots that go or move. The tables under it are freed. @return whether INVEPT is needed */
  public boolean unmap(@Gpa long gpa, long length) {
    if (keepsDirty) {
      markDirty(gpa, length);
    }
    return edit(gpa, length, EptTableTree.Edit.UNMAP);
  }

  /** Takes W away in a range; the next write is a violation. @return whether INVEPT is needed */
  public boolean writeProtect(@Gpa long gpa, long length) {
    return edit(gpa, length, EptTableTree.Edit.WRITE_PROTECT);
  }

  /** Clears D in a range. @return whether INVEPT is needed for writes to set it again */
  public boolean clearDirty(@Gpa long gpa, long length) {
    return edit(gpa, length, EptTableTree.Edit.CLEAR_DIRTY);
  }

  /** Tells the slots of each page in a range whose D is set. */
  public void markDirty(@Gpa long gpa, long length) {
    Range range = range(gpa, length);
    tree.markDirty(range.first, range.last, slots);
  }

  /**
   * Prepares a range whose slot has just begun to be logged: pages are split to 4 KiB, or unmapped if no frame is left for that, and lose
   * W or D. The caller does INVEPT.
   *
   * @param byProtection writes are found by violations and told to the slots from now on, for all logged slots; otherwise D is their mark
   * @param byDirtyFlags what D flags say is told to the slots wherever one would be lost
   */
  public void startLog(@Gpa long gpa, long length, boolean byProtection, boolean byDirtyFlags) {
    Range range = range(gpa, length);
    for (@Gpa long page = range.first; page <= range.last;
        page = (page & -1L << EptEntry.SHIFT_2M) + (1L << EptEntry.SHIFT_2M)) {
      split(page, EptEntry.SHIFT_4K);
      if (pageShift(page) > EptEntry.SHIFT_4K) {
        @Gpa long end = Math.min((page | (1L << EptEntry.SHIFT_2M) - 1), range.last);
        unmap(page, Addresses.bits(end - page) + 1);
      }
    }
    protectsLogged = byProtection;
    keepsDirty = byDirtyFlags;
    edit(gpa, length, byProtection ? EptTableTree.Edit.WRITE_PROTECT : EptTableTree.Edit.CLEAR_DIRTY);
  }

  /** Lets writes of a range that is logged no more go unseen, and merges its pages. The caller does INVEPT. */
  public void stopLog(@Gpa long gpa, long length) {
    edit(gpa, length, EptTableTree.Edit.ALLOW_WRITE);
    collapse(gpa, length);
  }

  /** Clears A in the leaves of a range. @return whether INVEPT is needed for accesses to set it again */
  public boolean clearAccessed(@Gpa long gpa, long length) {
    return edit(gpa, length, EptTableTree.Edit.CLEAR_ACCESSED);
  }

  private boolean edit(@Gpa long gpa, long length, EptTableTree.Edit edit) {
    Range range = range(gpa, length);
    return tree.edit(range.first, range.last, edit);
  }

  /**
   * Splits the page that maps an address until it is no larger than asked for; rights, types, A and D stay what they
   * were.
   *
   * @param shift log2 of the largest page to leave: 12 or 21
   * @return whether INVEPT is needed: false if nothing was split, because nothing had to be or no frame was left
   */
  public boolean split(@Gpa long gpa, int shift) {
    boolean any = false;
    @Hpa long at = tree.find(gpa);
    while (EptEntry.shift(tree.level) > shift && EptEntry.isPresent(tree.read(at)) && tree.split(at, tree.level)) {
      splits++;
      any = true;
      at = tree.find(gpa);
    }
    return any;
  }

  /**
   * Merges tables of equal pages in a range into larger pages where slots, backing and limit allow; rights stay, A and
   * D become those of any page merged.
   *
   * @return whether INVEPT is needed: something was merged
   */
  public boolean collapse(@Gpa long gpa, long length) {
    Range range = range(gpa, length);
    boolean any = false;
    for (int level = 2; EptEntry.shift(level) <= maxPageShift; level++) {
      long size = 1L << EptEntry.shift(level);
      for (@Gpa long page = range.first & -size; page <= range.last; page += size) {
        @Hpa long at = tree.entryAt(page, level);
        if (at >= 0 && slots.mappingShift(page) >= EptEntry.shift(level) && tree.collapse(at, level)) {
          collapses++;
          any = true;
        }
      }
    }
    return any;
  }

  /**
   * Drops all mappings and tables, then maps again what was mapped in advance (as far as there are frames; what is left
   * out faults in).
   *
   * @return whether INVEPT is needed
   */
  public boolean zapAll() {
    boolean any = tree.tables() > 1;
    rebuild();
    return any;
  }

  /** @return false if the frames do not even suffice for what was mapped in advance */
  private boolean rebuild() {
    zaps++;
    observer.zapAll();
    if (keepsDirty) {
      tree.markDirty(0, LAST_GPA, slots);
    }
    tree.clear();
    boolean complete = true;
    for (Range range : eager) {
      complete &= result(mapRange(range)) == FIXED;
    }
    return complete;
  }

  /** Gives all frames back; no vCPU may use the tables any more. */
  public void dispose() {
    tree.dispose();
  }

  private static Range range(@Gpa long gpa, long length) {
    if (length < 1 || gpa < 0 || gpa > LAST_GPA || length - 1 > LAST_GPA - gpa) {
      throw new IllegalArgumentException("guest-physical range 0x" + Long.toHexString(gpa) + " + " + length
          + " bytes: expected at least 1 byte below 2^" + EptEntry.GPA_BITS);
    }
    long page = HostMemory.FRAME_SIZE;
    return new Range(gpa & -page, (gpa + length - 1) | page - 1);
  }
}
