package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * A stack frame in the making: values are gathered, then all their slots are checked, then written, so that nothing is
 * committed before the last slot that can fault. Serves the current stack and a new one that no register describes yet.
 */
final class StackWriter {
  /** Far call through a gate: 31 parameters and four more; ENTER: 32 levels and the frame pointer. */
  private static final int SLOTS = 40;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final long[] offsets = new long[SLOTS];
  private final long[] values = new long[SLOTS];
  private final int[] sizes = new int[SLOTS];
  private int slots;
  private boolean flat;
  private long base;
  private long limit;
  private int rights;
  private long mask;
  private int access;
  private long pointer;

  StackWriter(Cpu cpu, LinearMemory linear) {
    this.cpu = cpu;
    this.linear = linear;
  }

  /** Starts a frame on the stack in use. */
  void current() {
    slots = 0;
    flat = cpu.code64();
    base = flat ? 0 : cpu.base[Segments.SS];
    limit = cpu.limit[Segments.SS];
    rights = cpu.rights[Segments.SS];
    mask = cpu.stackMask();
    access = cpu.mmu.dataAccess;
    pointer = cpu.regs[Cpu.RSP];
  }

  /**
   * Starts a frame on an inner stack that a checked descriptor describes; its accesses are implicit ones of the
   * supervisor below ring 3.
   */
  void inner(Descriptor ss, long sp, int level) {
    slots = 0;
    flat = false;
    base = ss.base();
    limit = ss.limit();
    rights = ss.rights;
    mask = (rights & Segments.DB) != 0 ? 0xFFFF_FFFFL : 0xFFFFL;
    access = level == 3 ? Access.USER : Access.IMPLICIT;
    pointer = sp;
  }

  /** Starts a frame on a 64-bit stack. */
  void flat(long sp, int access) {
    slots = 0;
    flat = true;
    base = 0;
    mask = -1L;
    this.access = access;
    pointer = sp;
  }

  void push(int size, long value) {
    push(size, size, value);
  }

  /** @param bytes how many of the slot's low bytes are written */
  void push(int size, int bytes, long value) {
    long next = pointer - size & mask;
    pointer = pointer & ~mask | next;
    offsets[slots] = next;
    values[slots] = value;
    sizes[slots] = bytes;
    slots++;
  }

  /** RSP behind the frame: a 16-bit pointer keeps the bits above it, a 32-bit one clears them. */
  long pointer() {
    return mask == 0xFFFF_FFFFL ? pointer & mask : pointer;
  }

  /**
   * Checks limits, rights and translations of all slots.
   *
   * @param errorCode of the #SS for a limit or a canonical address
   */
  int probe(int errorCode) {
    for (int i = 0; i < slots; i++) {
      int size = sizes[i];
      if (!allowed(offsets[i], size)) {
        return cpu.fault(Vector.SS, errorCode);
      }
      long gva = address(offsets[i]);
      int status = (access & Access.USER) != 0 ? Operands.aligned(cpu, gva, size) : Status.OK;
      if (status == Status.OK) {
        status = linear.probe(gva, size, access | Access.WRITE);
      }
      if (status < 0) {
        return status;
      }
    }
    return Status.OK;
  }

  /** Writes the frame; after {@link #probe} this cannot fault. */
  int write() {
    for (int i = 0; i < slots; i++) {
      int status = linear.write(address(offsets[i]), sizes[i], values[i], access);
      if (status < 0) {
        return status;
      }
    }
    return Status.OK;
  }

  private long address(long offset) {
    return flat ? offset : base + offset & 0xFFFF_FFFFL;
  }

  private boolean allowed(long offset, int size) {
    long last = offset + size - 1;
    if (flat) {
      return cpu.canonical(offset) && cpu.canonical(last);
    }
    if ((rights & Segments.UNUSABLE) != 0) {
      return false;
    }
    if ((rights & (Segments.TYPE_CODE | Segments.TYPE_EXPAND_DOWN)) == Segments.TYPE_EXPAND_DOWN) {
      return offset > limit && last <= ((rights & Segments.DB) != 0 ? 0xFFFF_FFFFL : 0xFFFFL);
    }
    return last <= limit;
  }
}
