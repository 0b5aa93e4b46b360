package dev.gnomon.shadow;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageTableEntry;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

/**
 * Random guest: a pool of frames with random entries, each of which is a table of any level and may also be mapped as
 * data; accesses of all kinds; edits by its own stores and by a device, always followed by the invalidation that the
 * SDM asks for; changes of mode and of control bits.
 */
final class RandomGuest {
  private static final int FIRST_TABLE = 0x10;
  private static final int TABLES = 20;
  private static final int ROOTS = 3;
  /** Tables of the window, from the top. */
  private static final int WINDOW_TABLES = FIRST_TABLE - 4;
  private static final int FIRST_DATA = 0x300;
  private static final int DATA = 6;
  private static final long[] LARGE_PAGES = {0, 2L << 20, 4L << 20, 6L << 20, TestSlots.RAM_BYTES, 16L << 20,
      1L << 30, 0};
  private static final int[] INDICES = {0, 1, 2, 3, 5, 7, 8, 255, 256, 257, 509, 511};
  private static final int[] MODIFIERS = {0, Access.USER, Access.SMAP_OVERRIDE, Access.IMPLICIT, Access.USER, 0};

  final ShadowMachine machine;
  private final Random random;
  private final boolean orderly;
  private final List<Long> path = new ArrayList<>();
  /** Address of the last store to a table, likely to be used again while the TLB knows it. */
  private long lastStore;
  private final Set<Stale> stale = new LinkedHashSet<>();
  /** Top table by PCID as last loaded. */
  private final Map<Integer, Long> contexts = new TreeMap<>();
  private final long[] gvas = new long[24];

  /**
   * @param orderly the tables form trees as an operating system's do and the guest edits them through a window that
   *     maps them all; otherwise any entry may name any frame
   */
  RandomGuest(ShadowOptions options, boolean largeBacking, boolean orderly, long seed) {
    this.orderly = orderly;
    random = new Random(seed);
    machine = new ShadowMachine(options, largeBacking, seed);
    chooseMode();
    fillTables();
    chooseRegisters();
    load(true);
    chooseAddresses();
  }

  void run(int steps) {
    for (int step = 0; step < steps; step++) {
      try {
        step();
        compareTables();
      } catch (AssertionError | RuntimeException e) {
        throw new AssertionError("step " + step + " of " + steps + ": " + e.getMessage(), e);
      }
    }
  }

  private void step() {
    switch (random.nextInt(40)) {
      case 0, 1, 2, 3, 4, 5 -> editByStore();
      case 6, 7 -> editByDevice();
      case 8, 9 -> loadCr3();
      case 10, 14 -> {
        chooseRegisters();
        // Only a change of PSE has to drop translations here: rights are judged by the registers, not cached, and NXE
        // is as KVM has it.
        load(true);
      }
      case 13 -> {
        machine.state.cr0 ^= ControlRegister.CR0_WP;
        load(false);
      }
      case 15 -> {
        if (oneIn(6)) {
          chooseMode();
          fillTables();
          chooseRegisters();
          chooseAddresses();
          contexts.clear();
          machine.mmu.zapAll();
          load(true);
        }
      }
      case 11 -> hypervisorOperation();
      case 12 -> machine.invlpg(gva());
      default -> access();
    }
  }

  private void load(boolean flush) {
    contexts.put(machine.state.pcid(), machine.state.rootTable());
    machine.load(flush);
  }

  /** MOV to CR3; with PCIDs often back to one whose translations are kept. */
  private void loadCr3() {
    GuestPagingState state = machine.state;
    if (state.pcide() && oneIn(2)) {
      int pcid = random.nextInt(4);
      Long root = contexts.get(pcid);
      if (root != null) {
        state.cr3 = root | pcid;
        load(oneIn(4));
        return;
      }
    }
    state.cr3 = randomRoot() | (state.pcide() ? random.nextInt(4) : 0);
    load(true);
  }

  private void hypervisorOperation() {
    long gfn = random.nextBoolean() ? table() >>> 12 : random.nextInt((int) (TestSlots.BYTES >> 12));
    switch (random.nextInt(5)) {
      case 0 -> machine.mmu.zapAll();
      case 1 -> machine.mmu.unprotect(gfn);
      case 2 -> machine.mmu.zapGfn(gfn);
      case 3 -> machine.mmu.writeProtect(gfn);
      default -> {
        machine.slots.generation++;
        machine.mmu.slotsChanged();
      }
    }
  }

  private int randomAccess() {
    int modifier = MODIFIERS[random.nextInt(MODIFIERS.length)];
    return switch (random.nextInt(4)) {
      case 0 -> Access.FETCH | modifier & Access.USER;
      case 1 -> Access.WRITE | modifier;
      default -> modifier;
    };
  }

