package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import java.lang.invoke.VarHandle;

/**
 * Slow loads and stores by linear address: everything that the soft TLB's one branch turned away, and all accesses of
 * complex instructions. A page-crossing access translates both pages before it touches either. Devices are reached only
 * by an instruction that is alone in its block ({@link #alone}), so that the clock is exact and nothing before it in
 * the block can be lost; otherwise the answer is {@link Status#RESTART}.
 */
public final class LinearMemory {
  /** Bytes to which one sub-page write permission of EPT applies. */
  private static final int SUB_PAGE = 128;

  private final Cpu cpu;
  private final Mmu mmu;
  private final HostMemory memory;
  /** The instruction being executed is the only one of its block. */
  public boolean alone;
  /** Set by the code cache when a write hit bytes of the block being executed. */
  public boolean codeChanged;
  private boolean deviceTouched;
  /** Matches data accesses against the debug registers; null while DR7 has no data breakpoint. */
  Debug watch;

  public LinearMemory(Cpu cpu) {
    this.cpu = cpu;
    this.mmu = cpu.mmu;
    this.memory = cpu.memory;
  }

  /** Explicit data load in the current mode; the zero-extended value is in {@code cpu.value}. @return status */
  public int load(@Gva long gva, int size) {
    return read(gva, size, mmu.dataAccess);
  }

  /** Explicit data store in the current mode. @return status */
  public int store(@Gva long gva, int size, long value) {
    return write(gva, size, value, mmu.dataAccess);
  }

  /**
   * Loads for a read-modify-write: checks write rights, and all that a following store of the same bytes could still
   * refuse.
   */
  public int loadForWrite(@Gva long gva, int size) {
    int status = probe(gva, size, mmu.dataAccess | Access.WRITE);
    return status < 0 ? status : read(gva, size, mmu.dataAccess | Access.WRITE);
  }

  /**
   * @param access mode bits of {@link Access}; WRITE too if the read belongs to a read-modify-write.
   *
   * @return status; value in {@code cpu.value}
   */
  public int read(@Gva long gva, int size, int access) {
    int status = readUnwatched(gva, size, access);
    if (watch != null && status == Status.OK) {
      watch.data(gva, size, false, access);
    }
    return status;
  }

  private int readUnwatched(@Gva long gva, int size, int access) {
    if (((int) gva & HostMemory.FRAME_SIZE - 1) + size > HostMemory.FRAME_SIZE) {
      return readCrossing(gva, size, access);
    }
    long hpa = mmu.translate(gva, access);
    if (hpa < 0) {
      return failed(hpa);
    }
    int offset = memory.offset(hpa);
    if (offset >= 0) {
      cpu.value = memory.load(offset, size);
      return Status.OK;
    }
    if (!alone) {
      return Status.RESTART;
    }
    deviceTouched = true;
    cpu.value = cpu.bus.mmioRead(hpa, size);
    return Status.OK;
  }

  public int write(@Gva long gva, int size, long value, int access) {
    int status = writeUnwatched(gva, size, value, access);
    if (watch != null && status == Status.OK) {
      watch.data(gva, size, true, access);
    }
    return status;
  }

  private int writeUnwatched(@Gva long gva, int size, long value, int access) {
    if (((int) gva & HostMemory.FRAME_SIZE - 1) + size > HostMemory.FRAME_SIZE) {
      return writeCrossing(gva, size, value, access);
    }
    long hpa = mmu.translate(gva, access | Access.WRITE);
    if (hpa < 0) {
      return failed(hpa);
    }
    if ((mmu.walk.rights & Translation.STAGE_WRITABLE) == 0) {
      int status = otherSubPages(gva, size, access);
      if (status < 0) {
        return status;
      }
    }
    return writePhysical(hpa, size, value);
  }

  /** Whether a device was read or written since the last call. */
  boolean touchedDevice() {
    boolean touched = deviceTouched;
    deviceTouched = false;
    return touched;
  }

  /**
   * Whether the block must not go on into another: a device was touched since the last call, or the bytes of the
   * running frame changed, so that what the block is linked to may be stale.
   */
  boolean mustLookAround() {
    return touchedDevice() | codeChanged;
  }

  /**
   * Stores for a locked read-modify-write that loaded {@code expected}: by compare-and-swap, because a device may write
   * from another thread. Only misaligned locked stores are not atomic (the processor would lock the bus for them).
   *
   * @return OK, or {@link Status#RESTART} if the bytes changed since they were loaded
   */
  int storeExclusive(@Gva long gva, int size, long expected, long value) {
    if ((gva & size - 1) == 0) {
      long hpa = mmu.translate(gva, mmu.dataAccess | Access.WRITE);
      int offset = hpa < 0 ? -1 : memory.offset(hpa);
      if (offset >= 0 && watch == null) {
        return memory.exchange(offset, size, expected, value) ? Status.OK : Status.RESTART;
      }
    }
    VarHandle.fullFence();
    int status = store(gva, size, value);
    VarHandle.fullFence();
    return status;
  }

  /**
   * A write was granted at {@code gva} although its page is not writable, by sub-page permissions, which are for 128
   * bytes: every other sub-page that it touches must grant it too. (The SDM leaves open what a write across sub-pages
   * does.)
   *
   * @param size bytes within the page
   */
  private int otherSubPages(@Gva long gva, int size, int access) {
    for (int next = SUB_PAGE - ((int) gva & SUB_PAGE - 1); next < size; next += SUB_PAGE) {
      long hpa = mmu.translate(gva + next, access | Access.WRITE);
      if (hpa < 0) {
        return failed(hpa);
      }
    }
    return Status.OK;
  }

