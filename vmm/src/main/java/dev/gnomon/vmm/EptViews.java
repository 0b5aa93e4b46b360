package dev.gnomon.vmm;

import dev.gnomon.ept.EptControls;
import dev.gnomon.ept.EptTables;
import dev.gnomon.ept.EptpSwitching;
import dev.gnomon.ept.PageRules;
import dev.gnomon.ept.SubPageTables;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.TableFrames;
import dev.gnomon.vmm.memory.MemorySlots;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * A VM's views of its memory: EPT tables over the same slots that differ in what they let single pages do or show
 * (Xen's altp2m). Each virtual processor is in one view, 0 at first; the hypervisor moves it, or the guest itself by
 * VMFUNC. A page's rule can also let the guest handle its own violations, by virtualization exceptions. To be called
 * between runs.
 */
public final class EptViews {
  /** Is told of accesses that a page's rule forbids. */
  public interface Listener {
    /**
     * An access was forbidden.
     *
     * @param view of the processor
     * @param qualification see {@link dev.gnomon.ept.EptViolation}
     * @return true to enter the guest again, rule or view having been changed; false to have the instruction emulated
     *     as if there were no rule
     */
    boolean forbidden(int view, @Gpa long gpa, long qualification);
  }

  private static final int VERSION = 2;

  private final List<EptTables> views;
  private final HostMemory memory;
  private final TableFrames frames;
  private final MemorySlots slots;
  private final boolean accessedDirty;
  private final boolean modeBased;
  private final List<EptMemory> processors = new ArrayList<>();
  /** Pages of virtualization-exception information, by processor; −1 for none. */
  private final List<@Gpa Long> information = new ArrayList<>();
  private @Hpa long list = -1;
  private boolean switching;
  private SubPageTables subPages;
  private Listener listener = (view, gpa, qualification) -> false;

  EptViews(List<EptTables> views, HostMemory memory, TableFrames frames, MemorySlots slots, VmOptions options) {
    this.views = views;
    this.memory = memory;
    this.frames = frames;
    this.slots = slots;
    this.accessedDirty = options.eptAccessedDirty();
    this.modeBased = options.ept().modeBasedExecute();
  }

  /** Adds a virtual processor, in view 0. */
  void attach(EptMemory processor) {
    processors.add(processor);
    information.add(-1L);
    load(processors.size() - 1, 0);
  }

  public int count() {
    return views.size();
  }

  /** One view's tables, to look at. */
  public EptTables tables(int view) {
    return views.get(view);
  }

  List<EptTables> all() {
    return views;
  }

  /** The view that an EPT pointer names. */
  int indexOf(long eptPointer) {
    for (int i = 0; i < views.size(); i++) {
      if (views.get(i).eptPointer(accessedDirty) == eptPointer) {
        return i;
      }
    }
    throw new IllegalStateException("EPT pointer 0x" + Long.toHexString(eptPointer) + " is of no view");
  }

  /** The view that a virtual processor is in. */
  public int current(int processor) {
    return indexOf(processors.get(processor).eptPointer());
  }

  /** Moves a virtual processor into a view. */
  public void select(int processor, int view) {
    load(processor, view);
  }

  private void load(int processor, int view) {
    EptControls controls = EptControls.of(views.get(view).eptPointer(accessedDirty)).withModeBasedExecute(modeBased);
    @Gpa long page = information.get(processor);
    if (page >= 0) {
      controls = controls.withExceptions(slots.back(page));
    }
    if (subPages != null) {
      controls = controls.withSubPages(subPages.pointer());
    }
    if (switching) {
      controls = controls.withSwitching(list);
    }
    processors.get(processor).load(controls, view);
  }

  private void reloadAll() {
    for (int i = 0; i < processors.size(); i++) {
      load(i, current(i));
    }
  }

  private void flush() {
    processors.get(0).flush();
  }

  /** {@link PageRules#setAccess} in a view, with what must be invalidated. */
  public void setAccess(int view, @Gpa long gpa, long length, long rights, boolean convertible) {
    views.get(view).rules().setAccess(gpa, length, rights, convertible);
    flush();
  }

  /** {@link PageRules#redirect} in a view, with what must be invalidated. */
  public void redirect(int view, @Gpa long gpa, @Gpa long to) {
    views.get(view).rules().redirect(gpa, to);
    flush();
  }

  /** {@link PageRules#clear} in a view, with what must be invalidated. */
  public void clearRules(int view, @Gpa long gpa, long length) {
    views.get(view).rules().clear(gpa, length);
    flush();
  }

  /**
   * Write-protects a page in a view but for some of its sub-pages of 128 bytes. The bitmap is one for all views.
   *
   * @param writable bit n for sub-page n
   * @throws IllegalArgumentException if no frame is left for the sub-page permission table
   */
  public void protectSubPages(int view, @Gpa long gpa, int writable) {
    if (subPages == null) {
      subPages = new SubPageTables(memory, frames);
      reloadAll();
    }
    subPages.set(gpa, writable);
    views.get(view).rules().divide(gpa);
    flush();
  }

  /** Handles an SPP miss. @return false if no frame is left for the tables */
  boolean fillSubPages(@Gpa long gpa) {
    return subPages != null && subPages.fill(gpa);
  }

  /**
   * Lets the guest switch among all views by VMFUNC, or no more.
   *
   * @throws IllegalArgumentException if no frame is left for the list of pointers
   */
  public void allowSwitching(boolean on) {
    if (on && list < 0) {
      @Hpa long page = frames.allocate();
      if (page < 0) {
        throw new IllegalArgumentException("no frame left for an EPTP list: expected one more in the tables region");
      }
      list = page;
      for (int i = 0; i < EptpSwitching.LIST_ENTRIES; i++) {
        memory.write64(list + 8L * i, i < views.size() ? views.get(i).eptPointer(accessedDirty) : 0);
      }
    }
    switching = on;
    reloadAll();
  }

  /**
   * Delivers a virtual processor's convertible EPT violations as virtualization exceptions, with their particulars in a
   * page of guest memory; its doubleword at 4 must be 0 for one to happen. While it is on, dirty logs have that page as
   * written.
   *
   * @param gpa page in a memory slot, a multiple of 4096
   * @throws IllegalArgumentException if there is no such page
   */
  public void deliverExceptions(int processor, @Gpa long gpa) {
    if ((gpa & HostMemory.FRAME_SIZE - 1) != 0 || slots.back(gpa) < 0) {
      throw new IllegalArgumentException("virtualization-exception information at guest-physical 0x"
          + Long.toHexString(gpa)
          + ": expected a page of a memory slot");
    }
    information.set(processor, gpa);
    load(processor, current(processor));
  }

  /** The opposite of {@link #deliverExceptions}. */
  public void exitOnViolations(int processor) {
    information.set(processor, -1L);
    load(processor, current(processor));
  }

  /**
   * Writes the section of a saved machine, its version first: tables, rules, sub-pages, and what each processor may do,
   * sees and has logged. The log of the slots has a section of its own ({@link DirtyLog#save}).
   */
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(views.size());
    for (EptTables tables : views) {
      tables.save(out);
    }
    out.writeBoolean(subPages != null);
    if (subPages != null) {
      subPages.save(out);
    }
    out.writeBoolean(switching);
    for (int i = 0; i < processors.size(); i++) {
      out.writeInt(current(i));
      out.writeLong(Addresses.bits(information.get(i)));
      processors.get(i).saveModificationLog(out);
    }
  }

  /**
   * Reads what {@link #save} wrote by a machine of equal options, whose slots are as they were. Nothing that processors
   * have cached is kept.
   *
   * @throws IOException if the section is of another version or machine, or ends early
   */
  public void load(DataInput in) throws IOException {
    int version = in.readInt();
    int count = in.readInt();
    if (version != VERSION || count != views.size()) {
      throw new IOException("EPT views: version " + version + " with " + count + " views, expected " + VERSION
          + " with " + views.size());
    }
    for (EptTables tables : views) {
      tables.load(in);
    }
    if (in.readBoolean()) {
      subPages = subPages == null ? new SubPageTables(memory, frames) : subPages;
      subPages.load(in);
    }
    allowSwitching(in.readBoolean());
    for (int i = 0; i < processors.size(); i++) {
      int view = in.readInt();
      if (view < 0 || view >= views.size()) {
        throw new IOException("EPT view " + view + " of a processor: expected 0 to " + (views.size() - 1));
      }
      information.set(i, in.readLong());
      load(i, view);
      processors.get(i).loadModificationLog(in);
    }
    flush();
  }

  /** Who is told of forbidden accesses; by default nobody, and what is forbidden is emulated. */
  public void setListener(Listener listener) {
    this.listener = listener;
  }

  boolean forbidden(int view, @Gpa long gpa, long qualification) {
    return listener.forbidden(view, gpa, qualification);
  }

  // Edits of all views, after which the caller does INVEPT.

  void startLog(@Gpa long gpa, long length, boolean byProtection, boolean byDirtyFlags) {
    views.forEach(tables -> tables.startLog(gpa, length, byProtection, byDirtyFlags));
  }

  void stopLog(@Gpa long gpa, long length) {
    views.forEach(tables -> tables.stopLog(gpa, length));
  }

  /** Tells the slots of pages that only the hardware knows to be written. @param byDirtyFlags D flags are the log */
  void markDirty(@Gpa long gpa, long length, boolean byDirtyFlags) {
    for (EptTables tables : byDirtyFlags ? views : List.<EptTables>of()) {
      tables.markDirty(gpa, length);
    }
    for (@Gpa long page : information) {
      if (page >= 0) {
        slots.markDirty(page);
      }
    }
  }

  boolean writeProtect(@Gpa long gpa, long length) {
    boolean any = false;
    for (EptTables tables : views) {
      any |= tables.writeProtect(gpa, length);
    }
    return any;
  }

  boolean clearDirty(@Gpa long gpa, long length) {
    boolean any = false;
    for (EptTables tables : views) {
      any |= tables.clearDirty(gpa, length);
    }
    return any;
  }

  boolean unmap(@Gpa long gpa, long length) {
    boolean any = false;
    for (EptTables tables : views) {
      any |= tables.unmap(gpa, length);
    }
    return any;
  }
}