  private void access() {
    int access = randomAccess();
    long gva = gva();
    if (leavesMemory(gva)) {
      return;
    }
    long expected = machine.nativeAccess(gva, access);
    long found = machine.shadowAccess(gva, access);
    check(gva, access, expected, found);
    if ((access & Access.WRITE) != 0 && found >= 0 && (found & ShadowMachine.FAULT) == 0 && isTable(found)) {
      // The access was a store to a table, so it must be one that the tables' meaning survives: the value that is there
      // already.
      machine.poke(found & -8L, 8, machine.read(found & -8L, 8));
      if (machine.lastResult == FaultResult.EMULATE) {
        machine.mmu.guestWrote(found & -8L, 8);
      }
    }
  }

  private void check(long gva, int access, long expected, long found) {
    if (expected != found) {
      throw new AssertionError("gva 0x" + Long.toHexString(gva) + " access 0x" + Integer.toHexString(access)
          + ": native 0x" + Long.toHexString(expected)
          + ", shadow 0x" + Long.toHexString(found) + " " + machine.lastResult + " " + machine.mmu.fault.reason + "\n"
          + machine.mmu.peek(gva));
    }
  }

  private static boolean isTable(long gpa) {
    long gfn = gpa >>> 12;
    return gfn >= FIRST_TABLE && gfn < FIRST_TABLE + TABLES;
  }

  /** The guest stores new entries through any address that happens to map a table and to be writable. */
  private void editByStore() {
    if (orderly && !oneIn(5)) {
      editThroughWindow();
      return;
    }
    int access = Access.WRITE | (oneIn(3) ? MODIFIERS[random.nextInt(MODIFIERS.length)] : 0);
    int size = machine.entrySize();
    for (int tries = 0; tries < 8; tries++) {
      long gva = (tries == 0 ? lastStore : gva()) & -0x1000L | (long) INDICES[random.nextInt(INDICES.length)] * size;
      if (leavesMemory(gva)) {
        continue;
      }
      long expected = machine.nativeAccess(gva, access);
      if ((expected & ShadowMachine.FAULT) != 0 || !isTable(expected)) {
        check(gva, access, expected, machine.shadowAccess(gva, access));
        continue;
      }
      lastStore = gva;
      // A second store before the invalidation is only well-defined if the first did not touch its own translation.
      for (int edits = 1 + random.nextInt(3); edits > 0; edits--) {
        int part = size == 8 && oneIn(8) ? 4 : size;
        noteUsers(expected);
        check(gva, access, expected, machine.store(gva, access, part, entry(expected)));
        path(gva);
        if (path.stream().anyMatch(entry -> entry >>> 3 == expected >>> 3)) {
          break;
        }
      }
      invalidate();
      return;
    }
  }

  private void editThroughWindow() {
    int size = machine.entrySize();
    for (int edits = 1 + random.nextInt(5); edits > 0; edits--) {
      long gpa = table() + (long) INDICES[random.nextInt(INDICES.length)] * size;
      if (!isEditable(gpa)) {
        continue;
      }
      long gva = window() + gpa - ((long) FIRST_TABLE << 12);
      long expected = machine.nativeAccess(gva, Access.WRITE);
      noteUsers(gpa);
      check(gva, Access.WRITE, expected, machine.store(gva, Access.WRITE, size, entry(gpa)));
    }
    invalidate();
  }

  private long window() {
    return machine.state.longMode() ? 4L << 39 : machine.state.pae() ? 3L << 30 : 2L << 30;
  }

  private int levelOf(long gpa) {
    int table = (int) (gpa >>> 12) - FIRST_TABLE;
    if (machine.state.longMode()) {
      return table < ROOTS ? 4 : table < 6 ? 3 : table < 10 ? 2 : 1;
    }
    return machine.state.pae() ? table < ROOTS ? 3 : table < 8 ? 2 : 1 : table < ROOTS ? 2 : 1;
  }

  /** Not the way to the window. */
  private boolean isEditable(long gpa) {
    boolean root = gpa >>> 12 < FIRST_TABLE + ROOTS;
    int index = (int) (gpa & 0xFFF) / machine.entrySize();
    return !root || (machine.state.pae() ? index < 3 : index != windowIndex());
  }

  private int windowIndex() {
    return machine.state.longMode() ? 4 : machine.state.pae() ? 3 : 0x200;
  }

