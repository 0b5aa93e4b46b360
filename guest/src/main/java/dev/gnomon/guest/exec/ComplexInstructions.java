package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/**
 * Executes the instructions that are not lowered to micro-ops, from their decoded form. Each is alone in its block: at
 * entry RIP is its own and the retired count exact. On OK, RIP names the next instruction, or the same one if a REP has
 * iterations left; on FAULT, EXIT or RESTART nothing is committed. Unknown opcodes are #UD.
 */
public final class ComplexInstructions {
  private final Cpu cpu;
  private final EventDelivery events;
  private final ControlTransfer transfers;
  private final ReturnTransfer returns;
  private final VirtualInterrupts virtual;
  private final NearTransfer near;
  private final FastSystemCalls fastCalls;
  private final ControlRegisters controls;
  private final DescriptorTables tables;
  private final SystemInstructions system;
  private final PortIo ports;
  private final SegmentInstructions segments;
  private final MultiSlotInstructions multiSlot;
  private final DecimalInstructions decimal;
  private final Fpu fpu;
  private final VectorState vectors;
  private final ExtendedState extended;

  public ComplexInstructions(Cpu cpu, LinearMemory linear, Operands operands, EventDelivery events, Debug debug) {
    this.cpu = cpu;
    this.events = events;
    SegmentLoader loader = new SegmentLoader(cpu, linear);
    this.transfers = new ControlTransfer(cpu, linear, operands, loader, events.tasks());
    this.virtual = new VirtualInterrupts(cpu, linear, operands, loader);
    this.returns = new ReturnTransfer(cpu, operands, loader, events.tasks(), virtual);
    this.near = new NearTransfer(cpu, operands);
    this.fastCalls = new FastSystemCalls(cpu);
    this.controls = new ControlRegisters(cpu, operands, debug);
    this.tables = new DescriptorTables(cpu, linear, operands, loader);
    this.system = new SystemInstructions(cpu, operands, new ModelRegisters(cpu), virtual);
    this.ports = new PortIo(cpu, linear, operands, debug);
    this.segments = new SegmentInstructions(cpu, operands, loader);
    this.multiSlot = new MultiSlotInstructions(cpu, linear, operands);
    this.decimal = new DecimalInstructions(cpu);
    this.fpu = new Fpu(cpu, linear, operands);
    this.vectors = new VectorState(cpu, linear, operands);
    this.extended = new ExtendedState(cpu, linear, operands);
  }

  /**
   * RIP behind an instruction: 64 bits in 64-bit mode, else 32. Running off the end of a 16-bit segment is a limit
   * violation at the next fetch.
   */
  static long nextRip(Cpu cpu, Instruction insn) {
    long next = cpu.rip + insn.length;
    return insn.mode64 ? next : next & 0xFFFF_FFFFL;
  }

  /** Moves RIP behind the instruction. @return OK */
  static int complete(Cpu cpu, Instruction insn) {
    cpu.rip = nextRip(cpu, insn);
    return Status.OK;
  }

  /** Operand size of pushes and pops: in 64-bit mode 8 bytes, or 2 with a prefix. */
  static int stackSize(Instruction insn) {
    return insn.mode64 && insn.operandSize == 4 ? 8 : insn.operandSize;
  }

  /** Executes one instruction, or one iteration of a repeated one. @return status */
  public int execute(Instruction insn) {
    int opcode = insn.opcode;
    return opcode < Instruction.MAP_0F ? oneByte(insn, opcode)
        : opcode < Instruction.MAP_0F38 ? twoByte(insn, opcode & 0xFF)
        : opcode == (Instruction.MAP_0F38 | 0x82) ? system.invalidatePcid(insn) : undefined();
  }

  private int undefined() {
    return cpu.fault(Vector.UD);
  }

