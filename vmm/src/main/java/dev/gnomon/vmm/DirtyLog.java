package dev.gnomon.vmm;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.shadow.ShadowMmu;
import dev.gnomon.vmm.memory.MemorySlot;
import dev.gnomon.vmm.memory.MemorySlots;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * Logs which pages of memory slots are written, for live migration and the like (KVM: {@code KVM_MEM_LOG_DIRTY_PAGES}
 * and {@code KVM_GET_DIRTY_LOG}). To be called between runs of the guest.
 *
 * <p>A page counts as written once it is stored to by the guest, by the processor's setting of A or D in a guest
 * paging-structure entry, by a device or loader, or by an emulated instruction. An instruction that was given leave to
 * write two pages and then faulted counts for both, as on the processor. While the EPT pointer enables A and D flags,
 * every access of a walk to a guest paging-structure entry is a write to EPT (SDM vol. 3C, "Accessed and Dirty Flags
 * for EPT"), so tables that were only read are in the log too.
 *
 * <p>Where KVM gives a page of a logged slot W at any first access, here a read maps it without, so that the log has no
 * page that was only read.
 */
public final class DirtyLog {
  /** How writes are found. */
  public enum Method {
    /** Pages are mapped without W; the first write faults. Under EPT and shadow paging. */
    WRITE_PROTECTION,
    /** D flags of the EPT entries are read and cleared. Needs A and D flags in EPT. */
    DIRTY_FLAGS,
    /**
     * The processor writes each page whose D it sets to its page-modification log, and exits when that is full. Needs A
     * and D flags in EPT.
     */
    PAGE_MODIFICATION_LOG
  }

  private static final int INDEX_BITS = 6;
  private static final int VERSION = 1;
  private static final int NO_METHOD = -1;

  private final MemorySlots slots;
  /**
   * Both null natively, otherwise one of them; the bootstrap processor's, which stands for all but for the modification
   * logs.
   */
  private final EptMemory ept;
  private final ShadowMmu shadow;
  private final List<Vcpu> vcpus;
  /** Of all slots that are logged; null if none is. */
  private Method method;

  DirtyLog(MemorySlots slots, List<Vcpu> vcpus) {
    Vcpu first = vcpus.get(0);
    this.slots = slots;
    this.ept = first.ept;
    this.shadow = first.shadow == null ? null : first.shadow.mmu;
    this.vcpus = vcpus;
  }

  /**
   * Begins to log a slot; no page counts as written yet.
   *
   * @param slot name of a slot with memory that the guest can write
   * @throws IllegalArgumentException if there is no such slot, it is logged already, another is logged by another
   *     method, or the machine does not have the method
   */
  public void start(String slot, Method how) {
    if (ept == null && shadow == null) {
      throw new IllegalArgumentException("dirty logging natively: expected a machine with a hypervisor, ept or shadow");
    }
    if (how != Method.WRITE_PROTECTION && (ept == null || !ept.accessedDirty())) {
      throw new IllegalArgumentException("dirty logging by " + how + ": expected EPT with accessed and dirty flags");
    }
    if (method != null && method != how) {
      throw new IllegalArgumentException("dirty logging by " + how + ": expected " + method
          + " as for the slots that are logged already");
    }
    MemorySlot logged = slots.startLog(slot);
    if (ept == null) {
      long[] all = new long[(int) (frames(logged) + Long.SIZE - 1 >> INDEX_BITS)];
      Arrays.fill(all, -1);
      clip(all, frames(logged));
      shadow.writeProtect(Addresses.frame(logged.gpa()), all);
    } else {
      if (how == Method.PAGE_MODIFICATION_LOG && method == null) {
        for (Vcpu vcpu : vcpus) {
          vcpu.ept.startModificationLog();
        }
      }
      ept.views.startLog(logged.gpa(), logged.size(), how == Method.WRITE_PROTECTION, how == Method.DIRTY_FLAGS);
      ept.flush();
    }
    method = how;
  }

  private static long frames(MemorySlot slot) {
    return slot.size() >> HostMemory.FRAME_SHIFT;
  }

  /** Clears the bits behind the last frame. */
  private static void clip(long[] bitmap, long frames) {
    if ((frames & Long.SIZE - 1) != 0) {
      bitmap[bitmap.length - 1] &= (1L << frames) - 1;
    }
  }

  /**
   * The pages written since the log began or was last fetched; from now on none counts as written.
   *
   * @return bit n of word n / 64 for the n-th page of the slot
   * @throws IllegalArgumentException if no slot of that name is logged
   */
  public long[] fetchAndClear(String slot) {
    MemorySlot logged = slots.logged(slot);
    if (ept != null) {
      ept.views.markDirty(logged.gpa(), logged.size(), method == Method.DIRTY_FLAGS);
    }
    if (method == Method.PAGE_MODIFICATION_LOG) {
      for (Vcpu vcpu : vcpus) {
        vcpu.ept.drainModificationLog();
      }
    }
    long[] written = slots.takeLog(slot);
    if (ept == null) {
      shadow.writeProtect(Addresses.frame(logged.gpa()), written);
    } else {
      clear(logged, written);
    }
    return written;
  }

  /** Makes the next write to each page written be seen again. */
  private void clear(MemorySlot logged, long[] written) {
    EptViews views = ept.views;
    boolean invept = false;
    for (int word = 0; word < written.length; word++) {
      for (long bits = written[word]; bits != 0; bits &= bits - 1) {
        long page = (long) word << INDEX_BITS | Long.numberOfTrailingZeros(bits);
        @Gpa long gpa = logged.gpa() + (page << HostMemory.FRAME_SHIFT);
        invept |= method == Method.WRITE_PROTECTION ? views.writeProtect(gpa, HostMemory.FRAME_SIZE)
            : views.clearDirty(gpa, HostMemory.FRAME_SIZE);
      }
    }
    if (invept) {
      ept.flush();
    }
  }

  /**
   * Logs a slot no more; what was not fetched is lost. Its pages may become large again.
   *
   * @throws IllegalArgumentException if no slot of that name is logged
   */
  public void stop(String slot) {
    MemorySlot logged = slots.stopLog(slot);
    if (slots.loggedSlots() == 0) {
      if (method == Method.PAGE_MODIFICATION_LOG) {
        for (Vcpu vcpu : vcpus) {
          vcpu.ept.stopModificationLog();
        }
      }
      method = null;
    }
    if (ept != null) {
      ept.views.stopLog(logged.gpa(), logged.size());
      ept.flush();
    }
  }

  /**
   * Writes the section of a saved machine, its version first: method, slots, and the pages written that were not
   * fetched.
   */
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(method == null ? NO_METHOD : method.ordinal());
    slots.saveLogs(out);
  }

  /**
   * Reads what {@link #save} wrote by a machine of equal options, before its processors run. Under EPT the section of
   * {@link EptViews} has the rest; under shadow paging there must be no shadow pages yet.
   *
   * @throws IOException if the section is of another version or machine, or ends early
   */
  public void load(DataInput in) throws IOException {
    int version = in.readInt();
    int number = in.readInt();
    if (version != VERSION || number < NO_METHOD || number >= Method.values().length) {
      throw new IOException("dirty log: version " + version + " with method " + number + ", expected version " + VERSION
          + " and a method below " + Method.values().length);
    }
    method = number == NO_METHOD ? null : Method.values()[number];
    slots.loadLogs(in);
  }
}
