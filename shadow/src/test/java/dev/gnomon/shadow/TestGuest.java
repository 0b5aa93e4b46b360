package dev.gnomon.shadow;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageTableEntry;

/**
 * A guest of one paging mode that builds its tables by hand, in both copies of its memory; every access is checked
 * against the native walk.
 */
final class TestGuest {
  static final long P = PageTableEntry.P;
  static final long W = PageTableEntry.RW;
  static final long U = PageTableEntry.US;
  static final long A = PageTableEntry.A;
  static final long D = PageTableEntry.D;
  static final long PS = PageTableEntry.PS;
  static final long NX = PageTableEntry.NX;
  static final long ALL = P | W | U;
  /** Where the tables lie; data pages of the tests lie from 4 MiB. */
  static final long FIRST_TABLE = 1L << 20;

  final ShadowMachine machine;
  private long nextTable = FIRST_TABLE;

  private TestGuest(ShadowMachine machine) {
    this.machine = machine;
    machine.state.cr3 = newTable();
  }

  static TestGuest longMode(ShadowOptions options) {
    TestGuest guest = new TestGuest(new ShadowMachine(options, true, 1));
    guest.machine.longMode();
    return guest;
  }

  static TestGuest pae(ShadowOptions options) {
    TestGuest guest = new TestGuest(new ShadowMachine(options, true, 1));
    guest.machine.paeMode();
    return guest;
  }

  static TestGuest legacy(ShadowOptions options) {
    TestGuest guest = new TestGuest(new ShadowMachine(options, true, 1));
    guest.machine.legacyMode();
    return guest;
  }

  static ShadowOptions plain() {
    return new ShadowOptions(false, false, false, 128, true);
  }

  static ShadowOptions everything() {
    return new ShadowOptions(true, true, true, 128, true);
  }

  long newTable() {
    long table = nextTable;
    nextTable += 0x1000;
    return table;
  }

  private int topLevel() {
    return machine.state.longMode() ? 4 : machine.state.pae() ? 3 : 2;
  }

  int size() {
    return machine.entrySize();
  }

  /**
   * Guest-physical address of the entry of a level for an address, by the tables of a root; makes missing tables with
   * {@link #ALL}.
   */
  long entryGpa(long root, long gva, int level) {
    long table = root;
    for (int at = topLevel(); ; at--) {
      int index = size() == 4 ? (int) (gva >>> 12 + 10 * (at - 1)) & 1023 : (int) (gva >>> 12 + 9 * (at - 1)) & 511;
      long entry = table + (long) index * size();
      if (at == level) {
        return entry;
      }
      long value = machine.read(entry, size());
      if ((value & P) == 0) {
        value = newTable() | (at == 3 && machine.state.pae() ? P : ALL);
        machine.poke(entry, size(), value);
      }
      table = value & PageTableEntry.ADDRESS;
    }
  }

  long entryGpa(long gva, int level) {
    return entryGpa(machine.state.rootTable(), gva, level);
  }

  /** Maps a 4-KiB page before the guest runs. */
  void map(long gva, long gpa, long flags) {
    machine.poke(entryGpa(gva, 1), size(), gpa | flags);
  }

  void mapLarge(long gva, long gpa, long flags) {
    machine.poke(entryGpa(gva, 2), size(), gpa | flags | PS);
  }

  long entry(long gva, int level) {
    return machine.read(entryGpa(gva, level), size());
  }

  /** Loads CR3 as it stands. */
  TestGuest start() {
    machine.load(true);
    return this;
  }

  /** Native and shadow outcome, which must be the same; also the guest's A and D bits on the way. */
  long access(long gva, int access) {
    long expected = machine.nativeAccess(gva, access);
    long found = machine.shadowAccess(gva, access);
    assertThat(found).as("outcome at gva 0x%x access 0x%x; %s", gva, access, machine.mmu.peek(gva)).isEqualTo(expected);
    checkTables();
    return found;
  }

  long read(long gva) {
    return access(gva, Access.READ);
  }

  long write(long gva) {
    return access(gva, Access.WRITE);
  }

  long userRead(long gva) {
    return access(gva, Access.USER);
  }

  /** The guest stores through an address; hidden or emulated. */
  void store(long gva, long value) {
    long expected = machine.nativeAccess(gva, Access.WRITE);
    assertThat(machine.store(gva, 0, size(), value)).isEqualTo(expected);
    checkTables();
  }

  private void checkTables() {
    for (long gpa = FIRST_TABLE; gpa < nextTable; gpa += 8) {
      assertThat(machine.read(gpa, 8)).as("guest table at 0x%x", gpa).isEqualTo(machine.nativeMemory.read64(gpa));
    }
  }

  ShadowStatistics statistics() {
    return machine.pages.statistics;
  }

  FaultResult lastResult() {
    return machine.lastResult;
  }

  static long fault(int code) {
    return ShadowMachine.FAULT | code;
  }

  /** The shadow page that holds the last entry of the shadow walk. */
  ShadowPage leafPage(long gva) {
    ShadowPage page = machine.mmu.roots[0].part(gva);
    while (true) {
      long spte = machine.pages.read(page, ShadowPte.index(gva, page.level()));
      if (!ShadowPte.isPresent(spte) || ShadowPte.isLeaf(spte, page.level())) {
        return page;
      }
      page = machine.pages.child(spte);
    }
  }

  long spte(long gva) {
    ShadowPage page = leafPage(gva);
    return machine.pages.read(page, ShadowPte.index(gva, page.level()));
  }
}