  private void makeWindow() {
    int size = machine.entrySize();
    long flags = PageTableEntry.P | PageTableEntry.RW | PageTableEntry.A | PageTableEntry.D;
    int levels = machine.state.longMode() ? 4 : machine.state.pae() ? 3 : 2;
    for (int root = 0; root < ROOTS; root++) {
      long entry = (long) WINDOW_TABLES << 12 | (machine.state.pae() ? PageTableEntry.P : flags);
      machine.poke(((long) (FIRST_TABLE + root) << 12) + (long) windowIndex() * size, size, entry);
    }
    for (int i = 0; i < levels - 1; i++) {
      long table = (long) (WINDOW_TABLES + i) << 12;
      for (int index = 0; index < TABLES; index++) {
        boolean leaf = i == levels - 2;
        long target = leaf ? FIRST_TABLE + index : WINDOW_TABLES + i + 1;
        machine.poke(table + (long) index * size, size, leaf || index == 0 ? target << 12 | flags : 0);
      }
    }
  }

  /** Guest-physical addresses of the entries that translate an address. */
  private void path(long gva) {
    path.clear();
    machine.nativeWalker.peek(gva, Access.SMAP_OVERRIDE, machine.translation,
        (dimension, level, entryGpa, entryHpa, entry) -> path.add(entryHpa));
  }

  /** A table on the way lies outside memory: what is read there is up to the machine. */
  private boolean leavesMemory(long gva) {
    path(gva);
    return path.stream().anyMatch(entry -> entry >= TestSlots.BYTES);
  }

  private void editByDevice() {
    long gpa = table() + (long) INDICES[random.nextInt(INDICES.length)] * machine.entrySize();
    noteUsers(gpa);
    machine.foreignWrite(gpa, machine.entrySize(), entry(gpa));
    invalidate();
  }

  /**
   * Remembers which addresses the entry translates, in each PCID, before it is edited: these the guest must invalidate.
   */
  private void noteUsers(long gpa) {
    for (Map.Entry<Integer, Long> context : contexts.entrySet()) {
      machine.nativeContext.root = context.getValue();
      for (long gva : gvas) {
        path(gva);
        if (path.stream().anyMatch(entry -> entry >>> 3 == gpa >>> 3)) {
          stale.add(new Stale(gva, context.getKey()));
        }
      }
    }
    machine.nativeContext.root = machine.state.rootTable();
  }

  private void invalidate() {
    if (oneIn(6)) {
      machine.mmu.flushGuest();
      machine.flushAll();
      machine.load(true);
    } else {
      for (Stale each : stale) {
        if (each.pcid == machine.state.pcid()) {
          machine.invlpg(each.gva);
        } else {
          machine.invpcid(each.gva, each.pcid);
        }
      }
    }
    stale.clear();
  }

  private record Stale(long gva, int pcid) {}

  private long gva() {
    return gvas[random.nextInt(oneIn(2) ? gvas.length : 5)] & -0x1000L | random.nextInt(512) * 8L;
  }

  private long table() {
    return (long) (FIRST_TABLE + random.nextInt(TABLES)) << 12;
  }

  private long randomRoot() {
    return !machine.state.paging() ? 0 : orderly ? (long) (FIRST_TABLE + random.nextInt(ROOTS)) << 12 : table();
  }

  private void chooseMode() {
    switch (random.nextInt(7)) {
      case 0, 1 -> machine.longMode();
      case 2, 3 -> machine.paeMode();
      case 4, 5 -> machine.legacyMode();
      default -> {
        if (orderly) {
          machine.longMode();
        } else {
          machine.noPaging();
        }
      }
    }
    machine.state.cr3 = randomRoot();
  }

  private void chooseRegisters() {
    GuestPagingState state = machine.state;
    state.cr0 = with(state.cr0, ControlRegister.CR0_WP, !oneIn(2));
    state.cr4 = with(state.cr4, ControlRegister.CR4_SMEP, oneIn(4));
    state.cr4 = with(state.cr4, ControlRegister.CR4_SMAP, oneIn(4));
    state.cr4 = with(state.cr4, ControlRegister.CR4_PSE, !oneIn(6));
    state.efer = with(state.efer, ControlRegister.EFER_NXE, !oneIn(6));
    if (state.longMode() && (state.cr4 & ControlRegister.CR4_PCIDE) == 0 && oneIn(2)) {
      state.cr3 &= -0x1000L;
      state.cr4 |= ControlRegister.CR4_PCIDE;
    }
  }

  private static long with(long value, long bit, boolean on) {
    return on ? value | bit : value & ~bit;
  }

  private void chooseAddresses() {
    for (int i = 0; i < gvas.length; i++) {
      long gva = 0;
      int bits = machine.state.legacy() ? 10 : 9;
      for (int level = 1; level <= 4; level++) {
        int index = INDICES[random.nextInt(level == 1 ? orderly ? 5 : INDICES.length : orderly ? 2 : 4)];
        if (level == 2 && machine.state.legacy()) {
          index = index << 8 | random.nextInt(4);
        }
        gva |= (long) index << 12 + bits * (level - 1);
      }
      if (machine.state.legacy() && random.nextBoolean()) {
        gva ^= 1L << 21;
      }
      if (!machine.state.paging() && random.nextBoolean()) {
        gva = table();
      }
      if (machine.state.pae() && orderly && gva >>> 30 == 3) {
        gva = random.nextInt(1 << 30);
      }
      if (orderly && oneIn(4)) {
        gva = window() | random.nextInt(TABLES) << 12;
      }
      gvas[i] = machine.state.longMode() ? gva & (1L << 47) - 1 : gva & 0xFFFF_FFFFL;
    }
    lastStore = gvas[0];
  }

