package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Mxcsr;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.VectorOp;
import dev.gnomon.guest.fp.SseFloat;
import dev.gnomon.guest.mmu.Status;

/**
 * SSE to SSE4.1 floating point over the lanes of a register. Exceptions of all lanes are gathered first; an unmasked
 * one of those found before computing hides the others, and the destination is not written (SDM vol. 1, "SSE and SSE2
 * SIMD Floating-Point Exception Conditions").
 */
final class VectorFloats {
  private static final long LOW32 = 0xFFFF_FFFFL;

  private final Cpu cpu;
  private final long[] xmm;
  private final SseFloat unit = new SseFloat();
  /** Result for an MMX register. */
  long result;

  VectorFloats(Cpu cpu) {
    this.cpu = cpu;
    this.xmm = cpu.xmm;
  }

  /**
   * Runs one operation.
   *
   * @param d number of the target register
   * @param low bits 63..0 of the source, 127..64 in {@code high}
   */
  int run(int op, int d, long low, long high) {
    unit.control(cpu.mxcsr);
    return switch (VectorOp.opcode(op)) {
      case 0x2A -> fromIntegers(op, d, low);
      case 0x2C, 0x2D -> toIntegers(op, d, low, high);
      case 0x2E, 0x2F -> order(op, d, low);
      case 0x5A -> convert(op, d, low, high);
      case 0x5B -> convertDoublewords(op, d, low, high);
      case 0x7C, 0x7D -> horizontal(op, d, low, high);
      case 0xC2 -> compare(op, d, low, high);
      case 0xD0 -> addSubtract(op, d, low, high);
      case 0xE6 -> convertDoubles(op, d, low, high);
      default -> arithmetic(op, d, low, high);
    };
  }

  /** Sets the flags raised. @return OK, or the fault of an unmasked one */
  private int raise() {
    int raised = unit.flags;
    if (raised == 0) {
      return Status.OK;
    }
    int unmasked = raised & ~unit.masks;
    if ((unmasked & Mxcsr.PRE_COMPUTATION) != 0) {
      raised &= Mxcsr.PRE_COMPUTATION;
    }
    cpu.mxcsr |= raised;
    if (unmasked == 0) {
      return Status.OK;
    }
    return cpu.fault((cpu.cr4 & ControlRegister.CR4_OSXMMEXCPT) != 0 ? Vector.XM : Vector.UD);
  }

  private int write(int d, long low, long high) {
    int status = raise();
    if (status == Status.OK) {
      xmm[2 * d] = low;
      xmm[2 * d + 1] = high;
    }
    return status;
  }

  private int writeGeneral(int d, long value) {
    int status = raise();
    if (status == Status.OK) {
      cpu.regs[d] = value;
    }
    return status;
  }

  private int writeMmx(long value) {
    result = value;
    return raise();
  }

  private int arithmetic(int op, int d, long low, long high) {
    int operation = VectorOp.opcode(op);
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    return switch (VectorOp.prefix(op)) {
      case VectorOp.NO_PREFIX -> write(d, singles(operation, a, low), singles(operation, b, high));
      case VectorOp.PREFIX_66 -> write(d, unit.operate(operation, false, a, low),
          unit.operate(operation, false, b, high));
      case VectorOp.PREFIX_F3 -> write(d, a & ~LOW32 | unit.operate(operation, true, a & LOW32, low & LOW32), b);
      default -> write(d, unit.operate(operation, false, a, low), b);
    };
  }

  private long singles(int operation, long a, long b) {
    return unit.operate(operation, true, a & LOW32, b & LOW32)
        | unit.operate(operation, true, a >>> 32, b >>> 32) << 32;
  }

  /** HADDPS, HADDPD, HSUBPS, HSUBPD: neighbours with each other. */
  private int horizontal(int op, int d, long low, long high) {
    int operation = VectorOp.opcode(op) == 0x7C ? SseFloat.ADD : SseFloat.SUB;
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    if (VectorOp.prefix(op) == VectorOp.PREFIX_66) {
      return write(d, unit.operate(operation, false, a, b), unit.operate(operation, false, low, high));
    }
    return write(d, neighbours(operation, a) | neighbours(operation, b) << 32,
        neighbours(operation, low) | neighbours(operation, high) << 32);
  }

  private long neighbours(int operation, long pair) {
    return unit.operate(operation, true, pair & LOW32, pair >>> 32);
  }

  /** ADDSUBPS, ADDSUBPD: even lanes are subtracted, odd ones added. */
  private int addSubtract(int op, int d, long low, long high) {
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    if (VectorOp.prefix(op) == VectorOp.PREFIX_66) {
      return write(d, unit.operate(SseFloat.SUB, false, a, low), unit.operate(SseFloat.ADD, false, b, high));
    }
    return write(d, addSubtract(a, low), addSubtract(b, high));
  }

