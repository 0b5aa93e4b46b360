package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import org.eclipse.collections.impl.map.mutable.primitive.LongIntHashMap;
import org.eclipse.collections.impl.map.mutable.primitive.LongLongHashMap;

/**
 * What a hypervisor wants of single pages in one view beyond what their memory slot says, whether they are mapped or not.
 * A rule is written like the level-1 entry that it shapes:
 * <pre>
 *  63             61    51:12                 11           10   2:0
 *  suppress #VE   SPP   page shown instead    redirected   XU   X W R
 * </pre>
 */
final class PageRules {
  /** No rule: all that the slot gives. */
  static final long NONE = -1;
  static final long REDIRECTED = 1L << 11;
  private static final int SHIFT_2M_IN_FRAMES = EptEntry.SHIFT_2M - EptEntry.SHIFT_4K;
  private static final int SHIFT_1G_IN_FRAMES = EptEntry.SHIFT_1G - EptEntry.SHIFT_4K;

  /** By frame number. */
  private final LongLongHashMap rules = new LongLongHashMap();
  /** Rules in each 2 MiB and 1 GiB that has any. */
  private final LongIntHashMap in2m = new LongIntHashMap();
  private final LongIntHashMap in1g = new LongIntHashMap();

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
        throw new IOException("EPT rule of frame 0x" + Long.toHexString(frame) + ": expected an address of " + gpaBits + " bits");
      }
      set(frame << HostMemory.FRAME_SHIFT, in.readLong());
    }
  }

  /** Frame numbers of the pages in a range that have a rule, in order. */
  long[] framesIn(@Gpa long first, @Gpa long last) {
    return rules.keySet().select(frame -> frame >= Addresses.frame(first) && frame <= Addresses.frame(last)).toSortedArray();
  }
}
