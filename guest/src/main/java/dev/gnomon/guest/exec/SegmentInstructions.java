package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/** MOV, PUSH and POP of segment registers, and LDS, LES, LFS, LGS, LSS (SDM vol. 2). */
final class SegmentInstructions {
  private final Cpu cpu;
  private final Operands operands;
  private final SegmentLoader segments;

  SegmentInstructions(Cpu cpu, Operands operands, SegmentLoader segments) {
    this.cpu = cpu;
    this.operands = operands;
    this.segments = segments;
  }

  /** 8C: to memory always 16 bits. */
  int store(Instruction insn) {
    int segment = insn.reg & 7;
    if (segment > Segments.GS) {
      return cpu.fault(Vector.UD);
    }
    int status = operands.storeRm(insn, insn.isMemory() ? 2 : insn.operandSize, cpu.selector[segment]);
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** 8E. */
  int load(Instruction insn) {
    int segment = insn.reg & 7;
    if (segment > Segments.GS || segment == Segments.CS) {
      return cpu.fault(Vector.UD);
    }
    int status = operands.loadRm(insn, 2);
    if (status == Status.OK) {
      status = segments.load(segment, (int) cpu.value);
    }
    if (status < 0) {
      return status;
    }
    cpu.blockedByMovSs |= segment == Segments.SS;
    return ComplexInstructions.complete(cpu, insn);
  }

  /**
   * 06, 0E, 16, 1E, 0F A0, 0F A8. With a 32-bit operand the upper half of the slot is not written, as on current
   * processors.
   */
  int push(Instruction insn, int segment) {
    int size = ComplexInstructions.stackSize(insn);
    long pointer = cpu.regs[Cpu.RSP] - size & cpu.stackMask();
    int status = operands.store(Segments.SS, pointer, size == 8 ? 8 : 2, cpu.selector[segment]);
    if (status < 0) {
      return status;
    }
    operands.setStackPointer(pointer);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** 07, 17, 1F, 0F A1, 0F A9. The stack pointer moves as wide as it was before a load of SS. */
  int pop(Instruction insn, int segment) {
    int size = ComplexInstructions.stackSize(insn);
    long mask = cpu.stackMask();
    long old = cpu.regs[Cpu.RSP];
    int status = operands.load(Segments.SS, old & mask, size == 8 ? 8 : 2);
    if (status == Status.OK) {
      status = segments.load(segment, (int) cpu.value & 0xFFFF);
    }
    if (status < 0) {
      return status;
    }
    cpu.regs[Cpu.RSP] = mask == 0xFFFFL ? old & ~mask | old + size & mask : old + size & mask;
    cpu.blockedByMovSs |= segment == Segments.SS;
    return ComplexInstructions.complete(cpu, insn);
  }

  /** C4, C5, 0F B2, 0F B4, 0F B5: loads a far pointer. */
  int loadPointer(Instruction insn, int segment) {
    if (!insn.isMemory()) {
      return cpu.fault(Vector.UD);
    }
    int size = insn.operandSize;
    long address = operands.effectiveAddress(insn);
    int status = operands.load(insn.segment, address, size);
    if (status < 0) {
      return status;
    }
    long offset = cpu.value;
    status = operands.load(insn.segment, Operands.zeroExtend(address + size, insn.addressSize), 2);
    if (status == Status.OK) {
      status = segments.load(segment, (int) cpu.value);
    }
    if (status < 0) {
      return status;
    }
    operands.setRegister(insn.reg, size, offset);
    return ComplexInstructions.complete(cpu, insn);
  }
}
