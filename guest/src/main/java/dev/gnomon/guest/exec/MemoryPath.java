package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.decode.MicroOp;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Status;

/**
 * Memory micro-ops that the soft TLB turned away: misaligned, crossing a page, not cached, not plain memory, or
 * faulting.
 */
final class MemoryPath {
  private static final int STACK = 4;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final CodeCache cache;
  /**
   * A device was touched or a fetch translation dropped: the run must end with this instruction, the last of its block.
   */
  boolean lookAround;

  MemoryPath(Cpu cpu, CodeCache cache, LinearMemory linear) {
    this.cpu = cpu;
    this.cache = cache;
    this.linear = linear;
  }

  /**
   * Does the memory micro-op at {@code pc}; for RET the target is left in T0.
   *
   * @param alone the instruction is the only one of its block
   */
  int run(int pc, boolean alone) {
    linear.alone = alone;
    long[] r = cpu.regs;
    long w = cache.code[pc];
    int op = MicroOp.operation(w);
    int d = MicroOp.d(w);
    int immediate = MicroOp.immediate(w);
    switch (op) {
      case MicroOp.LD8, MicroOp.LD16, MicroOp.LD32, MicroOp.LD64: {
        int status = load(address(w, immediate), 1 << op - MicroOp.LD8, stack(w));
        if (status == Status.OK) {
          r[d] = cpu.value;
        }
        return status;
      }
      case MicroOp.LDW8, MicroOp.LDW16, MicroOp.LDW32, MicroOp.LDW64: {
        int status = loadForWrite(address(w, immediate), 1 << op - MicroOp.LDW8, stack(w));
        if (status == Status.OK) {
          r[d] = cpu.value;
        }
        return status;
      }
      case MicroOp.ST8, MicroOp.ST16, MicroOp.ST32, MicroOp.ST64:
        return store(address(w, immediate), 1 << op - MicroOp.ST8, r[d], stack(w));
      case MicroOp.PUSH64, MicroOp.PUSH32: {
        int size = op == MicroOp.PUSH64 ? 8 : 4;
        long sp = truncate(r[Cpu.RSP] - size);
        int status = store(sp, size, r[MicroOp.a(w)] + immediate, true);
        if (status == Status.OK) {
          r[Cpu.RSP] = sp;
        }
        return status;
      }
      case MicroOp.POP64, MicroOp.POP32: {
        int size = op == MicroOp.POP64 ? 8 : 4;
        int status = load(r[Cpu.RSP], size, true);
        if (status == Status.OK) {
          r[Cpu.RSP] = truncate(r[Cpu.RSP] + size);
          r[d] = cpu.value;
        }
        return status;
      }
      case MicroOp.RET64, MicroOp.RET32: {
        int status = load(r[Cpu.RSP], op == MicroOp.RET64 ? 8 : 4, true);
        if (status < 0) {
          return status;
        }
        if (!cpu.canonical(cpu.value)) {
          return cpu.fault(Vector.GP);
        }
        r[Cpu.T0] = cpu.value;
        r[Cpu.RSP] = truncate(r[Cpu.RSP] + immediate);
        return Status.OK;
      }
      default:
        if (!cpu.canonical(r[MicroOp.a(w)])) {
          return cpu.fault(Vector.GP);
        }
        r[Cpu.T0] = r[MicroOp.a(w)];
        return Status.OK;
    }
  }

  /** Linear address of a micro-op's memory operand. */
  @Gva long address(long w, int displacement) {
    return truncate(cpu.regs[MicroOp.a(w)] + (cpu.regs[MicroOp.b(w)] << (MicroOp.x(w) & 3)) + displacement);
  }

  static boolean stack(long w) {
    return (MicroOp.x(w) & STACK) != 0;
  }

  private long truncate(long address) {
    return cpu.code64() ? address : address & 0xFFFF_FFFFL;
  }

  int load(@Gva long gva, int size, boolean stack) {
    int status = check(gva, size, stack);
    if (status == Status.OK) {
      status = linear.load(gva, size);
      lookAround |= linear.mustLookAround();
    }
    return status;
  }

  int store(@Gva long gva, int size, long value, boolean stack) {
    int status = check(gva, size, stack);
    if (status == Status.OK) {
      status = linear.store(gva, size, value);
      lookAround |= linear.mustLookAround();
    }
    return status;
  }

  private int loadForWrite(@Gva long gva, int size, boolean stack) {
    int status = check(gva, size, stack);
    if (status == Status.OK) {
      status = linear.loadForWrite(gva, size);
      lookAround |= linear.mustLookAround();
    }
    return status;
  }

  /**
   * Canonical form, the 4-GiB end of flat segments, and alignment at CPL 3 (SDM vol. 3A, "Alignment Check Exception").
   */
  int check(@Gva long gva, int size, boolean stack) {
    boolean valid = cpu.code64() ? cpu.canonical(gva) && cpu.canonical(gva + size - 1) : gva + size - 1 <= 0xFFFF_FFFFL;
    if (!valid) {
      return cpu.fault(stack ? Vector.SS : Vector.GP);
    }
    if ((gva & size - 1) != 0 && cpu.cpl == 3 && (cpu.cr0 & ControlRegister.CR0_AM) != 0
        && (cpu.systemFlags & Rflags.AC) != 0) {
      return cpu.fault(Vector.AC);
    }
    return Status.OK;
  }
}
