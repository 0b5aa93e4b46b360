package dev.gnomon.vmm.lockstep;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Translation;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongUnaryOperator;

/**
 * Every value that the entries of a guest's 4-level tables have had, and when what was flushed; from that, every
 * translation that a processor may use for an address (SDM vol. 3A, "Caching Translation Information").
 *
 * <p>A translation may be cached in a TLB, or a part of it in a paging-structure cache, from any time since the last
 * operation that dropped the address: INVLPG of it, #PF at it, MOV to CR3 (which spares global translations), a change
 * of CR4.PGE. All these drop what the paging-structure caches hold for the address too. So each entry on the way may
 * have any value that it had since then, in any combination, and nothing older. That is more than the SDM allows in
 * some ways: the combination may never have been there at one time; an operation that drops more than one 4-KiB page
 * counts for its own address alone; a change of SMEP, which flushes, is not counted. A fault because an entry is not
 * present or has a reserved bit comes from the entry's present value, since such entries are never cached.
 */
final class TranslationHistory {
  /** Bits that the processor sets, which are no part of an entry's value here. */
  static final long FLAGS = PageTableEntry.A | PageTableEntry.D;
  private static final int TOP = 4;
  /** What is read where there is no memory. */
  private static final long NOTHING = -1;

  private record Version(long time, long value) {}

  private record Root(long time, @Gpa long table) {}

  /** Where a translation may lead, and its combined rights in bits of {@link Translation}. */
  record Page(@Gpa long gpa, int rights) {
    @Override
    public String toString() {
      return Long.toHexString(gpa) + ((rights & Translation.WRITABLE) != 0 ? "w" : "")
          + ((rights & Translation.USER) != 0 ? "u" : "")
          + ((rights & Translation.EXECUTABLE) != 0 ? "x" : "");
    }
  }

  /** A place that walks come to. */
  private record Node(int level, @Gpa long table, int rights, boolean global) {}

  /** All that may come of a walk for one address. */
  static final class Candidates {
    final Set<Page> pages = new LinkedHashSet<>();
    /** Error codes, without the bits of the access, of walks that end early. */
    final Set<Integer> faults = new TreeSet<>();
    /** Addresses of all entries that such walks read. */
    final Set<Long> visited = new LinkedHashSet<>();
    /** Of those, the ones that are leaves. */
    final Set<Long> leaves = new LinkedHashSet<>();
    /** No entry that may be used had another value, so that only one walk is possible. */
    boolean settled = true;
    private final Set<Node> walked = new HashSet<>();

    void add(Candidates other) {
      visited.addAll(other.visited);
      leaves.addAll(other.leaves);
    }

    @Override
    public String toString() {
      return "pages " + pages + ", faults " + faults + (settled ? ", settled" : "");
    }
  }

  private final Map<Long, List<Version>> entries = new HashMap<>();
  private final List<Root> roots = new ArrayList<>();
  private final List<Version> nxe = new ArrayList<>();
  private final Map<Long, Long> dropped = new HashMap<>();
  /** Entries that never change. */
  private final LongUnaryOperator constant;
  private long now;
  private long nonGlobalFlush;
  private long fullFlush;

  /**
   * @param constant the entry at a guest-physical address that is not among those recorded; all ones where there is no
   *     memory
   */
  TranslationHistory(LongUnaryOperator constant) {
    this.constant = constant;
  }

  /** An entry gets another value. */
  void wrote(@Gpa long at, long value) {
    entries.computeIfAbsent(at, key -> new ArrayList<>()).add(new Version(++now, value & ~FLAGS));
  }

  /** The present value of a recorded entry, without A and D. */
  long value(@Gpa long at) {
    List<Version> versions = entries.get(at);
    return versions.get(versions.size() - 1).value;
  }

  Set<Long> recorded() {
    return entries.keySet();
  }

  void loadedRoot(@Gpa long table) {
    roots.add(new Root(++now, table));
    nonGlobalFlush = now;
  }

  void flushedAll() {
    nonGlobalFlush = ++now;
    fullFlush = now;
  }

