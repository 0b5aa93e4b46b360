package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/** Instructions with several memory slots or an odd operand: PUSHA, POPA, ENTER, BOUND, XLAT, CLFLUSH (SDM vol. 2). */
final class MultiSlotInstructions {
  private static final int MAX_NESTING = 31;
  private static final int GENERAL_REGISTERS = 8;
  private static final int FIRST_BAD_POINTER = 7;
  private static final int LAST_BAD_POINTER = 15;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final StackWriter stack;
  private final long[] popped = new long[GENERAL_REGISTERS];

  MultiSlotInstructions(Cpu cpu, LinearMemory linear, Operands operands) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.stack = new StackWriter(cpu, linear);
  }

  /**
   * 60. Without protected mode an odd stack pointer of 7 to 15 is #GP instead of the #SS of the word that would cross
   * the segment's end; from 1, 3 or 5 on even #SS cannot be delivered, and the processor shuts down (SDM vol. 2B,
   * "PUSHA/PUSHAD"). POPA has no such rule.
   */
  int pushAll(Instruction insn) {
    long pointer = cpu.regs[Cpu.RSP] & cpu.stackMask();
    boolean protectedStack = cpu.protectedMode() && !cpu.v86();
    if (!protectedStack && (pointer & 1) != 0 && pointer >= FIRST_BAD_POINTER && pointer <= LAST_BAD_POINTER) {
      return cpu.fault(Vector.GP);
    }
    stack.current();
    for (int register = 0; register < GENERAL_REGISTERS; register++) {
      stack.push(insn.operandSize, cpu.regs[register]);
    }
    int status = stack.probe(0);
    if (status == Status.OK) {
      status = stack.write();
    }
    if (status < 0) {
      return status;
    }
    cpu.regs[Cpu.RSP] = stack.pointer();
    return ComplexInstructions.complete(cpu, insn);
  }

  int popAll(Instruction insn) {
    int size = insn.operandSize;
    long pointer = cpu.regs[Cpu.RSP];
    for (int i = 0; i < GENERAL_REGISTERS; i++) {
      int status = operands.load(Segments.SS, pointer + (long) i * size & cpu.stackMask(), size);
      if (status < 0) {
        return status;
      }
      popped[i] = cpu.value;
    }
    for (int register = 0; register < GENERAL_REGISTERS; register++) {
      if (register != Cpu.RSP) {
        operands.setRegister(register, size, popped[GENERAL_REGISTERS - 1 - register]);
      }
    }
    operands.setStackPointer(pointer + (long) GENERAL_REGISTERS * size);
    return ComplexInstructions.complete(cpu, insn);
  }

  /**
   * C8. All slots are checked first; then copying goes slot by slot, because a copied frame may overlap the one being
   * built.
   */
  int enter(Instruction insn) {
    int size = ComplexInstructions.stackSize(insn);
    int level = insn.immediate2 & MAX_NESTING;
    long mask = cpu.stackMask();
    long top = cpu.regs[Cpu.RSP];
    long frame = top - size & mask;
    long last = frame - (long) level * size - (insn.immediate & 0xFFFF) & mask;
    int status = operands.probeStore(Segments.SS, frame, size);
    for (int i = 1; i < level && status == Status.OK; i++) {
      status = operands.load(Segments.SS, cpu.regs[Cpu.RBP] - (long) i * size & mask, size);
      if (status == Status.OK) {
        status = operands.probeStore(Segments.SS, frame - (long) i * size & mask, size);
      }
    }
    if (status == Status.OK && level > 0) {
      status = operands.probeStore(Segments.SS, frame - (long) level * size & mask, size);
    }
    if (status == Status.OK) {
      status = operands.probeStore(Segments.SS, last, size);
    }
    if (status < 0) {
      return status;
    }
    long newFrame = mask == 0xFFFFL ? top & ~mask | frame : frame;
    status = operands.store(Segments.SS, frame, size, cpu.regs[Cpu.RBP]);
    for (int i = 1; i < level && status == Status.OK; i++) {
      status = operands.load(Segments.SS, cpu.regs[Cpu.RBP] - (long) i * size & mask, size);
      if (status == Status.OK) {
        status = operands.store(Segments.SS, frame - (long) i * size & mask, size, cpu.value);
      }
    }
    if (status == Status.OK && level > 0) {
      status = operands.store(Segments.SS, frame - (long) level * size & mask, size, newFrame);
    }
    if (status < 0) {
      return status;
    }
    operands.setRegister(Cpu.RBP, size, newFrame);
    operands.setStackPointer(last);
    return ComplexInstructions.complete(cpu, insn);
  }

  int bound(Instruction insn) {
    if (!insn.isMemory()) {
      return cpu.fault(Vector.UD);
    }
    int size = insn.operandSize;
    long address = operands.effectiveAddress(insn);
    int status = operands.load(insn.segment, address, size);
    if (status < 0) {
      return status;
    }
    long index = Operands.signExtend(cpu.regs[insn.reg], size);
    if (index < Operands.signExtend(cpu.value, size)) {
      return cpu.fault(Vector.BR);
    }
    status = operands.load(insn.segment, Operands.zeroExtend(address + size, insn.addressSize), size);
    if (status < 0) {
      return status;
    }
    return index > Operands.signExtend(cpu.value, size) ? cpu.fault(Vector.BR)
        : ComplexInstructions.complete(cpu, insn);
  }

  /** The checks of a byte load of the memory operand, without the load: CLFLUSH. */
  int touch(Instruction insn) {
    int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), 1, false);
    return status < 0 ? status : linear.probe(cpu.linear, 1, cpu.mmu.dataAccess);
  }

  int translateByte(Instruction insn) {
    long address = Operands.zeroExtend(cpu.regs[Cpu.RBX] + (cpu.regs[Cpu.RAX] & 0xFF), insn.addressSize);
    int status = operands.load(insn.segment, address, 1);
    if (status < 0) {
      return status;
    }
    operands.setRegister(Cpu.RAX, 1, cpu.value);
    return ComplexInstructions.complete(cpu, insn);
  }
}
