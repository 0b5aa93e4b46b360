package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * IN, OUT, INS and OUTS with the I/O permission check (SDM vol. 1, "I/O-Sensitive Instructions", "I/O Permission Bit
 * Map"). A string form does one iteration a call and leaves RIP in place while its count lasts. INS checks its
 * destination before it reads the port, so that a device is never read twice.
 */
final class PortIo {
  /** Offset of the bit map's own offset in a 32- or 64-bit TSS. */
  private static final int MAP_BASE = 102;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final Debug debug;

  PortIo(Cpu cpu, LinearMemory linear, Operands operands, Debug debug) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.debug = debug;
  }

  /** E4 to E7 and EC to EF. Bit 0 of the opcode: wide, bit 1: out, bit 3: port in DX. */
  int transfer(Instruction insn) {
    int size = (insn.opcode & 1) == 0 ? 1 : Math.min(4, insn.operandSize);
    boolean out = (insn.opcode & 2) != 0;
    boolean immediate = (insn.opcode & 8) == 0;
    int port = immediate ? (int) insn.immediate & 0xFF : (int) cpu.regs[Cpu.RDX] & 0xFFFF;
    int status = permit(port, size);
    if (status < 0) {
      return status;
    }
    if (exits()) {
      return cpu.vmExit(ExitReason.IO_INSTRUCTION, ExitQualification.io(port, size, !out, false, false, immediate),
          insn.length);
    }
    if (out) {
      cpu.bus.out(port, size, (int) Operands.zeroExtend(cpu.regs[Cpu.RAX], size));
    } else {
      operands.setRegister(Cpu.RAX, size, cpu.bus.in(port, size) & 0xFFFF_FFFFL);
    }
    debug.port(port, size);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** 6C to 6F. */
  int string(Instruction insn) {
    int size = (insn.opcode & 1) == 0 ? 1 : Math.min(4, insn.operandSize);
    boolean out = (insn.opcode & 2) != 0;
    int port = (int) cpu.regs[Cpu.RDX] & 0xFFFF;
    int status = permit(port, size);
    if (status < 0) {
      return status;
    }
    boolean repeated = insn.rep != 0;
    long count = Operands.zeroExtend(cpu.regs[Cpu.RCX], insn.addressSize);
    if (repeated && count == 0) {
      // Only now: a port that is not permitted is #GP(0) even so.
      return ComplexInstructions.complete(cpu, insn);
    }
    int index = out ? Cpu.RSI : Cpu.RDI;
    int segment = out ? insn.segment : Segments.ES;
    long offset = Operands.zeroExtend(cpu.regs[index], insn.addressSize);
    if (exits()) {
      cpu.vmExit(ExitReason.IO_INSTRUCTION, ExitQualification.io(port, size, !out, true, repeated, false), insn.length);
      cpu.exit.guestLinear = linearAddress(segment, offset);
      return Status.EXIT;
    }
    status = out ? outString(segment, offset, port, size) : inString(offset, port, size);
    if (status < 0) {
      return status;
    }
    debug.port(port, size);
    long step = (cpu.systemFlags & Rflags.DF) != 0 ? -size : size;
    operands.setRegister(index, insn.addressSize, offset + step);
    if (repeated) {
      operands.setRegister(Cpu.RCX, insn.addressSize, count - 1);
      if (count > 1) {
        return Status.OK;
      }
    }
    return ComplexInstructions.complete(cpu, insn);
  }

  private int outString(int segment, long offset, int port, int size) {
    int status = operands.load(segment, offset, size);
    if (status == Status.OK) {
      cpu.bus.out(port, size, (int) cpu.value);
    }
    return status;
  }

  private int inString(long offset, int port, int size) {
    int status = operands.probeStore(Segments.ES, offset, size);
    return status < 0 ? status : linear.store(cpu.linear, size, cpu.bus.in(port, size) & 0xFFFF_FFFFL);
  }

  private long linearAddress(int segment, long offset) {
    if (cpu.code64()) {
      return segment == Segments.FS || segment == Segments.GS ? cpu.base[segment] + offset : offset;
    }
    return cpu.base[segment] + offset & 0xFFFF_FFFFL;
  }

  private boolean exits() {
    return cpu.intercepts.enabled && cpu.intercepts.io;
  }

  /** I/O permission: by IOPL, else by the TSS' bit map; #GP(0) if refused. */
  private int permit(int port, int size) {
    if (!cpu.protectedMode() || !cpu.v86() && cpu.cpl <= cpu.iopl()) {
      return Status.OK;
    }
    int rights = cpu.rights[Segments.TR];
    long limit = cpu.limit[Segments.TR];
    if ((rights & Segments.UNUSABLE) != 0 || (rights & 8) == 0 || MAP_BASE + 1 > limit) {
      return cpu.fault(Vector.GP);
    }
    int status = readTask(MAP_BASE);
    if (status < 0) {
      return status;
    }
    long at = cpu.value + (port >> 3);
    // The byte behind is read too, because a port of several bytes can straddle it.
    if (at + 1 > limit) {
      return cpu.fault(Vector.GP);
    }
    status = readTask(at);
    if (status < 0) {
      return status;
    }
    long bits = (1L << size) - 1 << (port & 7);
    return (cpu.value & bits) == 0 ? Status.OK : cpu.fault(Vector.GP);
  }

  private int readTask(long offset) {
    long gva = cpu.base[Segments.TR] + offset;
    return linear.read(cpu.longMode() ? gva : gva & 0xFFFF_FFFFL, 2, Access.IMPLICIT);
  }
}
