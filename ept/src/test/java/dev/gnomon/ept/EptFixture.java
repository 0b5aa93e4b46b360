package dev.gnomon.ept;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.TableFrames;
import dev.gnomon.guest.mmu.Translation;

/** EPT tables written by hand, entry by entry, in a small host memory. */
final class EptFixture {
  static final int[] SHIFTS = {EptEntry.SHIFT_4K, EptEntry.SHIFT_2M, EptEntry.SHIFT_1G};

  final HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, 1 << 20, 1 << 18);
  final TableFrames frames = new TableFrames(memory);
  final @Hpa long root = frames.allocate();
  final Translation out = new Translation();
  /** Levels of the tables, before the first entry is put. */
  int levels = EptEntry.LEVELS;

  EptWalker walker(EptCapabilities capabilities, boolean accessedDirty) {
    return walker(capabilities, accessedDirty, null, false);
  }

  EptWalker walker(EptCapabilities capabilities, boolean accessedDirty, NestedTlb nested, boolean soft) {
    EptWalker walker = new EptWalker(memory, capabilities, nested, soft);
    walker.setEptPointer(pointer(accessedDirty));
    return walker;
  }

  long pointer(boolean accessedDirty) {
    return EptPointer.of(root, accessedDirty, levels);
  }

  /** Puts an entry at a level, with tables of all rights above it where there are none. */
  void put(@Gpa long gpa, int level, long entry) {
    @Hpa long table = root;
    for (int l = levels; l > level; l--) {
      @Hpa long at = table + 8L * EptEntry.index(gpa, l);
      if (memory.read64(at) == 0) {
        memory.write64(at, EptEntry.table(frames.allocate()) | EptEntry.USER_EXECUTE);
      }
      table = EptEntry.address(memory.read64(at));
    }
    memory.write64(table + 8L * EptEntry.index(gpa, level), entry);
  }

  /** Maps a page read, write and execute, write-back. */
  void map(@Gpa long gpa, @Hpa long hpa, int shift) {
    put(gpa, EptEntry.level(shift), EptEntry.leaf(hpa, shift, EptEntry.RIGHTS, EptMemoryType.WB));
  }

  /** Entry that the walk of an address meets at a level; the way there exists. */
  long get(@Gpa long gpa, int level) {
    return memory.read64(at(gpa, level));
  }

  void change(@Gpa long gpa, int level, long clear, long set) {
    memory.write64(at(gpa, level), get(gpa, level) & ~clear | set);
  }

  private @Hpa long at(@Gpa long gpa, int level) {
    @Hpa long table = root;
    for (int l = levels; l > level; l--) {
      table = EptEntry.address(memory.read64(table + 8L * EptEntry.index(gpa, l)));
    }
    return table + 8L * EptEntry.index(gpa, level);
  }

  long translate(EptWalker walker, @Gpa long gpa, int access) {
    out.references = 0;
    return walker.translate(gpa, 0x7000_1000L, access, out);
  }

  /** Rights as in the manuals' tables, such as {@code r-x}. */
  static long rights(String text) {
    return (text.charAt(0) == 'r' ? EptEntry.READ : 0) | (text.charAt(1) == 'w' ? EptEntry.WRITE : 0)
        | (text.charAt(2) == 'x' ? EptEntry.EXECUTE : 0);
  }
}