  private long addSubtract(long a, long b) {
    return unit.operate(SseFloat.SUB, true, a & LOW32, b & LOW32)
        | unit.operate(SseFloat.ADD, true, a >>> 32, b >>> 32) << 32;
  }

  /** ROUNDPS 08, ROUNDPD 09, ROUNDSS 0A, ROUNDSD 0B. */
  int round(int op, int d, long low, long high) {
    unit.control(cpu.mxcsr);
    int control = VectorOp.immediate(op);
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    return switch (VectorOp.opcode(op)) {
      case 0x08 -> write(d, roundSingles(control, low), roundSingles(control, high));
      case 0x09 -> write(d, unit.toIntegral(false, control, low), unit.toIntegral(false, control, high));
      case 0x0A -> write(d, a & ~LOW32 | unit.toIntegral(true, control, low & LOW32), b);
      default -> write(d, unit.toIntegral(false, control, low), b);
    };
  }

  private long roundSingles(int control, long pair) {
    return unit.toIntegral(true, control, pair & LOW32) | unit.toIntegral(true, control, pair >>> 32) << 32;
  }

  /**
   * DPPS 40 and DPPD 41: products of the lanes that bits 7..4 of the immediate name, their sum to those that bits 3..0
   * name. Exceptions come step by step: an unmasked one ends the instruction before the next step's are found.
   */
  int dotProduct(int op, int d, long low, long high) {
    unit.control(cpu.mxcsr);
    int control = VectorOp.immediate(op);
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    if (VectorOp.opcode(op) == 0x41) {
      long first = product(false, control >> 4, a, low);
      long second = product(false, control >> 5, b, high);
      if (raise() != Status.OK) {
        return Status.FAULT;
      }
      unit.flags = 0;
      // Each lane has a sum of its own, whose order decides among NaNs.
      long lower = unit.operate(SseFloat.ADD, false, first, second);
      long upper = unit.operate(SseFloat.ADD, false, second, first);
      return write(d, (control & 1) != 0 ? lower : 0, (control & 2) != 0 ? upper : 0);
    }
    long p = product(true, control >> 4, a & LOW32, low & LOW32);
    long q = product(true, control >> 5, a >>> 32, low >>> 32);
    long r = product(true, control >> 6, b & LOW32, high & LOW32);
    long s = product(true, control >> 7, b >>> 32, high >>> 32);
    if (raise() != Status.OK) {
      return Status.FAULT;
    }
    unit.flags = 0;
    long first = pairSum(q, p);
    long second = pairSum(p, q);
    long third = pairSum(s, r);
    long fourth = pairSum(r, s);
    if (raise() != Status.OK) {
      return Status.FAULT;
    }
    unit.flags = 0;
    return write(d, sum(control, 1, first, third) | sum(control, 2, second, fourth) << 32,
        sum(control, 4, third, first) | sum(control, 8, fourth, second) << 32);
  }

  private long pairSum(long x, long y) {
    return unit.operate(SseFloat.ADD, true, x, y);
  }

  /** A lane of the result: the sum if a bit of the immediate asks for it, else 0; it is computed either way. */
  private long sum(int control, int bit, long x, long y) {
    long sum = pairSum(x, y);
    return (control & bit) != 0 ? sum : 0;
  }

  /** The product, or +0 if the lowest bit does not want it. */
  private long product(boolean single, int wanted, long x, long y) {
    return (wanted & 1) != 0 ? unit.operate(SseFloat.MUL, single, x, y) : 0;
  }

  private int compare(int op, int d, long low, long high) {
    int predicate = VectorOp.immediate(op) & 7;
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    return switch (VectorOp.prefix(op)) {
      case VectorOp.NO_PREFIX -> write(d, compareSingles(predicate, a, low), compareSingles(predicate, b, high));
      case VectorOp.PREFIX_66 -> write(d, mask(unit.holds(predicate, false, a, low)),
          mask(unit.holds(predicate, false, b, high)));
      case VectorOp.PREFIX_F3 -> write(d, a & ~LOW32 | mask(unit.holds(predicate, true, a, low)) & LOW32, b);
      default -> write(d, mask(unit.holds(predicate, false, a, low)), b);
    };
  }

  private long compareSingles(int predicate, long a, long b) {
    return mask(unit.holds(predicate, true, a, b)) & LOW32 | mask(unit.holds(predicate, true, a >>> 32,
        b >>> 32)) << 32;
  }

