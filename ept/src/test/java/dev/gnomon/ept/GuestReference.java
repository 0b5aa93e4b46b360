package dev.gnomon.ept;

import dev.gnomon.ept.EptReference.Operation;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PagingContext;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A second model of the 2-D walk with 4-level guest tables, over {@link EptReference}: entries are judged by bit
 * patterns, rights by a table of regular expressions, and flags are collected instead of set.
 */
final class GuestReference {
  private record Row(String levels, BitPattern pattern, boolean onlyWithoutNxe, String verdict) {
    Row(String levels, String pattern, String only, String verdict) {
      this(levels, new BitPattern(pattern), only.equals("no NXE"), verdict);
    }
  }

  private static final Row[] ENTRIES = {
      new Row("4321", "0:0=0", "", "absent"),
      new Row("4321", "51:46!=0", "", "reserved"),
      new Row("4321", "63:63=1", "no NXE", "reserved"),
      new Row("4", "7:7=1", "", "reserved"),
      new Row("3", "7:7=1 29:13!=0", "", "reserved"),
      new Row("2", "7:7=1 20:13!=0", "", "reserved"),
      new Row("1", "0:0=1", "", "page"),
      new Row("32", "7:7=1", "", "page"),
      new Row("432", "7:7=0", "", "table"),
  };
  private static final BitPattern USER = new BitPattern("2:2=1");
  private static final BitPattern WRITABLE = new BitPattern("1:1=1");
  private static final BitPattern EXECUTABLE = new BitPattern("63:63=0");

  /**
   * Mode U or S, access r w x; page u or s, w or r, x or n; W if WP, E if SMEP, A if SMAP applies; first match decides.
   */
  private static final String[][] RIGHTS = {
      {"U.s.....", "no"}, {"Ur......", "yes"}, {"Uw.w....", "yes"}, {"Uw.r....", "no"}, {"Ux..x...", "yes"},
          {"Ux..n...", "no"},
      {"S[rw]u....A", "no"}, {"Sr......", "yes"}, {"Sw.w....", "yes"}, {"Sw.r.W..", "no"}, {"Sw.r.-..", "yes"},
      {"Sxu...E.", "no"}, {"Sx..n...", "no"}, {"Sx......", "yes"},
  };

  /**
   * @param outcome {@code ok} with the address, {@code fault} with the error code, {@code violation} with the
   *     qualification, {@code misconfig}
   */
  record Result(String outcome, long detail, @Gpa long exitGpa, int references, boolean aliased, Map<Long,
      Long> flags) {}

  private final HostMemory memory;
  private final EptReference ept;
  private final @Hpa long eptRoot;
  private final boolean accessedDirty;
  private final PagingContext paging;
  private int references;
  private Map<Long, Long> flags;
  private Result exit;
  /**
   * One entry serves two levels, so that the walker, which updates it twice, starts again and counts more references.
   */
  private boolean aliased;

  GuestReference(HostMemory memory, EptCapabilities capabilities, @Hpa long eptRoot, boolean accessedDirty,
      PagingContext paging) {
    this.memory = memory;
    this.ept = new EptReference(memory, capabilities, accessedDirty);
    this.eptRoot = eptRoot;
    this.accessedDirty = accessedDirty;
    this.paging = paging;
  }

