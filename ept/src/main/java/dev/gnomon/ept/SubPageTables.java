package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.TableFrames;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.eclipse.collections.impl.map.mutable.primitive.LongIntHashMap;

/**
 * The hypervisor's side of {@link SubPageTable}: which sub-pages of each page may be written, and tables of that,
 * filled on SPP-related exits as the patches for the Linux kernel that proposed it do. One belongs to each VM, since
 * the processor has one pointer to it whatever the EPT pointer.
 */
public final class SubPageTables {
  private final HostMemory memory;
  private final TableFrames frames;
  private final @Hpa long top;
  private final List<@Hpa Long> tables = new ArrayList<>();
  /** By frame number: bit n for sub-page n. */
  private final LongIntHashMap writable = new LongIntHashMap();

  /** @throws IllegalArgumentException if no frame is left for the top table */
  public SubPageTables(HostMemory memory, TableFrames frames) {
    this.memory = memory;
    this.frames = frames;
    this.top = allocate();
    if (top < 0) {
      throw new IllegalArgumentException("no frame left for a sub-page permission table: expected at least one in"
          + " the tables region");
    }
  }

  /** SPPTP. */
  public @Hpa long pointer() {
    return top;
  }

  /** Frames in use. */
  public int tables() {
    return tables.size();
  }

  /** Lets the sub-pages of a page be written whose bits are set; takes effect at once. */
  public void set(@Gpa long gpa, int subPages) {
    writable.put(Addresses.frame(gpa), subPages);
    @Hpa long at = leaf(gpa, false);
    if (at >= 0) {
      memory.write64(at, SubPageTable.vector(subPages));
    }
  }

  /** Bitmap of the sub-pages that may be written. */
  public int get(@Gpa long gpa) {
    return writable.get(Addresses.frame(gpa));
  }

  /** Handles an SPP miss. @return false if no frame is left */
  public boolean fill(@Gpa long gpa) {
    @Hpa long at = leaf(gpa, true);
    if (at < 0) {
      return false;
    }
    memory.write64(at, SubPageTable.vector(get(gpa)));
    return true;
  }

  /** Writes which sub-pages may be written, and for which pages there are tables. */
  public void save(DataOutput out) throws IOException {
    out.writeInt(writable.size());
    for (long frame : writable.keySet().toSortedArray()) {
      out.writeLong(frame);
      out.writeInt(writable.get(frame));
      out.writeByte(leaf(frame << HostMemory.FRAME_SHIFT, false) < 0 ? 0 : 1);
    }
  }

  /**
   * Reads what {@link #save} wrote in place of all that there is; {@link #pointer} stays.
   *
   * @throws IOException if it ends early or no frame is left
   */
  public void load(DataInput in) throws IOException {
    clear();
    for (int left = in.readInt(); left > 0; left--) {
      @Gpa long gpa = in.readLong() << HostMemory.FRAME_SHIFT;
      set(gpa, in.readInt());
      if (in.readByte() != 0 && !fill(gpa)) {
        throw new IOException("sub-page permission tables: no frame left");
      }
    }
  }

  /** All but the top table, to which processors point, go back. */
  private void clear() {
    writable.clear();
    List<@Hpa Long> below = tables.subList(1, tables.size());
    below.forEach(frames::free);
    below.clear();
    memory.fill(top, HostMemory.FRAME_SIZE, (byte) 0);
  }

  private @Hpa long leaf(@Gpa long gpa, boolean make) {
    @Hpa long table = top;
    for (int level = SubPageTable.LEVELS; level > 1; level--) {
      @Hpa long at = table + 8L * SubPageTable.index(gpa, level);
      if ((memory.read64(at) & SubPageTable.VALID) == 0) {
        @Hpa long made = make ? allocate() : -1;
        if (made < 0) {
          return -1;
        }
        memory.write64(at, SubPageTable.table(made));
        if (level == 2) {
          fillVectors(gpa, made);
        }
      }
      table = memory.read64(at) & SubPageTable.ADDRESS_MASK;
    }
    return table + 8L * SubPageTable.index(gpa, 1);
  }

  /** A new level-1 table answers for all of its pages. */
  private void fillVectors(@Gpa long gpa, @Hpa long table) {
    @Gpa long first = gpa & -1L << EptEntry.SHIFT_2M;
    for (int i = 0; i < EptEntry.ENTRIES; i++) {
      memory.write64(table + 8L * i, SubPageTable.vector(get(first + ((long) i << EptEntry.SHIFT_4K))));
    }
  }

  private @Hpa long allocate() {
    @Hpa long table = frames.allocate();
    if (table >= 0) {
      tables.add(table);
    }
    return table;
  }
}