  /** Checks that a write of {@code size} bytes would succeed, and does nothing else. */
  public int probe(@Gva long gva, int size, int access) {
    long hpa = mmu.translate(gva, access);
    if (hpa < 0) {
      return failed(hpa);
    }
    int first = HostMemory.FRAME_SIZE - ((int) gva & HostMemory.FRAME_SIZE - 1);
    int status = (access & Access.WRITE) != 0 ? writeReady(hpa, gva, Math.min(size, first), access) : Status.OK;
    if (status < 0 || first >= size) {
      return status;
    }
    @Gva long next = next(gva, first);
    hpa = mmu.translate(next, access);
    return hpa < 0 ? failed(hpa) : (access & Access.WRITE) != 0 ? writeReady(hpa, next, size - first, access)
        : Status.OK;
  }

  private int writePhysical(@Hpa long hpa, int size, long value) {
    int status = writeReady(hpa, size);
    if (status < 0) {
      return status;
    }
    int offset = memory.offset(hpa);
    if (offset >= 0) {
      memory.store(offset, size, value);
    } else {
      deviceTouched = true;
      cpu.bus.mmioWrite(hpa, size, value);
    }
    return Status.OK;
  }

  private int writeReady(@Hpa long hpa, @Gva long gva, int size, int access) {
    int status = (mmu.walk.rights & Translation.STAGE_WRITABLE) == 0 ? otherSubPages(gva, size, access) : Status.OK;
    return status < 0 ? status : writeReady(hpa, size);
  }

  /** Whether the bytes can be written now; tells the write listener of flagged frames. */
  private int writeReady(@Hpa long hpa, int size) {
    int offset = memory.offset(hpa);
    if (offset < 0) {
      return alone ? Status.OK : Status.RESTART;
    }
    if (memory.frameFlags(offset >>> HostMemory.FRAME_SHIFT) != 0) {
      int inFrame = Math.min(size, HostMemory.FRAME_SIZE - (offset & HostMemory.FRAME_SIZE - 1));
      memory.beforeWrite(offset, inFrame);
      if (codeChanged && !alone) {
        return Status.RESTART;
      }
    }
    return Status.OK;
  }

  private int readCrossing(@Gva long gva, int size, int access) {
    int first = HostMemory.FRAME_SIZE - ((int) gva & HostMemory.FRAME_SIZE - 1);
    long low = mmu.translate(gva, access);
    if (low < 0) {
      return failed(low);
    }
    long high = mmu.translate(next(gva, first), access);
    if (high < 0) {
      return failed(high);
    }
    if (!alone && (memory.offset(low) < 0 || memory.offset(high) < 0)) {
      return Status.RESTART;
    }
    deviceTouched |= memory.offset(low) < 0 || memory.offset(high) < 0;
    long value = 0;
    for (int i = 0; i < size; i++) {
      long hpa = i < first ? low + i : high + i - first;
      int offset = memory.offset(hpa);
      long b = offset >= 0 ? memory.get8(offset) & 0xFF : cpu.bus.mmioRead(hpa, 1);
      value |= b << 8 * i;
    }
    cpu.value = value;
    return Status.OK;
  }

  private int writeCrossing(@Gva long gva, int size, long value, int access) {
    int first = HostMemory.FRAME_SIZE - ((int) gva & HostMemory.FRAME_SIZE - 1);
    long low = mmu.translate(gva, access | Access.WRITE);
    if (low < 0) {
      return failed(low);
    }
    long high = mmu.translate(next(gva, first), access | Access.WRITE);
    if (high < 0) {
      return failed(high);
    }
    int status = writeReady(low, first);
    if (status == Status.OK) {
      status = writeReady(high, size - first);
    }
    if (status < 0) {
      return status;
    }
    deviceTouched |= memory.offset(low) < 0 || memory.offset(high) < 0;
    for (int i = 0; i < size; i++) {
      long hpa = i < first ? low + i : high + i - first;
      int offset = memory.offset(hpa);
      if (offset >= 0) {
        memory.set8(offset, (byte) (value >>> 8 * i));
      } else {
        cpu.bus.mmioWrite(hpa, 1, value >>> 8 * i & 0xFF);
      }
    }
    return Status.OK;
  }

  /**
   * The address behind a page crossing; outside 64-bit mode it wraps at 4 GiB, but for system tables of IA-32e mode
   * that lie above.
   */
  private @Gva long next(@Gva long gva, int bytes) {
    long g = gva + bytes;
    return cpu.code64() || gva >>> 32 != 0 ? g : g & 0xFFFF_FFFFL;
  }

  /** Turns a failed translation into the processor's fault or exit record. */
  int failed(@Hpa long status) {
    if (status == Status.FAULT) {
      return cpu.pageFault(mmu.walk.gva, mmu.walk.errorCode);
    }
    if (VirtualizationException.isDue(cpu)) {
      return VirtualizationException.raise(cpu);
    }
    cpu.exit.clear();
    cpu.exit.reason = mmu.walk.exitReason;
    cpu.exit.qualification = mmu.walk.exitQualification;
    cpu.exit.guestLinear = mmu.walk.gva;
    cpu.exit.guestPhysical = mmu.walk.exitGpa;
    return Status.EXIT;
  }
}
