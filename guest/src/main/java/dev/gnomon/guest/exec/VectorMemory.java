package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SoftTlb;
import dev.gnomon.guest.mmu.Status;

/**
 * Loads and stores of 2 to 16 bytes for vector instructions: by the soft TLB where it knows the page, otherwise slowly.
 * A page-crosser translates both pages before it touches either.
 */
final class VectorMemory {
  private static final int XMM_BYTES = 16;

  private final Cpu cpu;
  private final HostMemory memory;
  private final LinearMemory linear;
  private final MemoryPath path;
  /** What was loaded, zero-extended; bits 127..64 are in {@link #high}. */
  long low;
  long high;

  VectorMemory(Cpu cpu, LinearMemory linear, MemoryPath path) {
    this.cpu = cpu;
    this.memory = cpu.memory;
    this.linear = linear;
    this.path = path;
  }

  /**
   * Loads into {@link #low} and {@link #high}.
   *
   * @param aligned #GP(0) unless at a multiple of the size.
   * @return status
   */
  int load(@Gva long gva, int size, boolean aligned, boolean stack, boolean alone) {
    int offset = probe(gva, size, aligned, SoftTlb.DENY_LOAD);
    if (offset < 0) {
      return slowLoad(gva, size, aligned, stack, alone);
    }
    low = memory.load(offset, Math.min(size, 8));
    high = size == XMM_BYTES ? memory.load(offset + 8, 8) : 0;
    return Status.OK;
  }

  /** Stores bits 63..0, and with 16 bytes 127..64. @return status */
  int store(@Gva long gva, int size, long lowBits, long highBits, boolean aligned, boolean stack, boolean alone) {
    int offset = probe(gva, size, aligned, SoftTlb.DENY_STORE);
    if (offset < 0) {
      return slowStore(gva, size, lowBits, highBits, aligned, stack, alone);
    }
    memory.store(offset, Math.min(size, 8), lowBits);
    if (size == XMM_BYTES) {
      memory.store(offset + 8, 8, highBits);
    }
    return Status.OK;
  }

  /** Offset in host memory, or −1 if the access may fault, crosses a page or is not in the soft TLB. */
  private int probe(@Gva long gva, int size, boolean aligned, int deny) {
    boolean misaligned = (gva & size - 1) != 0;
    if (misaligned && (aligned || size < XMM_BYTES && (cpu.systemFlags & Rflags.AC) != 0 || crosses(gva, size))) {
      return -1;
    }
    return SoftTlb.probe(cpu.mmu.data.entries, gva, deny);
  }

  private static boolean crosses(@Gva long gva, int size) {
    return ((int) gva & HostMemory.FRAME_SIZE - 1) > HostMemory.FRAME_SIZE - size;
  }

  private int slowLoad(@Gva long gva, int size, boolean aligned, boolean stack, boolean alone) {
    int status = check(gva, size, aligned, stack);
    if (status < 0) {
      return status;
    }
    linear.alone = alone;
    if (size < XMM_BYTES) {
      status = linear.load(gva, size);
      low = cpu.value;
      high = 0;
    } else {
      status = crosses(gva, size) ? linear.probe(gva, size, cpu.mmu.dataAccess) : Status.OK;
      if (status == Status.OK) {
        status = linear.load(gva, 8);
        low = cpu.value;
      }
      if (status == Status.OK) {
        status = linear.load(gva + 8, 8);
        high = cpu.value;
      }
    }
    path.lookAround |= linear.mustLookAround();
    return status;
  }

  private int slowStore(@Gva long gva, int size, long lowBits, long highBits, boolean aligned, boolean stack,
      boolean alone) {
    int status = check(gva, size, aligned, stack);
    if (status < 0) {
      return status;
    }
    linear.alone = alone;
    if (size < XMM_BYTES) {
      status = linear.store(gva, size, lowBits);
    } else {
      status = linear.probe(gva, size, cpu.mmu.dataAccess | Access.WRITE);
      if (status == Status.OK) {
        status = linear.store(gva, 8, lowBits);
      }
      if (status == Status.OK) {
        status = linear.store(gva + 8, 8, highBits);
      }
    }
    path.lookAround |= linear.mustLookAround();
    return status;
  }

  /**
   * Alignment, canonical form, and the 4-GiB end of flat segments. Of 16 bytes, those that may be misaligned are never
   * checked for #AC, as on Intel processors.
   */
  private int check(@Gva long gva, int size, boolean aligned, boolean stack) {
    if (aligned && (gva & size - 1) != 0) {
      return cpu.fault(Vector.GP);
    }
    @Gva long last = gva + size - 1;
    boolean valid = cpu.code64() ? cpu.canonical(gva) && cpu.canonical(last) : last <= 0xFFFF_FFFFL;
    if (!valid) {
      return cpu.fault(stack ? Vector.SS : Vector.GP);
    }
    return size == XMM_BYTES ? Status.OK : Operands.aligned(cpu, gva, size);
  }
}
