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
import java.util.ArrayList;
import java.util.List;

/**
 * The hypervisor's side of EPT: fills one VM's tables from the memory slots on an exit, and edits them. One belongs to
 * each VM, whatever the number of its vCPUs. It follows the Linux kernel's two-dimensional-paging MMU
 * (arch/x86/kvm/mmu), and knows the hardware by the table formats alone.
 *
 * <p>Policy: RAM is mapped RWX, a read-only slot RX, with type WB and IPAT as for a guest without passed-through
 * devices, by the largest page that slot, backing, processor and {@link #setMaxPageShift limit} allow. Where a table
 * already stands, pages under it stay small until {@link #collapse}. A page without a slot gets an {@link MmioMarker}
 * at its first violation, so that later accesses misconfigure.
 *
 * <p>Single pages can have rules of their own ({@link #rules}); what a rule forbids is {@link #RESTRICTED}. Rules
 * outlive every zap. Under {@link EptOptions#exceptions} all entries suppress
 * virtualization exceptions but those of pages whose rule says otherwise.
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
  /** A rule of the page forbids the access: emulate it, or change the rule and enter again. */
  public static final int RESTRICTED = 6;
  /** A write to a sub-page of a divided page that may not be written: the same. */
  public static final int SUB_PAGE = 7;
  /** Flag beside a result: do INVEPT before entering the guest. */
  public static final int INVEPT = 1 << 8;
  private static final int RESULT_MASK = INVEPT - 1;
  private static final int PAGE_TYPE = EptMemoryType.WB | EptMemoryType.IPAT;
  private static final int ANY_ACCESS = 0;

  /** Whole pages. */
  record Range(@Gpa long first, @Gpa long last) {}

  private final SlotMap slots;
  private final EptCapabilities capabilities;
  private final EptOptions options;
  private final EptTableTree tree;
  private final PageRules rules;
  private final int gpaBits;
  private final @Gpa long lastGpa;
  /** Rights of RAM. */
  private final long allRights;
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
    this(memory, frames, slots, capabilities, maxPageShift, EptOptions.DEFAULT);
  }

  /** The same in another form; of {@code options} the views are not this class' business. */
  public EptTables(HostMemory memory, TableFrames frames, SlotMap slots, EptCapabilities capabilities,
      int maxPageShift, EptOptions options) {
    this.slots = slots;
    this.capabilities = capabilities;
    this.options = options;
    gpaBits = EptEntry.gpaBits(options.levels());
    lastGpa = (1L << gpaBits) - 1;
    allRights = options.modeBasedExecute() ? EptEntry.RIGHTS_BY_MODE : EptEntry.RIGHTS;
    rules = new PageRules(this, slots, EptEntry.allowedRights(capabilities), options);
    setMaxPageShift(maxPageShift);
    this.tree = new EptTableTree(memory, frames, options);
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
    return EptPointer.of(tree.root, accessedDirty, options.levels());
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
    return tree.isPage(entry, tree.level) ? EptEntry.shift(tree.level) : 0;
  }

  /**
   * Handles an EPT violation.
   *
   * @param gpa guest-physical address of the exit
   * @param qualification exit qualification, see {@link EptViolation}
   * @return a result, with {@link #INVEPT} if needed
   */
  public int violation(@Gpa long gpa, long qualification) {
    if (gpa >>> gpaBits != 0) {
      return MMIO;
    }
    int kind = slots.kind(gpa);
    if (kind == SlotMap.NONE) {
      return mark(gpa);
    }
    if (kind == SlotMap.READ_ONLY && (qualification & EptViolation.ACC_WRITE) != 0) {
      return READ_ONLY;
    }
    return fill(gpa, kind, needed(qualification));
  }

  /** Rights that the access of a violation asks for. */
  private long needed(long qualification) {
    boolean user = options.modeBasedExecute() && (qualification & EptViolation.GVA_USER) != 0;
    return ((qualification & EptViolation.ACC_READ) != 0 ? EptEntry.READ : 0)
        | ((qualification & EptViolation.ACC_WRITE) != 0 ? EptEntry.WRITE : 0)
        | ((qualification & EptViolation.ACC_INSTR) == 0 ? 0 : user ? EptEntry.USER_EXECUTE : EptEntry.EXECUTE);
  }

  /**
   * Handles an EPT misconfiguration. A marker of older slots is renewed or replaced by the page that is there now.
   *
   * @return {@link #MMIO}, {@link #FIXED}, {@link #BAD_ENTRY} or {@link #NO_FRAMES}, with {@link #INVEPT} if needed
   */
  public int misconfiguration(@Gpa long gpa) {
    if (gpa >>> gpaBits != 0) {
      return BAD_ENTRY;
    }
    @Hpa long at = tree.find(gpa);
    long entry = tree.read(at);
    if (tree.level != 1 || !MmioMarker.isMarker(entry)) {
      return BAD_ENTRY;
    }
    int kind = slots.kind(gpa);
    if (kind != SlotMap.NONE) {
      tree.clear(at, 1);
      return fill(gpa, kind, ANY_ACCESS);
    }
    return MmioMarker.generation(entry) == (slots.generation() & MmioMarker.GENERATION_MASK) ? MMIO : mark(gpa);
  }

  private int mark(@Gpa long gpa) {
    int flags = 0;
    @Hpa long at = tree.descend(gpa, 1);
    if (at >= 0 && tree.level > 1) {
      // A page of a slot that is gone.
      tree.clear(at, tree.level);
      flags = INVEPT;
      at = tree.descend(gpa, 1);
    }
    if (at < 0) {
      // The marker only saves work; each access is a violation until there is room for it.
      return MMIO | flags;
    }
    long old = tree.read(at);
    if (tree.isPage(old, 1)) {
      flags = INVEPT;
    }
    long marker = MmioMarker.of(gpa, slots.generation());
    tree.set(at, 1, marker);
    observer.changed(gpa & -HostMemory.FRAME_SIZE, 1, old, marker, at);
    mmioMarkers++;
    return MMIO | flags;
  }

  private int fill(@Gpa long gpa, int kind, long needed) {
    @Hpa long hpa = slots.back(gpa);
    if (hpa < 0) {
      return mark(gpa);
    }
    int result = install(gpa, hpa, kind, needed);
    if (result == NO_FRAMES) {
      result = (rebuild() ? install(gpa, hpa, kind, needed) : NO_FRAMES) | INVEPT;
    }
    return result;
  }

  /**
   * Maps the page around an address, without zapping anything for room.
   *
   * @param needed rights that an access asked for
   */
  private int install(@Gpa long gpa, @Hpa long hpa, int kind, long needed) {
    boolean write = (needed & EptEntry.WRITE) != 0;
    boolean held = protectsLogged && slots.logged(gpa);
    if (held && write) {
      slots.markDirty(gpa);
    }
    long rights = kind == SlotMap.READ_ONLY || held && !write ? allRights & ~EptEntry.WRITE : allRights;
    long rule = rules.get(gpa);
    if (rule != PageRules.NONE) {
      boolean divided = kind == SlotMap.RAM && (!held || write);
      return installByRule(gpa, (rule & PageRules.REDIRECTED) == 0 ? hpa : shown(rule, hpa), rights, rule, divided,
          needed);
    }
    int goal = EptEntry.level(Math.min(Math.min(maxPageShift, slots.mappingShift(gpa)), rules.maxShift(gpa)));
    long splitBefore = splits;
    @Hpa long at = place(gpa, goal);
    if (at < 0) {
      return NO_FRAMES;
    }
    int flags = splits == splitBefore ? 0 : INVEPT;
    int level = tree.level;
    int shift = EptEntry.shift(level);
    long leaf = EptEntry.leaf(hpa & -1L << shift, shift, rights, PAGE_TYPE) | tree.empty;
    long old = tree.read(at);
    @Gpa long page = gpa & -1L << shift;
    observer.requested(page, hpa & -1L << shift, level);
    if (!tree.isPage(old, level)) {
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

  /** Entry for a page of a level or smaller, larger ones being split. @return −1 if no frame is left */
  private @Hpa long place(@Gpa long gpa, int goal) {
    @Hpa long at = tree.descend(gpa, goal);
    while (at >= 0 && tree.level > goal) {
      long large = tree.read(at);
      int largeLevel = tree.level;
      if (!tree.split(at, tree.level)) {
        return -1;
      }
      observer.split(gpa & -1L << EptEntry.shift(largeLevel), largeLevel, large);
      splits++;
      at = tree.descend(gpa, goal);
    }
    return at;
  }

  /** Backing of the page that a redirected one shows, or its own if that has none. */
  private @Hpa long shown(long rule, @Hpa long own) {
    @Gpa long other = rule & EptEntry.ADDRESS_MASK;
    @Hpa long hpa = slots.back(other);
    return hpa < 0 ? own : hpa;
  }

  /** @param divided sub-page permissions may be asked */
  private int installByRule(@Gpa long gpa, @Hpa long hpa, long slotRights, long rule, boolean divided, long needed) {
    long splitBefore = splits;
    @Hpa long at = place(gpa, 1);
    if (at < 0) {
      return NO_FRAMES;
    }
    int flags = splits == splitBefore ? 0 : INVEPT;
    long rights = slotRights & rule;
    boolean bySubPage = divided && (rule & EptEntry.SUB_PAGE_WRITE) != 0;
    long entry = tree.empty & rule;
    if (rights != 0) {
      entry |= EptEntry.leaf(hpa & -HostMemory.FRAME_SIZE, EptEntry.SHIFT_4K, rights, PAGE_TYPE)
          | (bySubPage ? EptEntry.SUB_PAGE_WRITE : 0);
    }
    long old = tree.read(at);
    boolean moved = tree.isPage(old, 1) && EptEntry.address(old) != EptEntry.address(entry);
    long wanted = moved || !tree.isPage(old, 1) ? entry : entry | old & (EptEntry.ACCESSED | EptEntry.DIRTY);
    observer.requested(gpa & -HostMemory.FRAME_SIZE, hpa & -HostMemory.FRAME_SIZE, 1);
    if (wanted != old) {
      fastFaults += (wanted & ~old & ~EptEntry.SUB_PAGE_WRITE) == EptEntry.WRITE ? 1 : 0;
      write(gpa & -HostMemory.FRAME_SIZE, at, 1, old, wanted);
      return FIXED | flags | (moved ? INVEPT : 0);
    }
    return ((rights & needed) == needed ? SPURIOUS : bySubPage && needed == EptEntry.WRITE ? SUB_PAGE : RESTRICTED)
        | flags;
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
      int result = install(page, hpa, kind, ANY_ACCESS);
      if (result == NO_FRAMES) {
        return NO_FRAMES | flags;
      }
      flags |= result & INVEPT;
      page = (page & -1L << EptEntry.shift(tree.level)) + (1L << EptEntry.shift(tree.level));
    }
    return FIXED | flags;
  }

  /** Rules of single pages, to be read and changed. */
  public PageRules rules() {
    return rules;
  }

  /** Writes rules of pages, tables with all their flags, counters and what is mapped in advance or logged. */
  public void save(DataOutput out) throws IOException {
    rules.save(out);
    for (long counter : new long[] {splits, collapses, zaps, mmioMarkers, fastFaults}) {
      out.writeLong(counter);
    }
    out.writeInt(maxPageShift);
    out.writeBoolean(protectsLogged);
    out.writeBoolean(keepsDirty);
    out.writeInt(eager.size());
    for (Range range : eager) {
      out.writeLong(Addresses.bits(range.first));
      out.writeLong(Addresses.bits(range.last));
    }
    tree.save(out);
  }

  /**
   * Reads what {@link #save} wrote in place of all that there is. The caller does INVEPT.
   *
   * @throws IOException if it is damaged, or the tables do not fit the slots or the frames left
   */
  public void load(DataInput in) throws IOException {
    rules.load(in, gpaBits);
    splits = in.readLong();
    collapses = in.readLong();
    zaps = in.readLong();
    mmioMarkers = in.readLong();
    fastFaults = in.readLong();
    maxPageShift = in.readInt();
    protectsLogged = in.readBoolean();
    keepsDirty = in.readBoolean();
    eager.clear();
    for (int left = in.readInt(); left > 0; left--) {
      eager.add(new Range(in.readLong(), in.readLong()));
    }
    observer.zapAll();
    tree.load(in, this::backing);
  }

  private @Hpa long backing(@Gpa long gpa) {
    long rule = rules.get(gpa);
    if (slots.kind(gpa) == SlotMap.NONE) {
      return -1;
    }
    @Hpa long own = slots.back(gpa);
    return rule == PageRules.NONE || (rule & PageRules.REDIRECTED) == 0 ? own : shown(rule, own);
  }

  /** Obeys a page's new rule: maps it anew if it was mapped, or if even its absence is part of its rule. */
  void apply(@Gpa long page, long rule) {
    boolean mapped = pageShift(page) != 0;
    if (mapped) {
      split(page, EptEntry.SHIFT_4K);
      // Large still if no frame was left: then all of it goes.
      @Gpa long start = page & -1L << pageShift(page);
      unmap(start, 1L << pageShift(page));
    }
    boolean absent = rule != PageRules.NONE && (rule & allRights) == 0;
    int kind = slots.kind(page);
    if (kind != SlotMap.NONE && (mapped || absent)) {
      fill(page, kind, ANY_ACCESS);
    }
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
   * Prepares a range whose slot has just begun to be logged: pages are split to 4 KiB, or unmapped if no frame is left
   * for that, and lose W or D. The caller does INVEPT.
   *
   * @param byProtection writes are found by violations and told to the slots from now on, for all logged slots;
   *     otherwise D is their mark
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
    Range range = range(gpa, length);
    for (long frame : rules.framesIn(range.first, range.last)) {
      @Gpa long page = frame << HostMemory.FRAME_SHIFT;
      apply(page, rules.get(page));
    }
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
    while (EptEntry.shift(tree.level) > shift && tree.isPresent(tree.read(at)) && tree.split(at, tree.level)) {
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
        boolean allowed = Math.min(slots.mappingShift(page), rules.maxShift(page)) >= EptEntry.shift(level);
        if (at >= 0 && allowed && tree.collapse(at, level)) {
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
      tree.markDirty(0, lastGpa, slots);
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

  /** The pages of a range. @throws IllegalArgumentException if it is empty or leaves the address space */
  Range range(@Gpa long gpa, long length) {
    if (length < 1 || gpa < 0 || gpa > lastGpa || length - 1 > lastGpa - gpa) {
      throw new IllegalArgumentException("guest-physical range 0x" + Long.toHexString(gpa) + " + " + length
          + " bytes: expected at least 1 byte below 2^" + gpaBits);
    }
    long page = HostMemory.FRAME_SIZE;
    return new Range(gpa & -page, (gpa + length - 1) | page - 1);
  }
}
