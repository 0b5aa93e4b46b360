package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.fp.X87Float;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * x87 loads and stores in all formats (SDM vol. 1, "x87 FPU Data Transfer Instructions"). A store that its page or an
 * unmasked exception refuses changes no register.
 */
final class FpuTransfers {
  private static final int EXTENDED_BYTES = 10;
  /** Bits 79..64 of a packed decimal: the sign and two digits, or all ones for the indefinite. */
  private static final int BCD_SIGN = 0x8000;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final FpuState state;
  private final X87Float unit = new X87Float();
  /** Bits 79..64 of what was loaded. */
  private int upper;

  FpuTransfers(Cpu cpu, LinearMemory linear, Operands operands, FpuState state) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.state = state;
  }

  /** Memory forms of D9, DB, DD and DF that exist and are no control instructions. */
  int memory(Instruction insn) {
    unit.control(cpu.fpuControl);
    return switch (insn.opcode << 4 | insn.group()) {
      case 0xD90 -> loadFloat(insn, 4);
      case 0xDD0 -> loadFloat(insn, 8);
      case 0xD92, 0xD93 -> storeFloat(insn, 4);
      case 0xDD2, 0xDD3 -> storeFloat(insn, 8);
      case 0xDB0 -> loadInteger(insn, 4);
      case 0xDF0 -> loadInteger(insn, 2);
      case 0xDF5 -> loadInteger(insn, 8);
      case 0xDB1, 0xDB2, 0xDB3 -> storeInteger(insn, 4);
      case 0xDF1, 0xDF2, 0xDF3 -> storeInteger(insn, 2);
      case 0xDD1, 0xDF7 -> storeInteger(insn, 8);
      case 0xDB5, 0xDF4 -> loadTen(insn);
      default -> storeTen(insn);
    };
  }

  /** Pushes a value; an indefinite one in its stead if the stack is full. */
  private int push(int signExponent, long significand) {
    if (!state.empty(-1)) {
      if (state.stackFault(true)) {
        state.push(X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
      }
      return Status.OK;
    }
    state.accept(unit);
    // An unmasked denormal operand is loaded all the same.
    if ((unit.flags & ~cpu.fpuControl & X87Float.INVALID) == 0) {
      state.push(signExponent, significand);
    }
    return Status.OK;
  }

  private int loadFloat(Instruction insn, int size) {
    int status = operands.loadRm(insn, size);
    if (status < 0) {
      return status;
    }
    if (size == 4) {
      unit.secondSingle((int) cpu.value);
    } else {
      unit.secondDouble(cpu.value);
    }
    unit.load();
    return push(unit.signExponent(), unit.significand());
  }

  private int loadInteger(Instruction insn, int size) {
    int status = operands.loadRm(insn, size);
    if (status < 0) {
      return status;
    }
    unit.secondInteger(Operands.signExtend(cpu.value, size));
    unit.load();
    return push(unit.signExponent(), unit.significand());
  }

  private int storeFloat(Instruction insn, int size) {
    boolean masked = (cpu.fpuControl & X87Float.INVALID) != 0;
    boolean empty = state.empty(0);
    if (empty && !masked) {
      state.stackFault(false);
      return Status.OK;
    }
    unit.first(empty ? X87Float.INDEFINITE_EXPONENT : state.exponent(0), empty ? X87Float.INDEFINITE
        : state.significand(0));
    long bits = size == 4 ? unit.toSingle() : unit.toDouble();
    return finish(insn, size, bits, empty, insn.group() == 3);
  }

  /** FIST, FISTP, and FISTTP, which truncates. */
  private int storeInteger(Instruction insn, int size) {
    boolean truncates = insn.group() == 1;
    boolean masked = (cpu.fpuControl & X87Float.INVALID) != 0;
    boolean empty = state.empty(0);
    if (empty && !masked) {
      state.stackFault(false);
      return Status.OK;
    }
    unit.first(empty ? X87Float.INDEFINITE_EXPONENT : state.exponent(0), empty ? X87Float.INDEFINITE
        : state.significand(0));
    long value = truncates ? unit.toTruncatedInteger(8 * size) : unit.toInteger(8 * size);
    return finish(insn, size, value, empty, insn.group() != 2);
  }

  /** Stores unless an unmasked exception, precision apart, forbids it, and then sets flags. */
  private int finish(Instruction insn, int size, long bits, boolean empty, boolean pop) {
    int unmasked = unit.flags & ~cpu.fpuControl & ~X87Float.PRECISION;
    if (unmasked == 0) {
      int status = operands.storeRm(insn, size, bits);
      if (status < 0) {
        return status;
      }
    } else {
      // Nothing was rounded.
      unit.flags &= ~X87Float.PRECISION;
    }
    if (empty) {
      state.stackFault(false);
    } else {
      state.accept(unit);
    }
    if (unmasked == 0 && pop) {
      state.pop();
    }
    return Status.OK;
  }

  /** FLD m80 and FBLD. */
  private int loadTen(Instruction insn) {
    int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), EXTENDED_BYTES, false);
    @Gva long gva = cpu.linear;
    if (status == Status.OK) {
      status = Operands.aligned(cpu, gva, 8);
    }
    if (status == Status.OK) {
      status = linear.probe(gva, EXTENDED_BYTES, cpu.mmu.dataAccess);
    }
    if (status == Status.OK) {
      status = linear.load(gva + 8, 2);
      upper = (int) cpu.value;
    }
    if (status == Status.OK) {
      status = linear.load(gva, 8);
    }
    if (status < 0) {
      return status;
    }
    if (insn.opcode == 0xDB) {
      return push(upper, cpu.value);
    }
    long digits = cpu.value;
    long magnitude = (upper >> 4 & 15) * 10L + (upper & 15);
    for (int i = 15; i >= 0; i--) {
      magnitude = magnitude * 10 + (digits >>> 4 * i & 15);
    }
    unit.secondInteger(magnitude);
    unit.load();
    return push(unit.signExponent() | upper & BCD_SIGN, unit.significand());
  }

  /** FSTP m80 and FBSTP. */
  private int storeTen(Instruction insn) {
    boolean masked = (cpu.fpuControl & X87Float.INVALID) != 0;
    boolean empty = state.empty(0);
    if (empty && !masked) {
      state.stackFault(false);
      return Status.OK;
    }
    int high = empty ? X87Float.INDEFINITE_EXPONENT : state.exponent(0);
    long low = empty ? X87Float.INDEFINITE : state.significand(0);
    if (insn.opcode == 0xDF) {
      unit.first(high, low);
      low = unit.toDigits();
      if (low < 0 && (unit.flags & X87Float.INVALID) != 0) {
        high = X87Float.INDEFINITE_EXPONENT;
        low = X87Float.INDEFINITE;
      } else {
        high = unit.topDigits | (unit.firstNegative() ? BCD_SIGN : 0);
      }
    }
    int unmasked = unit.flags & ~cpu.fpuControl & ~X87Float.PRECISION;
    if (unmasked == 0) {
      int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), EXTENDED_BYTES, true);
      @Gva long gva = cpu.linear;
      if (status == Status.OK) {
        status = Operands.aligned(cpu, gva, 8);
      }
      if (status == Status.OK) {
        status = linear.probe(gva, EXTENDED_BYTES, cpu.mmu.dataAccess | Access.WRITE);
      }
      if (status == Status.OK) {
        status = linear.store(gva, 8, low);
      }
      if (status == Status.OK) {
        status = linear.store(gva + 8, 2, high);
      }
      if (status < 0) {
        return status;
      }
    }
    if (empty) {
      state.stackFault(false);
    } else {
      state.accept(unit);
    }
    if (unmasked == 0) {
      state.pop();
    }
    return Status.OK;
  }
}
