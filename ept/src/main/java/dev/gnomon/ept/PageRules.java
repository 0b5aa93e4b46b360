package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.SlotMap;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import org.eclipse.collections.impl.map.mutable.primitive.LongIntHashMap;
import org.eclipse.collections.impl.map.mutable.primitive.LongLongHashMap;

/**
 * What a hypervisor wants of single pages in one view beyond what their memory slot says, whether they are mapped or
 * not. A rule is written like the level-1 entry that it shapes:
 * <pre>
 *  63             61    51:12                 11           10   2:0
 *  suppress #VE   SPP   page shown instead    redirected   XU   X W R
 * </pre>
 */
public final class PageRules {
  /** No rule: all that the slot gives. */
  static final long NONE = -1;
  static final long REDIRECTED = 1L << 11;
  private static final int SHIFT_2M_IN_FRAMES = EptEntry.SHIFT_2M - EptEntry.SHIFT_4K;
  private static final int SHIFT_1G_IN_FRAMES = EptEntry.SHIFT_1G - EptEntry.SHIFT_4K;

  private final EptTables tables;
  private final SlotMap slots;
  private final int allowed;
  private final boolean exceptions;
  /** Rights of RAM. */
  private final long allRights;
  /** By frame number. */
  private final LongLongHashMap rules = new LongLongHashMap();
  /** Rules in each 2 MiB and 1 GiB that has any. */
  private final LongIntHashMap in2m = new LongIntHashMap();
  private final LongIntHashMap in1g = new LongIntHashMap();

  /** @param allowed {@link EptEntry#allowedRights} of the processor */
  PageRules(EptTables tables, SlotMap slots, int allowed, EptOptions options) {
    this.tables = tables;
    this.slots = slots;
    this.allowed = allowed;
    this.exceptions = options.exceptions();
    this.allRights = options.modeBasedExecute() ? EptEntry.RIGHTS_BY_MODE : EptEntry.RIGHTS;
  }

  /**
   * Gives the pages of a range fewer rights than their slots do. The rule lasts until {@link #clear}, whatever
   * happens to slot or tables; the caller does INVEPT.
   *
   * @param rights bits of {@link EptEntry#RIGHTS_BY_MODE}; without mode-based execute control X is for all code
   * @param convertible violations at the pages may become virtualization exceptions; needs {@link
   *     EptOptions#exceptions}
   * @throws IllegalArgumentException if no processor allows the rights
   */
  public void setAccess(@Gpa long gpa, long length, long rights, boolean convertible) {
    int low = (int) (rights & EptEntry.RIGHTS);
    boolean valid = (rights & allRights) == 0 || (allowed >>> low & 1) != 0;
    if ((rights & ~EptEntry.RIGHTS_BY_MODE) != 0 || !valid) {
      throw new IllegalArgumentException("EPT rights 0x" + Long.toHexString(rights)
          + ": expected read with write, and read with execute unless the processor has execute-only translations");
    }
    if (convertible && !exceptions) {
      throw new IllegalArgumentException("EPT violations as virtualization exceptions: expected tables made for them"
          + " (ve)");
    }
    EptTables.Range range = tables.range(gpa, length);
    for (@Gpa long page = range.first(); page <= range.last(); page += HostMemory.FRAME_SIZE) {
      change(page, rights | (convertible ? 0 : EptEntry.SUPPRESS_VE));
    }
  }

  /**
   * Shows another page's memory at a page, with the rights of its own slot. Dirty logs tell of the page, not of the
   * other. The caller does INVEPT.
   *
   * @param to guest-physical address of the page shown, in a memory slot
   */
  public void redirect(@Gpa long gpa, @Gpa long to) {
    if (slots.kind(to) == SlotMap.NONE) {
      throw new IllegalArgumentException("guest-physical page 0x" + Long.toHexString(to)
          + " has no memory slot to show elsewhere");
    }
    change(gpa, EptEntry.RIGHTS_BY_MODE | EptEntry.SUPPRESS_VE | REDIRECTED
        | Addresses.bits(to) & EptEntry.ADDRESS_MASK & -HostMemory.FRAME_SIZE);
  }

  /** Write-protects a page but for what the sub-page permission table grants. The caller does INVEPT. */
  public void divide(@Gpa long gpa) {
    change(gpa, EptEntry.RIGHTS_BY_MODE & ~EptEntry.WRITE | EptEntry.SUPPRESS_VE | EptEntry.SUB_PAGE_WRITE);
  }

  /** The address whose memory an address shows: itself, or the same place of the page that its own is redirected to. */
  public @Gpa long shown(@Gpa long gpa) {
    long rule = get(gpa);
    return rule == NONE || (rule & REDIRECTED) == 0 ? gpa
        : rule & EptEntry.ADDRESS_MASK | Addresses.offset(gpa, HostMemory.FRAME_SIZE);
  }

  /** Takes all rules away in a range. The caller does INVEPT. */
  public void clear(@Gpa long gpa, long length) {
    EptTables.Range range = tables.range(gpa, length);
    for (long frame : framesIn(range.first(), range.last())) {
      change(frame << HostMemory.FRAME_SHIFT, NONE);
    }
  }

  private void change(@Gpa long page, long rule) {
    tables.range(page, 1);
    set(page, rule);
    tables.apply(page & -HostMemory.FRAME_SIZE, rule);
  }

  long get(@Gpa long gpa) {
    return rules.isEmpty() ? NONE : rules.getIfAbsent(Addresses.frame(gpa), NONE);
  }

  void set(@Gpa long gpa, long rule) {
    long frame = Addresses.frame(gpa);
    int more = (rule == NONE ? 0 : 1) - (rules.containsKey(frame) ? 1 : 0);
    if (rule == NONE) {
      rules.remove(frame);
    } else {
      rules.put(frame, rule);
    }
    in2m.addToValue(frame >>> SHIFT_2M_IN_FRAMES, more);
    in1g.addToValue(frame >>> SHIFT_1G_IN_FRAMES, more);
  }

  /** log2 of the largest page around an address that no rule divides: 12, 21 or 30. */
  int maxShift(@Gpa long gpa) {
    long frame = Addresses.frame(gpa);
    return rules.isEmpty() || in1g.get(frame >>> SHIFT_1G_IN_FRAMES) == 0 ? EptEntry.SHIFT_1G
        : in2m.get(frame >>> SHIFT_2M_IN_FRAMES) == 0 ? EptEntry.SHIFT_2M : EptEntry.SHIFT_4K;
  }

  void save(DataOutput out) throws IOException {
    out.writeInt(rules.size());
    for (long frame : rules.keySet().toSortedArray()) {
      out.writeLong(frame);
      out.writeLong(rules.get(frame));
    }
  }

  /** @param gpaBits width of the addresses that there may be rules for */
  void load(DataInput in, int gpaBits) throws IOException {
    rules.clear();
    in2m.clear();
    in1g.clear();
    for (int left = in.readInt(); left > 0; left--) {
      long frame = in.readLong();
      if (frame >>> gpaBits - HostMemory.FRAME_SHIFT != 0) {
        throw new IOException("EPT rule of frame 0x" + Long.toHexString(frame) + ": expected an address of " + gpaBits
            + " bits");
      }
      set(frame << HostMemory.FRAME_SHIFT, in.readLong());
    }
  }

  /** Frame numbers of the pages in a range that have a rule, in order. */
  long[] framesIn(@Gpa long first, @Gpa long last) {
    return rules.keySet().select(frame -> frame >= Addresses.frame(first)
        && frame <= Addresses.frame(last)).toSortedArray();
  }
}