  /** INVLPG of an address, or #PF at it. */
  void dropped(@Gva long gva) {
    dropped.put(gva >>> 12, ++now);
  }

  void setNxe(boolean value) {
    if (nxe.isEmpty() || nxe.get(nxe.size() - 1).value != (value ? 1 : 0)) {
      nxe.add(new Version(++now, value ? 1 : 0));
    }
  }

  /** What a processor may do with an address now. */
  Candidates candidates(@Gva long gva) {
    Candidates all = new Candidates();
    long drop = dropped.getOrDefault(gva >>> 12, 0L);
    Set<Long> used = rootsSince(Math.max(drop, fullFlush));
    for (@Gpa long root : used) {
      walk(gva, TOP, root, Translation.WRITABLE | Translation.USER | Translation.EXECUTABLE,
          Math.max(drop, fullFlush), true, all);
    }
    all.settled &= used.size() == 1;
    walk(gva, TOP, roots.get(roots.size() - 1).table, Translation.WRITABLE | Translation.USER | Translation.EXECUTABLE,
        Math.max(drop, nonGlobalFlush), false, all);
    return all;
  }

  private Set<Long> rootsSince(long since) {
    Set<Long> used = new LinkedHashSet<>();
    for (int i = 0; i < roots.size(); i++) {
      if (i + 1 == roots.size() || roots.get(i + 1).time > since) {
        used.add(roots.get(i).table);
      }
    }
    return used;
  }

  /** The values since a time, the present one last. */
  private static List<Version> since(List<Version> versions, long since) {
    int first = versions.size() - 1;
    while (first > 0 && versions.get(first).time > since) {
      first--;
    }
    return versions.subList(first, versions.size());
  }

  private void walk(@Gva long gva, int level, @Gpa long table, int rights, long since, boolean global, Candidates out) {
    if (!out.walked.add(new Node(level, table, rights, global))) {
      return;
    }
    @Gpa long at = table + PageTableEntry.entryOffset(gva, level);
    out.visited.add(at);
    List<Version> versions = entries.containsKey(at) ? since(entries.get(at), since)
        : List.of(new Version(0, constant.applyAsLong(at)));
    out.settled &= versions.size() == 1;
    List<Version> nxes = since(nxe, since);
    boolean nxeNow = nxes.get(nxes.size() - 1).value != 0;
    // It alternates.
    boolean nxeEver = nxeNow || nxes.size() > 1;
    for (int i = 0; i < versions.size(); i++) {
      long entry = versions.get(i).value;
      boolean current = i == versions.size() - 1 && !global;
      if ((entry & PageTableEntry.P) == 0) {
        fault(current, 0, out);
        continue;
      }
      boolean leaf = PageTableEntry.isLeaf(entry, level, true);
      fault(current && (entry & PageTableEntry.reserved(PagingContext.LONG4, level, leaf, nxeNow)) != 0,
          PageFaultCode.P | PageFaultCode.RSVD, out);
      if ((entry & PageTableEntry.reserved(PagingContext.LONG4, level, leaf, nxeEver)) != 0) {
        continue;
      }
      int combined = rights & ((int) (entry >>> 1 & 3) | (entry < 0 ? 0 : Translation.EXECUTABLE));
      if (!leaf) {
        walk(gva, level - 1, entry & PageTableEntry.ADDRESS, combined, since, global, out);
      } else if (!global || (entry & PageTableEntry.G) != 0) {
        out.leaves.add(at);
        @Gpa long page = PageTableEntry.page(entry, level) | gva & (1L << PageTableEntry.shift(level)) - 1;
        out.pages.add(new Page(page, combined));
        if (!nxeNow && entry != NOTHING) {
          // Whether a cached NX still refuses fetches after NXE was cleared is not said.
          out.pages.add(new Page(page, combined | rights & Translation.EXECUTABLE));
        }
      }
    }
  }

  private static void fault(boolean happens, int code, Candidates out) {
    if (happens) {
      out.faults.add(code);
    }
  }
}