  private void fillTables() {
    int size = machine.entrySize();
    for (int i = 0; i < TABLES; i++) {
      long table = (long) (FIRST_TABLE + i) << 12;
      for (int index = 0; index < 4096 / size; index++) {
        long value = 0;
        for (int known : INDICES) {
          if ((index & 511) == known || machine.state.legacy() && (index & 255) < 4) {
            value = entry(table + (long) index * size);
          }
        }
        machine.poke(table + (long) index * size, size, value);
      }
    }
    if (orderly) {
      makeWindow();
      return;
    }
    // PDPTEs: at the start of each table, valid under PAE's own rules.
    if (machine.state.pae()) {
      for (int i = 0; i < TABLES; i++) {
        for (int part = 0; part < 4; part++) {
          machine.poke(((long) (FIRST_TABLE + i) << 12) + 8 * part, 8, table() | (random.nextInt(6) == 0 ? 0 : 1));
        }
      }
    }
  }

  private boolean oneIn(int n) {
    return random.nextInt(n) == 0;
  }

  /** A new value for the entry at an address. */
  private long entry(long gpa) {
    long old = machine.read(gpa, machine.entrySize());
    int level = orderly && isTable(gpa) ? levelOf(gpa) : 0;
    if (level == 3 && machine.state.pae()) {
      return oneIn(4) ? 0 : PageTableEntry.P | target(3);
    }
    if (old != 0 && oneIn(2)) {
      long[] bits = {PageTableEntry.P, PageTableEntry.RW, PageTableEntry.US, PageTableEntry.A, PageTableEntry.A,
          PageTableEntry.D, PageTableEntry.D, PageTableEntry.D};
      return old ^ bits[random.nextInt(bits.length)];
    }
    if (oneIn(25)) {
      return 0;
    }
    long flags = PageTableEntry.P | (oneIn(10) ? 0 : PageTableEntry.RW) | (oneIn(12) ? 0 : PageTableEntry.US)
        | (oneIn(2) ? 0 : PageTableEntry.A) | (oneIn(2) ? 0 : PageTableEntry.D);
    boolean wide = machine.entrySize() == 8;
    if (wide) {
      boolean nx = (machine.state.efer & ControlRegister.EFER_NXE) != 0;
      flags |= (oneIn(nx ? 8 : 80) ? PageTableEntry.NX : 0) | (oneIn(150) ? 1L << 51 : 0)
          | (oneIn(machine.state.longMode() ? 10 : 150) ? 1L << 52 : 0);
    }
    if (level != 1 && oneIn(orderly ? 20 : 10)) {
      long large = LARGE_PAGES[random.nextInt(LARGE_PAGES.length)];
      return flags | PageTableEntry.PS | (wide || oneIn(8) ? large : large & PageTableEntry.ADDRESS_4M)
          | (oneIn(30) ? 1L << 13 : 0);
    }
    if (level != 0) {
      return flags | target(level);
    }
    return flags | (oneIn(12) ? (long) random.nextInt((int) (TestSlots.RAM_BYTES >> 12)) << 12 : table());
  }

  /** What an orderly entry of a level names: a table of the next, or some page; now and then any table. */
  private long target(int level) {
    if (level == 1 && !oneIn(4)) {
      return switch (random.nextInt(16)) {
        case 0 -> 16L << 20;
        case 1 -> TestSlots.RAM_BYTES;
        default -> (long) (FIRST_DATA + random.nextInt(DATA)) << 12;
      };
    }
    long table = table();
    while (level > 1 && !oneIn(20) && levelOf(table) != level - 1) {
      table = table();
    }
    return table;
  }

  private void compareTables() {
    for (int i = WINDOW_TABLES - FIRST_TABLE; i < TABLES; i++) {
      long table = (long) (FIRST_TABLE + i) << 12;
      for (int offset = 0; offset < 4096; offset += 8) {
        long shadow = machine.read(table + offset, 8);
        long expected = machine.nativeMemory.read64(table + offset);
        if (shadow != expected) {
          throw new AssertionError("guest table at gpa 0x" + Long.toHexString(table + offset) + ": native 0x"
              + Long.toHexString(expected) + ", shadow 0x"
              + Long.toHexString(shadow));
        }
      }
    }
  }
}
