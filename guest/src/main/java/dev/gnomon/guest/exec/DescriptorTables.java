package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Status;

/**
 * Instructions on descriptor tables and descriptors: SGDT, SIDT, LGDT, LIDT, SLDT, LLDT, STR, LTR, VERR, VERW, LAR,
 * LSL, ARPL (SDM vol. 2; vol. 3A, "Pointer Validation").
 */
final class DescriptorTables {
  /** Upper half of a descriptor as LAR gives it: type, S, DPL, P, AVL, L, D/B, G. */
  private static final long LAR_MASK = 0xF0_FF00L;
  private static final long BASE24 = 0xFF_FFFFL;
  /** Result of {@link #look}: the selector names a descriptor. */
  private static final int FOUND = 1;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final SegmentLoader segments;
  private final Descriptor descriptor = new Descriptor();

  DescriptorTables(Cpu cpu, LinearMemory linear, Operands operands, SegmentLoader segments) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.segments = segments;
  }

  /** 0F 00. */
  int group6(Instruction insn) {
    if (segments.paragraphs()) {
      return cpu.fault(Vector.UD);
    }
    return switch (insn.group()) {
      case 0 -> storeSelector(insn, cpu.selector[Segments.LDTR]);
      case 1 -> storeSelector(insn, cpu.selector[Segments.TR]);
      case 2, 3 -> loadSelector(insn, insn.group() == 3);
      case 4, 5 -> verify(insn, insn.group() == 5);
      default -> cpu.fault(Vector.UD);
    };
  }

  private int storeSelector(Instruction insn, int selector) {
    if ((cpu.cr4 & ControlRegister.CR4_UMIP) != 0 && cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    int status = operands.storeRm(insn, insn.isMemory() ? 2 : insn.operandSize, selector);
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  private int loadSelector(Instruction insn, boolean task) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    int status = operands.loadRm(insn, 2);
    if (status == Status.OK) {
      int selector = (int) cpu.value;
      status = task ? segments.loadTr(selector) : segments.loadLdtr(selector);
    }
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** SGDT and SIDT: all 32 bits of the base are stored whatever the operand size is. */
  int store(Instruction insn, int limit, @Gva long base) {
    if (!insn.isMemory()) {
      return cpu.fault(Vector.UD);
    }
    int size = insn.mode64 ? 8 : 4;
    long address = operands.effectiveAddress(insn);
    long second = Operands.zeroExtend(address + 2, insn.addressSize);
    int status = operands.probeStore(insn.segment, second, size);
    if (status == Status.OK) {
      status = operands.store(insn.segment, address, 2, limit);
    }
    if (status == Status.OK) {
      status = operands.store(insn.segment, second, size, Addresses.bits(base));
    }
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** LGDT and LIDT. */
  int load(Instruction insn, boolean interrupts) {
    if (!insn.isMemory()) {
      return cpu.fault(Vector.UD);
    }
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    long address = operands.effectiveAddress(insn);
    int status = operands.load(insn.segment, address, 2);
    if (status < 0) {
      return status;
    }
    int limit = (int) cpu.value;
    status = operands.load(insn.segment, Operands.zeroExtend(address + 2, insn.addressSize), insn.mode64 ? 8 : 4);
    if (status < 0) {
      return status;
    }
    long base = !insn.mode64 && insn.operandSize == 2 ? cpu.value & BASE24 : cpu.value;
    if (insn.mode64 && !cpu.canonicalBase(base)) {
      return cpu.fault(Vector.GP);
    }
    if (interrupts) {
      cpu.idtrBase = base;
      cpu.idtrLimit = limit;
    } else {
      cpu.gdtrBase = base;
      cpu.gdtrLimit = limit;
    }
    return ComplexInstructions.complete(cpu, insn);
  }

  private int verify(Instruction insn, boolean write) {
    int status = operands.loadRm(insn, 2);
    if (status < 0) {
      return status;
    }
    int selector = (int) cpu.value;
    status = look(selector);
    if (status < 0) {
      return status;
    }
    boolean found = status == FOUND;
    boolean allowed = found && visible(selector) && (write ? descriptor.writableData() : descriptor.readable());
    return flag(insn, allowed);
  }

  /** 0F 02 (LAR) and 0F 03 (LSL). */
  int inspect(Instruction insn, boolean limit) {
    if (segments.paragraphs()) {
      return cpu.fault(Vector.UD);
    }
    int status = operands.loadRm(insn, 2);
    if (status < 0) {
      return status;
    }
    int selector = (int) cpu.value;
    status = look(selector);
    if (status < 0) {
      return status;
    }
    boolean allowed = status == FOUND && visible(selector) && (!descriptor.system() || systemType(limit));
    if (allowed && descriptor.system() && cpu.longMode()) {
      status = segments.fetchUpper(descriptor);
      if (status == Status.FAULT && cpu.faultVector == Vector.GP) {
        allowed = false;
      } else if (status < 0) {
        return status;
      } else {
        allowed = descriptor.upperValid();
      }
    }
    if (allowed) {
      operands.setRegister(insn.reg, insn.operandSize, limit ? descriptor.limit() : descriptor.low >>> 32 & LAR_MASK);
    }
    return flag(insn, allowed);
  }

  /** Reads a descriptor; {@link #FOUND}, OK if there is none, or what the table access met. */
  private int look(int selector) {
    if (SegmentLoader.isNull(selector)) {
      return Status.OK;
    }
    int status = segments.fetch(selector, descriptor);
    if (status == Status.OK) {
      return FOUND;
    }
    return status == Status.FAULT && cpu.faultVector == Vector.GP ? Status.OK : status;
  }

  private boolean visible(int selector) {
    boolean ringless = descriptor.code() && descriptor.conforming();
    return ringless || Math.max(cpu.cpl, selector & Descriptor.RPL) <= descriptor.dpl();
  }

  private boolean systemType(boolean limit) {
    return switch (descriptor.type()) {
      case Descriptor.LDT, Descriptor.TSS_AVAILABLE, Descriptor.TSS_BUSY -> true;
      case Descriptor.TSS16_AVAILABLE, Descriptor.TSS16_BUSY -> !cpu.longMode();
      case Descriptor.CALL_GATE -> !limit;
      case Descriptor.CALL_GATE16, Descriptor.TASK_GATE -> !limit && !cpu.longMode();
      default -> false;
    };
  }

  private int flag(Instruction insn, boolean zero) {
    int flags = (int) cpu.rflags();
    cpu.setStatusFlags(zero ? flags | Rflags.ZF : flags & ~Rflags.ZF);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** 63 outside 64-bit mode: ARPL. */
  int adjustRpl(Instruction insn) {
    if (segments.paragraphs()) {
      return cpu.fault(Vector.UD);
    }
    int status = Status.OK;
    if (insn.isMemory()) {
      // Written only if it changes, as processors do: otherwise it may be read-only.
      status = operands.load(insn.segment, operands.effectiveAddress(insn), 2);
    } else {
      cpu.value = operands.register(insn, insn.rm, 2);
    }
    if (status < 0) {
      return status;
    }
    long selector = cpu.value;
    long rpl = cpu.regs[insn.reg] & Descriptor.RPL;
    boolean raise = (selector & Descriptor.RPL) < rpl;
    if (raise) {
      long raised = selector & ~(long) Descriptor.RPL | rpl;
      if (insn.isMemory()) {
        status = operands.store(insn.segment, operands.effectiveAddress(insn), 2, raised);
      } else {
        operands.setRegister(insn.rm, 2, raised);
      }
    }
    return status < 0 ? status : flag(insn, raise);
  }
}
