package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;

/**
 * DAA, DAS, AAA, AAS, AAM, AAD (SDM vol. 1, "Decimal Arithmetic Instructions"). Flags that the manual leaves undefined
 * are cleared.
 */
final class DecimalInstructions {
  private final Cpu cpu;

  DecimalInstructions(Cpu cpu) {
    this.cpu = cpu;
  }

  private boolean flag(int flag) {
    return (cpu.rflags() & flag) != 0;
  }

  private int al() {
    return (int) cpu.regs[Cpu.RAX] & 0xFF;
  }

  private void setAx(int ax) {
    cpu.regs[Cpu.RAX] = cpu.regs[Cpu.RAX] & ~0xFFFFL | ax & 0xFFFF;
  }

  /** Sets AL, and SF, ZF and PF from it. */
  private void setAl(int al, int carryFlags) {
    cpu.regs[Cpu.RAX] = cpu.regs[Cpu.RAX] & ~0xFFL | al & 0xFF;
    cpu.setStatusFlags(carryFlags | signZeroParity(al));
  }

  private static int signZeroParity(int al) {
    int b = al & 0xFF;
    return (b == 0 ? Rflags.ZF : 0) | (b >= 0x80 ? Rflags.SF : 0) | ((Integer.bitCount(b) & 1) == 0 ? Rflags.PF : 0);
  }

  /** 27 and 2F. */
  int adjustPacked(Instruction insn, boolean subtract) {
    int old = al();
    boolean oldCarry = flag(Rflags.CF);
    int sign = subtract ? -1 : 1;
    int al = old;
    int flags = 0;
    if ((old & 0xF) > 9 || flag(Rflags.AF)) {
      al += 6 * sign;
      flags = Rflags.AF | (oldCarry || (al & ~0xFF) != 0 ? Rflags.CF : 0);
    }
    if (old > 0x99 || oldCarry) {
      al += 0x60 * sign;
      flags |= Rflags.CF;
    } else if (!subtract) {
      flags &= ~Rflags.CF;
    }
    setAl(al, flags);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** 37 and 3F. */
  int adjustUnpacked(Instruction insn, boolean subtract) {
    int ax = (int) cpu.regs[Cpu.RAX] & 0xFFFF;
    int flags = 0;
    if ((ax & 0xF) > 9 || flag(Rflags.AF)) {
      ax += subtract ? -0x106 : 0x106;
      flags = Rflags.AF | Rflags.CF;
    }
    setAx(ax & 0xFF0F);
    cpu.setStatusFlags(flags | signZeroParity(ax & 0xF));
    return ComplexInstructions.complete(cpu, insn);
  }

  /** D4: AL into digits of a base; base 0 is #DE. */
  int splitDigits(Instruction insn) {
    int base = (int) insn.immediate & 0xFF;
    if (base == 0) {
      return cpu.fault(Vector.DE);
    }
    int al = al();
    setAx(al / base << 8);
    setAl(al % base, 0);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** D5: digits of a base into AL. */
  int joinDigits(Instruction insn) {
    int ax = (int) cpu.regs[Cpu.RAX] & 0xFFFF;
    int al = (ax & 0xFF) + (ax >> 8) * ((int) insn.immediate & 0xFF) & 0xFF;
    setAx(0);
    setAl(al, 0);
    return ComplexInstructions.complete(cpu, insn);
  }
}
