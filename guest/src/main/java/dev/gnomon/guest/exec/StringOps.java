package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Flags;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;

/**
 * MOVS, CMPS, STOS, LODS and SCAS with their repeat prefixes. An iteration commits as a whole and counts as one retired
 * instruction, so that a repeated instruction can stop after any of them; repeated MOVS and STOS on plain memory do as
 * many at once as stay within one page.
 */
final class StringOps {
  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final HostMemory memory;
  /** Iterations that the last call retired; a repeated instruction with a count of zero retires one. */
  long iterations;

  StringOps(Cpu cpu, LinearMemory linear, Operands operands) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.memory = cpu.memory;
  }

  static boolean handles(int opcode) {
    return opcode >= 0xA4 && opcode <= 0xA7 || opcode >= 0xAA && opcode <= 0xAF;
  }

  /**
   * Runs up to {@code most} iterations. {@code cpu.rip} stays at the instruction while some are left, and moves behind
   * it at the end.
   *
   * @return OK, also if iterations are left; FAULT or EXIT in the iteration that {@link #iterations} counts up to
   */
  int execute(Instruction insn, long most) {
    iterations = 0;
    int size = (insn.opcode & 1) == 0 ? 1 : insn.operandSize;
    if (insn.rep == 0) {
      int status = iterate(insn, size);
      if (status == Status.OK) {
        iterations = 1;
        finish(insn);
      }
      return status;
    }
    long mask = insn.addressSize == 8 ? -1L : (1L << 8 * insn.addressSize) - 1;
    if (insn.mode64 && insn.addressSize == 4) {
      cutRegisters(insn.opcode & 0xFE);
    }
    if ((cpu.regs[Cpu.RCX] & mask) == 0) {
      iterations = 1;
      finish(insn);
      return Status.OK;
    }
    boolean compares = (insn.opcode & 0xFE) == 0xA6 || (insn.opcode & 0xFE) == 0xAE;
    while (iterations < most) {
      long left = cpu.regs[Cpu.RCX] & mask;
      long done = compares ? 0 : bulk(insn, size, Math.min(left, most - iterations));
      if (done == 0) {
        int status = iterate(insn, size);
        if (status < 0) {
          return status;
        }
        done = 1;
      }
      iterations += done;
      setCounter(insn, left - done);
      if (left == done || compares && Flags.zf(cpu.flagResult) != (insn.rep == 0xF3)) {
        finish(insn);
        return Status.OK;
      }
      if (linear.touchedDevice() || linear.codeChanged) {
        // The rest waits until the run loop has looked around, and until the bytes of the instruction itself are read
        // again.
        return Status.OK;
      }
    }
    return Status.OK;
  }

  /**
   * With 32-bit addresses in 64-bit mode the counter, and the pointers of MOVS and STOS, lose their upper halves before
   * the first iteration, also if there is none: what Intel's processors do (and KVM's {@code string_registers_quirk}).
   */
  private void cutRegisters(int kind) {
    cpu.regs[Cpu.RCX] &= 0xFFFF_FFFFL;
    if (kind == 0xA4) {
      cpu.regs[Cpu.RSI] &= 0xFFFF_FFFFL;
    }
    if (kind == 0xA4 || kind == 0xAA) {
      cpu.regs[Cpu.RDI] &= 0xFFFF_FFFFL;
    }
  }

  private void finish(Instruction insn) {
    cpu.rip = truncateRip(cpu.rip + insn.length);
  }

  private long truncateRip(long rip) {
    return cpu.code64() ? rip : rip & ((cpu.codeMode & Cpu.MODE_32) != 0 ? 0xFFFF_FFFFL : 0xFFFFL);
  }

  private void setCounter(Instruction insn, long value) {
    operands.setRegister(Cpu.RCX, insn.addressSize, value);
  }

  private long index(Instruction insn, int register) {
    return Operands.zeroExtend(cpu.regs[register], insn.addressSize);
  }

  private void advance(Instruction insn, int register, long bytes) {
    operands.setRegister(register, insn.addressSize, cpu.regs[register] + bytes);
  }

  private int iterate(Instruction insn, int size) {
    int step = (cpu.systemFlags & Rflags.DF) != 0 ? -size : size;
    int status;
    switch (insn.opcode & 0xFE) {
      case 0xA4:
        status = operands.load(insn.segment, index(insn, Cpu.RSI), size);
        if (status == Status.OK) {
          status = operands.store(Segments.ES, index(insn, Cpu.RDI), size, cpu.value);
        }
        if (status == Status.OK) {
          advance(insn, Cpu.RSI, step);
          advance(insn, Cpu.RDI, step);
        }
        return status;
      case 0xA6: {
        // The destination is read first, as Intel's processors do: it decides which of two faults is seen.
        status = operands.load(Segments.ES, index(insn, Cpu.RDI), size);
        long second = cpu.value;
        if (status == Status.OK) {
          status = operands.load(insn.segment, index(insn, Cpu.RSI), size);
        }
        if (status == Status.OK) {
          compare(cpu.value, second, size);
          advance(insn, Cpu.RSI, step);
          advance(insn, Cpu.RDI, step);
        }
        return status;
      }
      case 0xAA:
        status = operands.store(Segments.ES, index(insn, Cpu.RDI), size, cpu.regs[Cpu.RAX]);
        if (status == Status.OK) {
          advance(insn, Cpu.RDI, step);
        }
        return status;
      case 0xAC:
        status = operands.load(insn.segment, index(insn, Cpu.RSI), size);
        if (status == Status.OK) {
          operands.setRegister(Cpu.RAX, size, cpu.value);
          advance(insn, Cpu.RSI, step);
        }
        return status;
      default:
        status = operands.load(Segments.ES, index(insn, Cpu.RDI), size);
        if (status == Status.OK) {
          compare(cpu.regs[Cpu.RAX], cpu.value, size);
          advance(insn, Cpu.RDI, step);
        }
        return status;
    }
  }

  private void compare(long a, long b, int size) {
    int x = 64 - 8 * size;
    long p = a << x;
    long q = b << x;
    long difference = p - q;
    cpu.flagResult = difference >> x;
    cpu.flagCarries = Flags.ofDifference(p, q, difference, x);
  }

  /**
   * Does iterations of an upward MOVS or STOS that stay within one page on each side and in plain memory.
   *
   * @return how many; 0 if none can be done so
   */
  private long bulk(Instruction insn, int size, long most) {
    int kind = insn.opcode & 0xFE;
    if (most < 2 || kind == 0xAC || (cpu.systemFlags & Rflags.DF) != 0 || linear.watch != null) {
      return 0;
    }
    if (!flat(Segments.ES) || kind == 0xA4 && !flat(insn.segment)) {
      return 0;
    }
    @Gva long to = index(insn, Cpu.RDI);
    @Gva long from = index(insn, Cpu.RSI);
    long count = Math.min(most, inPage(to) / size);
    if (kind == 0xA4) {
      count = Math.min(count, inPage(from) / size);
    }
    if (count < 2 || !valid(to) || kind == 0xA4 && !valid(from) || ((to | (kind == 0xA4 ? from : 0)) & size - 1) != 0) {
      return 0;
    }
    int length = (int) count * size;
    int source = 0;
    if (kind == 0xA4) {
      source = plain(from, false);
      if (source < 0) {
        return 0;
      }
    }
    int target = plain(to, true);
    if (target < 0) {
      return 0;
    }
    if (kind == 0xA4) {
      if (target > source && target < source + length) {
        return 0;
      }
      memory.move(source, target, length);
      advance(insn, Cpu.RSI, length);
    } else {
      long value = cpu.regs[Cpu.RAX];
      for (int i = 0; i < length; i += size) {
        memory.store(target + i, size, value);
      }
    }
    advance(insn, Cpu.RDI, length);
    return count;
  }

  private boolean flat(int segment) {
    return cpu.code64() ? segment < Segments.FS || cpu.base[segment] == 0
        : (cpu.codeMode & Cpu.MODE_FLAT_DATA) != 0
        && (segment == Segments.DS || segment == Segments.ES || segment == Segments.SS);
  }

  private boolean valid(@Gva long gva) {
    return !cpu.code64() || cpu.canonical(gva);
  }

  private static long inPage(@Gva long gva) {
    return HostMemory.FRAME_SIZE - Addresses.offset(gva, HostMemory.FRAME_SIZE);
  }

  /**
   * Offset in host memory of an address whose page needs no special care, or −1. A fault is left to the single
   * iteration that follows.
   */
  private int plain(@Gva long gva, boolean write) {
    long hpa = cpu.mmu.translate(gva, cpu.mmu.dataAccess | (write ? Access.WRITE : 0));
    int offset = hpa < 0 ? -1 : memory.offset(hpa);
    boolean whole = (cpu.mmu.walk.rights & Translation.STAGE_WRITABLE) != 0;
    return offset >= 0 && (!write || whole && memory.frameFlags(offset >>> HostMemory.FRAME_SHIFT) == 0) ? offset : -1;
  }
}
