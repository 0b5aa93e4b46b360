package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Register and memory operands of instructions that run from their decoded form, with the segment checks of SDM vol.
 * 3A, "Limit Checking" and "Type Checking".
 */
public final class Operands {
  private final Cpu cpu;
  private final LinearMemory linear;

  public Operands(Cpu cpu, LinearMemory linear) {
    this.cpu = cpu;
    this.linear = linear;
  }

  /** General register of 1, 2, 4 or 8 bytes; byte registers 4 to 7 are AH to BH without REX. */
  public long register(Instruction insn, int number, int size) {
    if (size == 1 && insn.rex == 0 && number >= 4 && number < 8) {
      return cpu.regs[number - 4] >>> 8 & 0xFF;
    }
    return zeroExtend(cpu.regs[number], size);
  }

  /** Writes a general register as the processor does: 4 bytes clear the upper half, 1 and 2 bytes keep the rest. */
  public void setRegister(Instruction insn, int number, int size, long value) {
    if (size == 1 && insn.rex == 0 && number >= 4 && number < 8) {
      cpu.regs[number - 4] = cpu.regs[number - 4] & ~0xFF00L | (value & 0xFF) << 8;
    } else {
      setRegister(number, size, value);
    }
  }

  /** Writes a general register; byte registers are the low ones. */
  public void setRegister(int number, int size, long value) {
    switch (size) {
      case 1 -> cpu.regs[number] = cpu.regs[number] & ~0xFFL | value & 0xFF;
      case 2 -> cpu.regs[number] = cpu.regs[number] & ~0xFFFFL | value & 0xFFFF;
      case 4 -> cpu.regs[number] = value & 0xFFFF_FFFFL;
      default -> cpu.regs[number] = value;
    }
  }

  /** Sets RSP, ESP or SP, as wide as the current stack segment wants; the bits above SP are kept. */
  public void setStackPointer(long value) {
    long mask = cpu.stackMask();
    cpu.regs[Cpu.RSP] = mask == 0xFFFFL ? cpu.regs[Cpu.RSP] & ~mask | value & mask : value & mask;
  }

  public static long zeroExtend(long value, int size) {
    return size == 8 ? value : value & (1L << 8 * size) - 1;
  }

  public static long signExtend(long value, int size) {
    int shift = 64 - 8 * size;
    return value << shift >> shift;
  }

  /** Offset of the memory operand within its segment, truncated to the address size. */
  public long effectiveAddress(Instruction insn) {
    long address = insn.displacement;
    if (insn.ripRelative) {
      address += cpu.rip + insn.length;
    }
    if (insn.base >= 0) {
      address += cpu.regs[insn.base];
    }
    if (insn.index >= 0) {
      address += cpu.regs[insn.index] << insn.scale;
    }
    return zeroExtend(address, insn.addressSize);
  }

  /**
   * Checks a segment-relative access and computes its linear address into {@code cpu.linear}: limits and rights outside
   * 64-bit mode, canonical form in it. #SS(0) for SS, #GP(0) otherwise.
   */
  public int linearize(int segment, long offset, int size, boolean write) {
    if (cpu.code64()) {
      long address = segment == Segments.FS || segment == Segments.GS ? offset + cpu.base[segment] : offset;
      long last = address + size - 1;
      if (!cpu.canonical(address) || !cpu.canonical(last)) {
        return cpu.fault(segment == Segments.SS ? Vector.SS : Vector.GP);
      }
      cpu.linear = address;
      return Status.OK;
    }
    int rights = cpu.rights[segment];
    boolean real = (cpu.codeMode & Cpu.MODE_REAL) != 0;
    boolean code = (rights & Segments.TYPE_CODE) != 0;
    boolean writable = !code && (rights & Segments.TYPE_WRITABLE) != 0;
    boolean readable = !code || (rights & Segments.TYPE_WRITABLE) != 0;
    boolean allowed = real || (rights & Segments.UNUSABLE) == 0 && (write ? writable : readable);
    if (!allowed || !withinLimit(segment, offset, size)) {
      return cpu.fault(segment == Segments.SS ? Vector.SS : Vector.GP);
    }
    cpu.linear = cpu.base[segment] + offset & 0xFFFF_FFFFL;
    return Status.OK;
  }

  /** Limit check of an access that may wrap; expand-down segments allow what lies above the limit. */
  public boolean withinLimit(int segment, long offset, int size) {
    int rights = cpu.rights[segment];
    long last = offset + size - 1;
    if ((rights & (Segments.TYPE_CODE | Segments.TYPE_EXPAND_DOWN)) == Segments.TYPE_EXPAND_DOWN) {
      long top = (rights & Segments.DB) != 0 ? 0xFFFF_FFFFL : 0xFFFFL;
      return offset > cpu.limit[segment] && last <= top;
    }
    return last <= cpu.limit[segment];
  }

  /** #AC(0) for a misaligned access at CPL 3 with CR0.AM and EFLAGS.AC (SDM vol. 3A, "Alignment Check Exception"). */
  static int aligned(Cpu cpu, @Gva long gva, int size) {
    boolean misaligned = (gva & size - 1) != 0 && cpu.cpl == 3;
    return misaligned && (cpu.cr0 & ControlRegister.CR0_AM) != 0 && (cpu.systemFlags & Rflags.AC) != 0
        ? cpu.fault(Vector.AC) : Status.OK;
  }

  /** Loads the ModRM operand of {@code size} bytes, zero-extended, into {@code cpu.value}. */
  public int loadRm(Instruction insn, int size) {
    if (!insn.isMemory()) {
      cpu.value = register(insn, insn.rm, size);
      return Status.OK;
    }
    return load(insn.segment, effectiveAddress(insn), size);
  }

  /** Stores to the ModRM operand. */
  public int storeRm(Instruction insn, int size, long value) {
    if (!insn.isMemory()) {
      setRegister(insn, insn.rm, size, value);
      return Status.OK;
    }
    return store(insn.segment, effectiveAddress(insn), size, value);
  }

  /** Segment-relative load with the current mode's rights, into {@code cpu.value}. */
  public int load(int segment, long offset, int size) {
    int status = linearize(segment, offset, size, false);
    if (status == Status.OK) {
      status = aligned(cpu, cpu.linear, size);
    }
    return status < 0 ? status : linear.load(cpu.linear, size);
  }

  public int store(int segment, long offset, int size, long value) {
    int status = linearize(segment, offset, size, true);
    if (status == Status.OK) {
      status = aligned(cpu, cpu.linear, size);
    }
    return status < 0 ? status : linear.store(cpu.linear, size, value);
  }

  /** Checks that a store would succeed. */
  public int probeStore(int segment, long offset, int size) {
    int status = linearize(segment, offset, size, true);
    if (status == Status.OK) {
      status = aligned(cpu, cpu.linear, size);
    }
    return status < 0 ? status : linear.probe(cpu.linear, size, cpu.mmu.dataAccess | Access.WRITE);
  }

}