  private int oneByte(Instruction insn, int opcode) {
    return switch (opcode) {
      case 0x06, 0x0E, 0x16, 0x1E -> segments.push(insn, opcode >> 3);
      case 0x07, 0x17, 0x1F -> segments.pop(insn, opcode >> 3);
      case 0x27, 0x2F -> decimal.adjustPacked(insn, opcode == 0x2F);
      case 0x37, 0x3F -> decimal.adjustUnpacked(insn, opcode == 0x3F);
      case 0x60 -> multiSlot.pushAll(insn);
      case 0x61 -> multiSlot.popAll(insn);
      case 0x62 -> multiSlot.bound(insn);
      case 0x63 -> tables.adjustRpl(insn);
      case 0x6C, 0x6D, 0x6E, 0x6F -> ports.string(insn);
      case 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x7B, 0x7C, 0x7D, 0x7E, 0x7F ->
          near.jumpIf(insn);
      case 0x8C -> segments.store(insn);
      case 0x8E -> segments.load(insn);
      case 0x90 -> insn.rep == 0xF3 ? system.pause(insn) : complete(cpu, insn);
      case 0x9A -> transfers.immediate(insn, true);
      case 0x9B -> fpu.fwait(insn);
      case 0x9C -> system.pushFlags(insn);
      case 0x9D -> system.popFlags(insn);
      case 0xC4 -> segments.loadPointer(insn, Segments.ES);
      case 0xC5 -> segments.loadPointer(insn, Segments.DS);
      case 0xC8 -> multiSlot.enter(insn);
      case 0xCA -> returns.farReturn(insn, (int) insn.immediate & 0xFFFF);
      case 0xCB -> returns.farReturn(insn, 0);
      case 0xCC -> events.software(Vector.BP, Vector.TYPE_SOFTWARE_EXCEPTION, insn.length);
      case 0xCD -> interrupt(insn);
      case 0xCE -> (cpu.rflags() & Rflags.OF) != 0
          ? events.software(Vector.OF, Vector.TYPE_SOFTWARE_EXCEPTION, insn.length) : complete(cpu, insn);
      case 0xCF -> returns.interruptReturn(insn);
      case 0xD4 -> decimal.splitDigits(insn);
      case 0xD5 -> decimal.joinDigits(insn);
      case 0xD6 -> setCarryByte(insn);
      case 0xD7 -> multiSlot.translateByte(insn);
      case 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF -> fpu.escape(insn);
      case 0xE0, 0xE1, 0xE2, 0xE3 -> near.loop(insn);
      case 0xE8 -> near.call(insn);
      case 0xE9, 0xEB -> near.jump(insn);
      case 0xE4, 0xE5, 0xE6, 0xE7, 0xEC, 0xED, 0xEE, 0xEF -> ports.transfer(insn);
      case 0xEA -> transfers.immediate(insn, false);
      case 0xF1 -> events.software(Vector.DB, Vector.TYPE_PRIVILEGED_SOFTWARE_EXCEPTION, insn.length);
      case 0xF4 -> system.halt(insn);
      case 0xFA -> system.clearInterrupts(insn);
      case 0xFB -> system.setInterrupts(insn);
      case 0xFF -> insn.group() == 4 ? near.jumpIndirect(insn)
          : insn.group() == 3 || insn.group() == 5 ? transfers.indirect(insn, insn.group() == 3) : undefined();
      default -> undefined();
    };
  }

  private int twoByte(Instruction insn, int opcode) {
    return switch (opcode) {
      case 0x00 -> tables.group6(insn);
      case 0x01 -> group7(insn);
      case 0x02, 0x03 -> tables.inspect(insn, opcode == 0x03);
      case 0x05 -> fastCalls.syscall(insn);
      case 0x06 -> controls.clearTaskSwitched(insn);
      case 0x07 -> fastCalls.sysret(insn);
      case 0x08, 0x09 -> system.invalidateCaches(insn, opcode == 0x09);
      case 0x0D, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F -> complete(cpu, insn);
      case 0x20 -> controls.moveFrom(insn);
      case 0x21, 0x23 -> controls.moveDebug(insn, opcode == 0x21);
      case 0x22 -> controls.moveTo(insn);
      case 0x30 -> system.writeMsr(insn);
      case 0x31 -> system.readTimeStamp(insn, false);
      case 0x32 -> system.readMsr(insn);
      case 0x33 -> system.readCounter(insn);
      case 0x34 -> fastCalls.sysenter();
      case 0x35 -> fastCalls.sysexit(insn);
      case 0x77 -> vectors.emms(insn);
      case 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F ->
          near.jumpIf(insn);
      case 0xA0 -> segments.push(insn, Segments.FS);
      case 0xA1 -> segments.pop(insn, Segments.FS);
      case 0xA2 -> system.cpuid(insn);
      case 0xA8 -> segments.push(insn, Segments.GS);
      case 0xA9 -> segments.pop(insn, Segments.GS);
      case 0xAE -> group15(insn);
      case 0xB2 -> segments.loadPointer(insn, Segments.SS);
      case 0xB4 -> segments.loadPointer(insn, Segments.FS);
      case 0xB5 -> segments.loadPointer(insn, Segments.GS);
      case 0xC7 -> insn.isMemory() && insn.group() == 4 && insn.rep == 0 && !insn.operandPrefix
          ? extended.saveCompacted(insn) : system.group9(insn);
      case 0xF7 -> vectors.maskedStore(insn);
      default -> undefined();
    };
  }