  Result walk(@Gva long gva, int access) {
    references = 0;
    aliased = false;
    flags = new LinkedHashMap<>();
    boolean user = (access & Access.USER) != 0;
    char operation = (access & Access.FETCH) != 0 ? 'x' : (access & Access.WRITE) != 0 ? 'w' : 'r';
    boolean[] rights = {true, true, true};
    List<@Gpa Long> gpas = new ArrayList<>();
    List<@Hpa Long> hpas = new ArrayList<>();
    @Gpa long table = paging.root;
    for (int level = 4; ; level--) {
      @Gpa long gpa = table + (gva >>> new int[] {0, 12, 21, 30, 39}[level] & 511) * 8;
      @Hpa long hpa = stage(gpa, accessedDirty ? Operation.WRITE : Operation.READ, accessedDirty ? 3 : 1, 0x80, true);
      if (hpa < 0) {
        return exit;
      }
      references++;
      long entry = memory.read64(hpa);
      String verdict = verdict(level, entry);
      aliased |= hpas.contains(hpa);
      gpas.add(gpa);
      hpas.add(hpa);
      if (verdict.equals("absent") || verdict.equals("reserved")) {
        return fault(access, verdict.equals("reserved") ? 9 : 0);
      }
      rights[0] &= USER.matches(entry);
      rights[1] &= WRITABLE.matches(entry);
      rights[2] &= EXECUTABLE.matches(entry);
      if (verdict.equals("table")) {
        table = Math.floorMod(entry, 1L << 46) & -4096L;
        continue;
      }
      String key = (user ? "U" : "S") + operation + (rights[0] ? 'u' : 's') + (rights[1] ? 'w' : 'r')
          + (rights[2] ? 'x' : 'n')
          + (paging.wp ? 'W' : '-') + (paging.smep ? 'E' : '-') + (paging.smap && !overrides(access) ? 'A' : '-');
      if (denied(key)) {
        return fault(access, 1);
      }
      for (int i = 0; i < gpas.size(); i++) {
        long wanted = i == gpas.size() - 1 && operation == 'w' ? 0x60 : 0x20;
        if ((memory.read64(hpas.get(i)) & wanted) != wanted) {
          if (stage(gpas.get(i), Operation.WRITE, 3, 0x80, false) < 0) {
            return exit;
          }
          flags.merge(hpas.get(i), wanted, (one, other) -> one | other);
        }
      }
      long size = new long[] {0, 1L << 12, 1L << 21, 1L << 30}[level];
      @Gpa long last = (Math.floorMod(entry, 1L << 46) & -size) + gva % size;
      long advanced = 0x180 | (rights[0] ? 0x200 : 0) | (rights[1] ? 0x400 : 0) | (rights[2] ? 0 : 0x800);
      @Hpa long result = switch (operation) {
        case 'r' -> stage(last, Operation.READ, 1, advanced, true);
        case 'w' -> stage(last, Operation.WRITE, 2, advanced, true);
        default -> stage(last, Operation.FETCH, 4, advanced, true);
      };
      return result < 0 ? exit : new Result("ok", result, 0, references, aliased, flags);
    }
  }

  private @Hpa long stage(@Gpa long gpa, Operation operation, long access, long linear, boolean counted) {
    EptReference.Result result = ept.walk(eptRoot, gpa, operation);
    references += counted ? result.references() : 0;
    result.flags().forEach(entry -> flags.merge(entry[0], entry[1], (one, other) -> one | other));
    if (result.outcome().equals("ok")) {
      return result.hpa();
    }
    boolean violation = result.outcome().equals("violation");
    exit = new Result(result.outcome(), violation ? access | (long) result.permissions() << 3 | linear : 0, gpa,
        references, aliased, flags);
    return -1;
  }

  private Result fault(int access, int code) {
    int reported = access & (Access.WRITE | Access.USER) | (paging.nxe || paging.smep ? access & Access.FETCH : 0);
    return new Result("fault", code | reported, 0, references, aliased, flags);
  }

  private static boolean overrides(int access) {
    return (access & Access.SMAP_OVERRIDE) != 0 && (access & Access.IMPLICIT) == 0;
  }

  private String verdict(int level, long entry) {
    for (Row row : ENTRIES) {
      if (row.levels.indexOf('0' + level) >= 0 && !(row.onlyWithoutNxe && paging.nxe) && row.pattern.matches(entry)) {
        return row.verdict;
      }
    }
    throw new AssertionError("no row for 0x" + Long.toHexString(entry));
  }

  private static boolean denied(String key) {
    for (String[] row : RIGHTS) {
      if (key.matches(row[0])) {
        return row[1].equals("no");
      }
    }
    throw new AssertionError("no row for " + key);
  }
}