  private static long mask(boolean holds) {
    return holds ? -1 : 0;
  }

  /** UCOMIS and COMIS: the outcome in ZF, PF and CF, the other status flags 0. */
  private int order(int op, int d, long low) {
    boolean signaling = VectorOp.opcode(op) == 0x2F;
    int order = unit.order(signaling, VectorOp.prefix(op) == VectorOp.NO_PREFIX, xmm[2 * d], low);
    int status = raise();
    if (status == Status.OK) {
      cpu.setStatusFlags(switch (order) {
        case SseFloat.LESS -> Rflags.CF;
        case SseFloat.EQUAL -> Rflags.ZF;
        case SseFloat.GREATER -> 0;
        default -> Rflags.ZF | Rflags.PF | Rflags.CF;
      });
    }
    return status;
  }

  /** CVTPI2PS, CVTPI2PD, CVTSI2SS, CVTSI2SD. */
  private int fromIntegers(int op, int d, long low) {
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    long integer = (op & VectorOp.WIDE) != 0 ? low : (int) low;
    return switch (VectorOp.prefix(op)) {
      case VectorOp.NO_PREFIX -> write(d, integersToSingles(low), b);
      case VectorOp.PREFIX_66 -> write(d, unit.fromInteger(false, (int) low), unit.fromInteger(false, low >> 32));
      case VectorOp.PREFIX_F3 -> write(d, a & ~LOW32 | unit.fromInteger(true, integer), b);
      default -> write(d, unit.fromInteger(false, integer), b);
    };
  }

  /** CVTPS2PI, CVTPD2PI, CVTSS2SI, CVTSD2SI and their truncating forms. */
  private int toIntegers(int op, int d, long low, long high) {
    boolean truncate = VectorOp.opcode(op) == 0x2C;
    int width = (op & VectorOp.WIDE) != 0 ? 64 : 32;
    long mask = -1L >>> 64 - width;
    return switch (VectorOp.prefix(op)) {
      case VectorOp.NO_PREFIX -> writeMmx(singlesToIntegers(truncate, low));
      case VectorOp.PREFIX_66 -> writeMmx(doublesToIntegers(truncate, low, high));
      case VectorOp.PREFIX_F3 -> writeGeneral(d, unit.toInteger(true, truncate, width, low) & mask);
      default -> writeGeneral(d, unit.toInteger(false, truncate, width, low) & mask);
    };
  }

  private long integersToSingles(long integers) {
    return unit.fromInteger(true, (int) integers) | unit.fromInteger(true, integers >> 32) << 32;
  }

  private long singlesToIntegers(boolean truncate, long singles) {
    return unit.toInteger(true, truncate, 32, singles) & LOW32
        | unit.toInteger(true, truncate, 32, singles >>> 32) << 32;
  }

  private long doublesToIntegers(boolean truncate, long low, long high) {
    return unit.toInteger(false, truncate, 32, low) & LOW32 | unit.toInteger(false, truncate, 32, high) << 32;
  }

  /** CVTPS2PD, CVTPD2PS, CVTSS2SD, CVTSD2SS. */
  private int convert(int op, int d, long low, long high) {
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    return switch (VectorOp.prefix(op)) {
      case VectorOp.NO_PREFIX -> write(d, unit.convert(true, low), unit.convert(true, low >>> 32));
      case VectorOp.PREFIX_66 -> write(d, unit.convert(false, low) | unit.convert(false, high) << 32, 0);
      case VectorOp.PREFIX_F3 -> write(d, unit.convert(true, low), b);
      default -> write(d, a & ~LOW32 | unit.convert(false, low), b);
    };
  }

  /** CVTDQ2PS, CVTPS2DQ, CVTTPS2DQ. */
  private int convertDoublewords(int op, int d, long low, long high) {
    if (VectorOp.prefix(op) == VectorOp.NO_PREFIX) {
      return write(d, integersToSingles(low), integersToSingles(high));
    }
    boolean truncate = VectorOp.prefix(op) == VectorOp.PREFIX_F3;
    return write(d, singlesToIntegers(truncate, low), singlesToIntegers(truncate, high));
  }

  /** CVTDQ2PD, CVTPD2DQ, CVTTPD2DQ. */
  private int convertDoubles(int op, int d, long low, long high) {
    if (VectorOp.prefix(op) == VectorOp.PREFIX_F3) {
      return write(d, unit.fromInteger(false, (int) low), unit.fromInteger(false, low >> 32));
    }
    return write(d, doublesToIntegers(VectorOp.prefix(op) == VectorOp.PREFIX_66, low, high), 0);
  }
}