  /** User-mode instruction prevention: SGDT, SIDT, SLDT, STR and SMSW are #GP(0) outside ring 0. */
  private boolean forbidden() {
    return (cpu.cr4 & ControlRegister.CR4_UMIP) != 0 && cpu.cpl != 0;
  }

  /** 0F 01. */
  private int group7(Instruction insn) {
    int group = insn.group();
    if ((group == 4 || insn.isMemory() && group < 2) && forbidden()) {
      return cpu.fault(Vector.GP);
    }
    if (group == 4) {
      return controls.storeMachineStatus(insn);
    }
    if (group == 6) {
      return controls.loadMachineStatus(insn);
    }
    if (!insn.isMemory()) {
      return group7Register(insn, 0xC0 | group << 3 | insn.rm & 7);
    }
    return switch (group) {
      case 0 -> tables.store(insn, cpu.gdtrLimit, cpu.gdtrBase);
      case 1 -> tables.store(insn, cpu.idtrLimit, cpu.idtrBase);
      case 2, 3 -> tables.load(insn, group == 3);
      default -> undefined();
    };
  }

  /** 0F 01 with a register form. @param modrm the whole byte */
  private int group7Register(Instruction insn, int modrm) {
    return switch (modrm) {
      case 0xD0 -> extended.getControl(insn);
      case 0xD1 -> extended.setControl(insn);
      default -> system.group7Register(insn, modrm);
    };
  }

  /** 0F AE: FXSAVE and its kin, the fences, FSGSBASE, XSAVE and CLFLUSH and its kin. */
  private int group15(Instruction insn) {
    int group = insn.group();
    if (!insn.isMemory()) {
      return insn.rep == 0xF3 ? system.segmentBase(insn)
          : insn.rep == 0 && !insn.operandPrefix && group >= 5 ? complete(cpu, insn) : undefined();
    }
    if (insn.rep == 0 && !insn.operandPrefix && group < 4) {
      return vectors.group15(insn);
    }
    if (insn.rep == 0 && !insn.operandPrefix && group < 7) {
      return group == 5 ? extended.restore(insn)
          : group == 4 || cpu.cpuid.offers(Feature.XSAVEOPT) ? extended.save(insn, group == 6) : undefined();
    }
    boolean flush = insn.operandPrefix
        ? group == 7 && cpu.cpuid.offers(Feature.CLFLUSHOPT) || group == 6 && cpu.cpuid.offers(Feature.CLWB)
        : group == 7;
    if (!flush || insn.rep != 0) {
      return undefined();
    }
    // They are checked like a byte load; memory is coherent.
    int status = multiSlot.touch(insn);
    return status < 0 ? status : complete(cpu, insn);
  }

  private int interrupt(Instruction insn) {
    int vector = (int) insn.immediate & 0xFF;
    if (cpu.v86()) {
      int status = virtual.redirect(insn, vector);
      if (status != VirtualInterrupts.NOT_REDIRECTED) {
        return status;
      }
      if (cpu.iopl() < 3) {
        return cpu.fault(Vector.GP);
      }
    }
    return events.software(vector, Vector.TYPE_SOFTWARE_INTERRUPT, insn.length);
  }

  /** D6, SALC: AL = CF ? FFH : 0. */
  private int setCarryByte(Instruction insn) {
    long al = (cpu.rflags() & Rflags.CF) != 0 ? 0xFF : 0;
    cpu.regs[Cpu.RAX] = cpu.regs[Cpu.RAX] & ~0xFFL | al;
    return complete(cpu, insn);
  }
}
