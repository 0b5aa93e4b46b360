package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.ExitReason;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.eclipse.collections.impl.map.mutable.primitive.LongLongHashMap;

/**
 * Exits by reason and, below that, by cause; plain counters, nothing is modelled here. A cause is a {@link Cause} with
 * a number (port, MSR, vector) where it has one.
 */
public final class ExitStatistics {
  private static final int REASONS = 72;
  private static final int CAUSES = Cause.values().length;
  private static final int CAUSE_SHIFT = 40;
  private static final int REASON_SHIFT = 56;

  /** Why an exit of some reason happened. */
  public enum Cause {
    NONE(""),
    GUEST_FAULT("guest fault (reflected)"),
    SHADOW_FILL("hidden (shadow fill)"),
    /** Of a page that a polled device shares; the number is that of its frame. */
    DEVICE_FILL("hidden (device page) 0x%x000"),
    SPURIOUS("spurious"),
    PAGE_TABLE_WRITE("pt write (emulated)"),
    READ_ONLY_WRITE("read-only write"),
    MMIO("mmio"),
    WP_SMAP("WP=0 write under SMAP (emulated)"),
    WP_KEYS("WP=0 write under protection keys (emulated)"),
    EXCEPTION("exception %d (reflected)"),
    EPT_FILL("fill"),
    EPT_BAD_ENTRY("bad entry"),
    RESTRICTED("restricted page"),
    SUB_PAGE_WRITE("sub-page write"),
    SUB_PAGE_FILL("sub-page table fill"),
    CR_WRITE("cr%d write"),
    CR_READ("cr%d read"),
    CLTS("clts"),
    LMSW("lmsw"),
    DR_WRITE("dr%d write"),
    DR_READ("dr%d read"),
    PORT_IN("in 0x%x"),
    PORT_OUT("out 0x%x"),
    PORT_STRING_IN("ins 0x%x"),
    PORT_STRING_OUT("outs 0x%x"),
    MSR("msr 0x%x"),
    TIMER("device timer"),
    KICK("kick by another vCPU"),
    DEVICE("device interrupt");

    private final String format;

    Cause(String format) {
      this.format = format;
    }

    /** The cause with its number. */
    public String text(long number) {
      return String.format(format, number);
    }
  }

  /**
   * One line of a report.
   *
   * @param reason basic exit reason
   * @param cause text, empty if the reason has none
   */
  public record Row(int reason, String cause, long count) {
    /** KVM's name of the reason. */
    public String reasonName() {
      return ExitReason.name(reason);
    }
  }

  private final long[] byReason = new long[REASONS];
  /** Exits without a number, by reason and cause. */
  private final long[] plain = new long[REASONS * CAUSES];
  /** Exits with a number, and the latest key with how often it came since it was last another one's turn. */
  private final LongLongHashMap numbered = new LongLongHashMap();
  private long latestKey;
  private long latestCount;
  private long total;
  private long last;

  /** The exits of several vCPUs together, as they are now. */
  static ExitStatistics sum(List<ExitStatistics> parts) {
    ExitStatistics sum = new ExitStatistics();
    for (ExitStatistics part : parts) {
      part.numbered.forEachKeyValue(sum.numbered::addToValue);
      sum.numbered.addToValue(part.latestKey, part.latestCount);
      for (int i = 0; i < sum.plain.length; i++) {
        sum.plain[i] += part.plain[i];
      }
      for (int i = 0; i < REASONS; i++) {
        sum.byReason[i] += part.byReason[i];
      }
      sum.total += part.total;
    }
    return sum;
  }

  /** Counts one exit. */
  void count(int reason, Cause cause, long number) {
    total++;
    byReason[reason]++;
    long key = key(reason, cause, number);
    if (key != latestKey) {
      numbered.addToValue(latestKey, latestCount);
      latestKey = key;
      latestCount = 0;
    }
    latestCount++;
    last = key;
  }

  void count(int reason, Cause cause) {
    total++;
    byReason[reason]++;
    plain[reason * CAUSES + cause.ordinal()]++;
    last = key(reason, cause, 0);
  }

  void count(int reason) {
    count(reason, Cause.NONE);
  }

  /** All counts by key. */
  private LongLongHashMap byCause() {
    LongLongHashMap all = new LongLongHashMap(numbered);
    all.addToValue(latestKey, latestCount);
    for (int i = 0; i < plain.length; i++) {
      if (plain[i] != 0) {
        all.addToValue((long) (i / CAUSES) << REASON_SHIFT | (long) (i % CAUSES) << CAUSE_SHIFT, plain[i]);
      }
    }
    return all;
  }

  private static long key(int reason, Cause cause, long number) {
    return (long) reason << REASON_SHIFT | (long) cause.ordinal() << CAUSE_SHIFT | number & 0xFFFF_FFFFL;
  }

  /** The cause of the exit counted last, empty if its reason has none. */
  public String lastCause() {
    return cause(last).text(last & 0xFFFF_FFFFL);
  }

  /** All exits. */
  public long total() {
    return total;
  }

  /** Exits of one basic reason, a constant of {@link ExitReason}. */
  public long ofReason(int reason) {
    return reason >= 0 && reason < REASONS ? byReason[reason] : 0;
  }

  /** Exits of one reason and cause, whatever the cause's number. */
  public long of(int reason, Cause cause) {
    long sum = 0;
    LongLongHashMap byCause = byCause();
    for (long key : byCause.keySet().toSortedArray()) {
      if (reason(key) == reason && cause(key) == cause) {
        sum += byCause.get(key);
      }
    }
    return sum;
  }

  /** Exits of one reason, cause and number. */
  public long of(int reason, Cause cause, long number) {
    return byCause().get(key(reason, cause, number));
  }

  private static int reason(long key) {
    return (int) (key >>> REASON_SHIFT);
  }

  private static Cause cause(long key) {
    return Cause.values()[(int) (key >>> CAUSE_SHIFT) & 0xFFFF];
  }

  /** One row a reason that occurred, most frequent first, then by number. */
  public List<Row> reasons() {
    List<Row> rows = new ArrayList<>();
    for (int reason = 0; reason < REASONS; reason++) {
      if (byReason[reason] != 0) {
        rows.add(new Row(reason, "", byReason[reason]));
      }
    }
    rows.sort(Comparator.comparingLong(Row::count).reversed());
    return rows;
  }

  /** One row a cause of a reason, most frequent first; none if the reason's exits have no causes. */
  public List<Row> causes(int reason) {
    List<Row> rows = new ArrayList<>();
    LongLongHashMap byCause = byCause();
    for (long key : byCause.keySet().toSortedArray()) {
      if (reason(key) == reason && cause(key) != Cause.NONE) {
        rows.add(new Row(reason, cause(key).text(key & 0xFFFF_FFFFL), byCause.get(key)));
      }
    }
    rows.sort(Comparator.comparingLong(Row::count).reversed());
    return rows;
  }
}
