package dev.gnomon.bench;

import dev.gnomon.bench.WalkReport.EptStep;
import dev.gnomon.bench.WalkReport.Row;
import dev.gnomon.ept.EptEntry;
import dev.gnomon.guest.memory.AnyAddress;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.WalkObserver;
import java.util.ArrayList;
import java.util.List;

/** Hears the steps of one walk and makes rows of them. */
final class WalkRecorder implements WalkObserver {
  private static final String[] NAMES = {"", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

  private final PagingContext paging;
  private final boolean physicalIsHost;
  private final List<Row> rows = new ArrayList<>();
  private List<EptStep> ept = new ArrayList<>();
  private @Gpa long eptGpa;
  private int reads;
  private int firstRead = 1;
  private int guestReads;
  private int lastLevel = PagingContext.LONG4 + 2;

  /**
   * @param physicalIsHost whether entries lie at host-physical addresses that mean nothing to the guest (shadow tables)
   */
  WalkRecorder(PagingContext paging, boolean physicalIsHost) {
    this.paging = paging;
    this.physicalIsHost = physicalIsHost;
    this.lastLevel = PagingContext.isLong(paging.mode) ? PagingContext.levels(paging.mode) + 1 : 3;
  }

  @Override
  public void step(Dimension dimension, int level, @Gpa long entryGpa, @Hpa long entryHpa, long entry) {
    reads++;
    if (dimension == Dimension.EPT) {
      eptGpa = entryGpa;
      ept.add(new EptStep(level, EptEntry.index(entryGpa, level), hex(entryHpa), hex(entry), eptText(entry, level)));
      return;
    }
    guestReads++;
    lastLevel = level;
    rows.add(new Row(NAMES[level], physicalIsHost ? "" : hex(entryGpa), ept, hex(entryHpa), wide(entry),
        flags(entry, level), firstRead, reads));
    begin();
  }

  private void begin() {
    ept = new ArrayList<>();
    firstRead = reads + 1;
  }

  /** The walk ended with a translation. */
  void delivered(Translation walk) {
    rows.add(new Row("data", physicalIsHost ? "" : hex(walk.gpa), ept, hex(walk.hpa), "", size(walk), firstRead,
        reads));
    begin();
  }

  /** The walk ended with an exit, if it did so inside EPT. */
  void exited() {
    if (!ept.isEmpty()) {
      String name = atData() ? "data" : NAMES[lastLevel - 1];
      rows.add(new Row(name, hex(eptGpa), ept, "", "", "", firstRead, reads));
      begin();
    }
  }

  private boolean atData() {
    if (paging.mode == PagingContext.NONE || lastLevel == 1) {
      return true;
    }
    return !rows.isEmpty() && rows.get(rows.size() - 1).flags().contains(" page");
  }

  List<Row> rows() {
    return rows;
  }

  int guestReads() {
    return guestReads;
  }

  int eptReads() {
    return reads - guestReads;
  }

  private String size(Translation walk) {
    if (paging.mode == PagingContext.NONE) {
      return "no paging";
    }
    String guest = sizeName(walk.guestPageShift);
    return walk.guestPageShift == walk.pageShift ? guest + " page" : guest + " page in pieces of "
        + sizeName(walk.pageShift);
  }

  private static String sizeName(int shift) {
    return switch (shift) {
      case 12 -> "4K";
      case 21 -> "2M";
      case 22 -> "4M";
      default -> "1G";
    };
  }

  private String flags(long entry, int level) {
    if ((entry & PageTableEntry.P) == 0) {
      return "not present";
    }
    boolean leaf = paging.mode == PagingContext.LEGACY ? level == 1 || paging.pse && (entry & PageTableEntry.PS) != 0
        : PageTableEntry.isLeaf(entry, level, paging.pages1g);
    StringBuilder text = new StringBuilder("P");
    append(text, entry, PageTableEntry.RW, "W");
    append(text, entry, PageTableEntry.US, "U");
    append(text, entry, PageTableEntry.PWT, "PWT");
    append(text, entry, PageTableEntry.PCD, "PCD");
    append(text, entry, PageTableEntry.A, "A");
    if (leaf) {
      append(text, entry, PageTableEntry.D, "D");
      append(text, entry, PageTableEntry.G, "G");
    }
    append(text, entry, PageTableEntry.NX, "NX");
    if (leaf && level > 1) {
      text.append(' ').append(paging.mode == PagingContext.LEGACY ? "4M" : level == 2 ? "2M" : "1G").append(" page");
    }
    return text.toString();
  }

  private static void append(StringBuilder text, long entry, long bit, String name) {
    if ((entry & bit) != 0) {
      text.append(' ').append(name);
    }
  }

  private static String eptText(long entry, int level) {
    if (!EptEntry.isPresent(entry)) {
      return "absent";
    }
    if (!EptEntry.isLeaf(entry, level)) {
      return "";
    }
    String rights = ((entry & EptEntry.READ) != 0 ? "r" : "-") + ((entry & EptEntry.WRITE) != 0 ? "w" : "-")
        + ((entry & EptEntry.EXECUTE) != 0 ? "x" : "-");
    return level == 1 ? rights : rights + (level == 2 ? " 2M" : " 1G");
  }

  static String hex(@AnyAddress long value) {
    return "0x" + Long.toHexString(value);
  }

  private String wide(long entry) {
    return paging.mode == PagingContext.LEGACY ? String.format("0x%08x", entry) : String.format("0x%016x", entry);
  }
}
