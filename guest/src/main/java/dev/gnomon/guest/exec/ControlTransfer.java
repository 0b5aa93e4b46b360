package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Far JMP and CALL: direct, through call gates, and to tasks (SDM vol. 2A, "CALL", "JMP"; vol. 3A, "Calling Procedures
 * Through Call Gates").
 */
final class ControlTransfer {
  private static final int MAX_PARAMETERS = 31;

  private final Cpu cpu;
  private final Operands operands;
  private final SegmentLoader segments;
  private final StackWriter stack;
  private final InnerStack inner;
  private final TaskSwitch tasks;
  /** Descriptor that the selector names: code, gate or TSS. */
  private final Descriptor target = new Descriptor();
  /** Code segment behind a gate. */
  private final Descriptor code = new Descriptor();
  private final long[] parameters = new long[MAX_PARAMETERS];

  ControlTransfer(Cpu cpu, LinearMemory linear, Operands operands, SegmentLoader segments, TaskSwitch tasks) {
    this.cpu = cpu;
    this.operands = operands;
    this.segments = segments;
    this.stack = new StackWriter(cpu, linear);
    this.inner = new InnerStack(cpu, linear, segments);
    this.tasks = tasks;
  }

  /** 9A and EA: the far pointer is an immediate. */
  int immediate(Instruction insn, boolean call) {
    return transfer(insn, insn.immediate2, insn.immediate, call);
  }

  /** FF /3 and FF /5: the far pointer is in memory. */
  int indirect(Instruction insn, boolean call) {
    if (!insn.isMemory()) {
      return cpu.fault(Vector.UD);
    }
    long address = operands.effectiveAddress(insn);
    int status = operands.load(insn.segment, address, insn.operandSize);
    if (status < 0) {
      return status;
    }
    long offset = cpu.value;
    status = operands.load(insn.segment, Operands.zeroExtend(address + insn.operandSize, insn.addressSize), 2);
    return status < 0 ? status : transfer(insn, (int) cpu.value, offset, call);
  }

  private int transfer(Instruction insn, int selector, long offset, boolean call) {
    if (segments.paragraphs()) {
      return paragraph(insn, selector, offset, call);
    }
    if (SegmentLoader.isNull(selector)) {
      return cpu.fault(Vector.GP);
    }
    int status = segments.fetch(selector, target);
    if (status < 0) {
      return status;
    }
    if (!target.system()) {
      return direct(insn, selector, offset, call);
    }
    switch (target.type()) {
      case Descriptor.CALL_GATE:
        return throughGate(insn, selector, call);
      case Descriptor.CALL_GATE16:
        return cpu.longMode() ? cpu.fault(Vector.GP, SegmentLoader.errorCode(selector))
            : throughGate(insn, selector, call);
      case Descriptor.TASK_GATE, Descriptor.TSS_AVAILABLE, Descriptor.TSS16_AVAILABLE:
        return cpu.longMode() ? cpu.fault(Vector.GP, SegmentLoader.errorCode(selector)) : toTask(insn, selector, call);
      default:
        return cpu.fault(Vector.GP, SegmentLoader.errorCode(selector));
    }
  }

  /** Real-address and virtual-8086 mode. */
  private int paragraph(Instruction insn, int selector, long offset, boolean call) {
    if (call) {
      int status = pushReturn(insn, insn.operandSize);
      if (status < 0) {
        return status;
      }
    }
    if (offset > cpu.limit[Segments.CS]) {
      return cpu.fault(Vector.GP);
    }
    if (call) {
      int status = stack.write();
      if (status < 0) {
        return status;
      }
      cpu.regs[Cpu.RSP] = stack.pointer();
    }
    segments.commitParagraph(Segments.CS, selector);
    cpu.rip = offset;
    cpu.updateMode();
    return Status.OK;
  }

  /** Gathers and checks the return address on the current stack. */
  private int pushReturn(Instruction insn, int size) {
    stack.current();
    stack.push(size, cpu.selector[Segments.CS]);
    stack.push(size, ComplexInstructions.nextRip(cpu, insn));
    return stack.probe(0);
  }

  /** To a code segment at the same privilege level. */
  private int direct(Instruction insn, int selector, long offset, boolean call) {
    int error = SegmentLoader.errorCode(selector);
    boolean forbidden = target.conforming() ? target.dpl() > cpu.cpl
        : (selector & Descriptor.RPL) > cpu.cpl || target.dpl() != cpu.cpl;
    if (!target.code() || forbidden || cpu.longMode() && target.reservedCode()) {
      return cpu.fault(Vector.GP, error);
    }
    if (!target.present()) {
      return cpu.fault(Vector.NP, error);
    }
    boolean to64 = cpu.longMode() && target.code64();
    long rip = to64 ? offset : offset & 0xFFFF_FFFFL;
    if (call) {
      int status = pushReturn(insn, insn.operandSize);
      if (status < 0) {
        return status;
      }
    }
    return enterSame(target, rip, to64, call);
  }

  /** Enters a checked code segment at the current level, after a push that was probed if {@code call}. */
  private int enterSame(Descriptor d, long rip, boolean to64, boolean call) {
    if (to64 ? !cpu.canonical(rip) : rip > d.limit()) {
      return cpu.fault(Vector.GP);
    }
    int status = segments.setAccessed(d);
    if (status == Status.OK && call) {
      status = stack.write();
    }
    if (status < 0) {
      return status;
    }
    if (call) {
      cpu.regs[Cpu.RSP] = stack.pointer();
    }
    segments.commitCode(d, cpu.cpl);
    cpu.rip = rip;
    cpu.updateMode();
    return Status.OK;
  }

  private int throughGate(Instruction insn, int selector, boolean call) {
    int error = SegmentLoader.errorCode(selector);
    if (target.dpl() < Math.max(cpu.cpl, selector & Descriptor.RPL)) {
      return cpu.fault(Vector.GP, error);
    }
    if (!target.present()) {
      return cpu.fault(Vector.NP, error);
    }
    if (cpu.longMode()) {
      int status = segments.fetchUpper(target);
      if (status < 0) {
        return status;
      }
      if (!target.upperValid()) {
        return cpu.fault(Vector.GP, error);
      }
    }
    int status = fetchGateCode(call);
    if (status < 0) {
      return status;
    }
    boolean to64 = cpu.longMode();
    int size = to64 ? 8 : target.type() == Descriptor.CALL_GATE ? 4 : 2;
    if (call && !code.conforming() && code.dpl() < cpu.cpl) {
      return callInner(insn, size);
    }
    if (call) {
      status = pushReturn(insn, size);
      if (status < 0) {
        return status;
      }
    }
    return enterSame(code, target.gateOffset(), to64, call);
  }

  /** Reads and checks the code segment that a call gate names. */
  private int fetchGateCode(boolean call) {
    int selector = target.gateSelector();
    if (SegmentLoader.isNull(selector)) {
      return cpu.fault(Vector.GP);
    }
    int status = segments.fetch(selector, code);
    if (status < 0) {
      return status;
    }
    boolean forbidden = code.dpl() > cpu.cpl || !call && !code.conforming() && code.dpl() != cpu.cpl;
    if (!code.code() || forbidden || cpu.longMode() && !code.code64()) {
      return cpu.fault(Vector.GP, SegmentLoader.errorCode(selector));
    }
    return code.present() ? Status.OK : cpu.fault(Vector.NP, SegmentLoader.errorCode(selector));
  }

  /** CALL through a gate to an inner ring: new stack from the TSS, parameters copied. */
  private int callInner(Instruction insn, int size) {
    int level = code.dpl();
    boolean to64 = size == 8;
    int status = to64 ? inner.selectLong(level, 0) : inner.select(level, 0);
    if (status < 0) {
      return status;
    }
    int count = to64 ? 0 : target.parameterCount();
    long sp = cpu.regs[Cpu.RSP];
    for (int i = 0; i < count; i++) {
      status = operands.load(Segments.SS, sp + (long) i * size & cpu.stackMask(), size);
      if (status < 0) {
        return status;
      }
      parameters[i] = cpu.value;
    }
    if (to64) {
      stack.flat(inner.pointer, Access.IMPLICIT);
    } else {
      stack.inner(inner.ss, inner.pointer, level);
    }
    stack.push(size, cpu.selector[Segments.SS]);
    stack.push(size, sp);
    for (int i = count - 1; i >= 0; i--) {
      stack.push(size, parameters[i]);
    }
    stack.push(size, cpu.selector[Segments.CS]);
    stack.push(size, ComplexInstructions.nextRip(cpu, insn));
    status = stack.probe(to64 ? 0 : SegmentLoader.errorCode(inner.ss.selector));
    if (status < 0) {
      return status;
    }
    long rip = target.gateOffset();
    if (to64 ? !cpu.canonical(rip) : rip > code.limit()) {
      return cpu.fault(Vector.GP);
    }
    status = segments.probeAccessed(code);
    if (status == Status.OK && !to64) {
      status = segments.setAccessed(inner.ss);
    }
    if (status == Status.OK) {
      status = segments.setAccessed(code);
    }
    if (status == Status.OK) {
      status = stack.write();
    }
    if (status < 0) {
      return status;
    }
    cpu.cpl = level;
    if (to64) {
      segments.commitNull(Segments.SS, level);
    } else {
      segments.commit(Segments.SS, inner.ss);
    }
    segments.commitCode(code, level);
    cpu.regs[Cpu.RSP] = stack.pointer();
    cpu.rip = rip;
    cpu.updateMode();
    return Status.OK;
  }

  private int toTask(Instruction insn, int selector, boolean call) {
    int error = SegmentLoader.errorCode(selector);
    if (target.dpl() < Math.max(cpu.cpl, selector & Descriptor.RPL)) {
      return cpu.fault(Vector.GP, error);
    }
    int tss = selector;
    if (target.type() == Descriptor.TASK_GATE) {
      if (!target.present()) {
        return cpu.fault(Vector.NP, error);
      }
      tss = target.gateSelector();
    }
    return tasks.byInstruction(tss, call ? ExitQualification.TASK_CALL : ExitQualification.TASK_JMP,
        ComplexInstructions.nextRip(cpu, insn), insn.length);
  }
}
