package dev.gnomon.ept;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import java.util.ArrayList;
import java.util.List;

/**
 * A second model of the EPT walk, written as tables of bit patterns: what an entry is, is the first row that matches.
 * It shares no code with {@link EptWalker} and shows the flags that a walk must set instead of setting them.
 */
final class EptReference {
  enum Verdict {
    ABSENT, BAD, TABLE, PAGE
  }

  enum Operation {
    READ, WRITE, FETCH
  }

  /** @param lacking letter of the capability without which the row counts, or empty */
  private record Row(String levels, BitPattern pattern, String lacking, Verdict verdict) {
    Row(String levels, String pattern, String lacking, Verdict verdict) {
      this(levels, new BitPattern(pattern), lacking, verdict);
    }

    boolean matches(int level, long entry, String capabilities) {
      return levels.indexOf('0' + level) >= 0 && (lacking.isEmpty() || !capabilities.contains(lacking))
          && pattern.matches(entry);
    }
  }

  private static final Row[] ROWS = {
      new Row("4321", "2:0=000", "", Verdict.ABSENT),
      new Row("4321", "2:0=010", "", Verdict.BAD),
      new Row("4321", "2:0=110", "", Verdict.BAD),
      new Row("4321", "2:0=100", "X", Verdict.BAD),
      new Row("4321", "51:46!=0", "", Verdict.BAD),
      new Row("4", "7:3!=0", "", Verdict.BAD),
      new Row("32", "7:7=0 6:3!=0", "", Verdict.BAD),
      new Row("3", "7:7=1", "G", Verdict.BAD),
      new Row("2", "7:7=1", "M", Verdict.BAD),
      new Row("3", "7:7=1 29:12!=0", "", Verdict.BAD),
      new Row("2", "7:7=1 20:12!=0", "", Verdict.BAD),
      new Row("32", "7:7=1 5:3=010", "", Verdict.BAD),
      new Row("32", "7:7=1 5:3=011", "", Verdict.BAD),
      new Row("32", "7:7=1 5:3=111", "", Verdict.BAD),
      new Row("1", "5:3=010", "", Verdict.BAD),
      new Row("1", "5:3=011", "", Verdict.BAD),
      new Row("1", "5:3=111", "", Verdict.BAD),
      new Row("32", "7:7=1", "", Verdict.PAGE),
      new Row("1", "2:0!=0", "", Verdict.PAGE),
      new Row("432", "2:0!=0", "", Verdict.TABLE),
  };

  /**
   * @param outcome {@code ok}, {@code violation} or {@code misconfig}
   * @param permissions AND of the rights over the walk, 0 if an entry was absent
   * @param flags per entry read its address and the A and D flags that must be set afterwards, besides what was there
   */
  record Result(String outcome, int permissions, @Hpa long hpa, int shift, int references, int type,
      List<long[]> flags) {}

  private final HostMemory memory;
  /** Letters of what the processor has: X execute-only, M 2-MiB, G 1-GiB pages. */
  private final String capabilities;
  private final boolean accessedDirty;

  EptReference(HostMemory memory, EptCapabilities capabilities, boolean accessedDirty) {
    this.memory = memory;
    this.capabilities = (capabilities.executeOnly() ? "X" : "") + (capabilities.page2m() ? "M" : "")
        + (capabilities.page1g() ? "G" : "");
    this.accessedDirty = accessedDirty;
  }

  Verdict verdict(int level, long entry) {
    for (Row row : ROWS) {
      if (row.matches(level, entry, capabilities)) {
        return row.verdict;
      }
    }
    throw new AssertionError("no row for 0x" + Long.toHexString(entry));
  }

  Result walk(@Hpa long root, @Gpa long gpa, Operation operation) {
    String path = String.format("%48s", Long.toBinaryString(gpa)).replace(' ', '0');
    StringBuilder rights = new StringBuilder("111");
    List<long[]> read = new ArrayList<>();
    @Hpa long table = root;
    for (int level = 4; level >= 1; level--) {
      int index = Integer.parseInt(path.substring(9 * (4 - level), 9 * (5 - level)), 2);
      @Hpa long at = table + index * 8L;
      long entry = memory.read64(at);
      Verdict verdict = verdict(level, entry);
      if (verdict == Verdict.ABSENT || verdict == Verdict.BAD) {
        return new Result(verdict == Verdict.ABSENT ? "violation" : "misconfig", 0, 0, 0, 5 - level, 0, List.of());
      }
      String own = String.format("%3s", Long.toBinaryString(entry % 8 < 0 ? entry % 8 + 8 : entry % 8))
          .replace(' ', '0');
      for (int i = 0; i < 3; i++) {
        if (own.charAt(i) == '0') {
          rights.setCharAt(i, '0');
        }
      }
      String address = String.format("%64s", Long.toBinaryString(entry)).replace(' ', '0').substring(18, 52)
          + "000000000000";
      table = Long.parseLong(address, 2);
      read.add(new long[] {at, accessedDirty ? 0x100 : 0});
      if (verdict == Verdict.PAGE) {
        int shift = new int[] {0, 12, 21, 30}[level];
        int permissions = Integer.parseInt(rights.toString(), 2);
        if (rights.charAt(switch (operation) {
          case READ -> 2;
          case WRITE -> 1;
          case FETCH -> 0;
        }) == '0') {
          return new Result("violation", permissions, 0, 0, 5 - level, 0, List.of());
        }
        if (accessedDirty && operation == Operation.WRITE) {
          read.get(read.size() - 1)[1] = 0x300;
        }
        return new Result("ok", permissions, table + gpa % (1L << shift), shift, 5 - level, (int) (entry >> 3 & 15),
            read);
      }
    }
    throw new AssertionError("level 1 always ends the walk");
  }
}
