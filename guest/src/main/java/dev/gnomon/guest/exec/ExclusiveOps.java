package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/** CMPXCHG8B and CMPXCHG16B (SDM vol. 2A). */
final class ExclusiveOps {
  static final int GROUP_9 = Instruction.MAP_0F | 0xC7;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;

  ExclusiveOps(Cpu cpu, LinearMemory linear, Operands operands) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
  }

  /** Of 64-bit mode. */
  private long segmentBase(int segment) {
    return segment == Segments.FS || segment == Segments.GS ? cpu.base[segment] : 0;
  }

  int execute(Instruction insn) {
    boolean wide = insn.operandSize == 8;
    if (wide && !cpu.cpuid.offers(Feature.CX16)) {
      return cpu.fault(Vector.UD);
    }
    int half = wide ? 8 : 4;
    long address = operands.effectiveAddress(insn);
    if (wide && (address + segmentBase(insn.segment) & 15) != 0) {
      // Before anything else that is wrong with the address.
      return cpu.fault(Vector.GP);
    }
    int status = operands.linearize(insn.segment, address, 2 * half, true);
    if (status < 0) {
      return status;
    }
    @Gva long gva = cpu.linear;
    status = Operands.aligned(cpu, gva, 2 * half);
    if (status < 0) {
      return status;
    }
    // The destination is written in either case, so it must be writable in either case.
    status = linear.probe(gva, 2 * half, cpu.mmu.dataAccess | Access.WRITE);
    if (status == Status.OK) {
      status = linear.read(gva, half, cpu.mmu.dataAccess | Access.WRITE);
    }
    long low = cpu.value;
    if (status == Status.OK) {
      status = linear.read(gva + half, half, cpu.mmu.dataAccess | Access.WRITE);
    }
    if (status < 0) {
      return status;
    }
    long high = cpu.value;
    long[] r = cpu.regs;
    boolean equal = low == Operands.zeroExtend(r[Cpu.RAX], half) && high == Operands.zeroExtend(r[Cpu.RDX], half);
    long newLow = equal ? Operands.zeroExtend(r[Cpu.RBX], half) : low;
    long newHigh = equal ? Operands.zeroExtend(r[Cpu.RCX], half) : high;
    // Eight bytes go in one atomic store; sixteen cannot, as Java has no such access.
    status = wide ? linear.store(gva, 8, newLow) : linear.store(gva, 8, newLow | newHigh << 32);
    if (status == Status.OK && wide) {
      status = linear.store(gva + 8, 8, newHigh);
    }
    if (status < 0) {
      return status;
    }
    if (!equal) {
      operands.setRegister(Cpu.RAX, half, low);
      operands.setRegister(Cpu.RDX, half, high);
    }
    cpu.setStatusFlags((int) cpu.rflags() & Rflags.STATUS & ~Rflags.ZF | (equal ? Rflags.ZF : 0));
    cpu.rip = cpu.code64() ? cpu.rip + insn.length : cpu.rip + insn.length & 0xFFFF_FFFFL;
    return Status.OK;
  }
}
