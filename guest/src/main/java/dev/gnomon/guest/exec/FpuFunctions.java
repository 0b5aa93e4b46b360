package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.fp.Transcendental;
import dev.gnomon.guest.fp.X87Float;

/** The transcendental x87 instructions: what they do to the stack; the numbers are {@link Transcendental}'s. */
final class FpuFunctions {
  // Second opcode bytes behind D9.
  private static final int F2XM1 = 0xF0;
  private static final int FYL2X = 0xF1;
  private static final int FPTAN = 0xF2;
  private static final int FPATAN = 0xF3;
  private static final int FYL2XP1 = 0xF9;
  private static final int FSINCOS = 0xFB;
  private static final int FSIN = 0xFE;
  private static final int FCOS = 0xFF;
  /** Sign and exponent, and significand, of 1. */
  private static final int ONE_EXPONENT = 0x3FFF;
  private static final long ONE = 1L << 63;

  private final Cpu cpu;
  private final FpuState state;
  private final X87Float unit = new X87Float();
  private final Transcendental functions = new Transcendental(unit);

  FpuFunctions(Cpu cpu, FpuState state) {
    this.cpu = cpu;
    this.state = state;
  }

  /** Whether a ModRM byte behind D9 is one of these. */
  static boolean is(int modrm) {
    return switch (modrm) {
      case F2XM1, FYL2X, FPTAN, FPATAN, FYL2XP1, FSINCOS, FSIN, FCOS -> true;
      default -> false;
    };
  }

  void run(int modrm) {
    unit.control(cpu.fpuControl);
    switch (modrm) {
      case FYL2X, FPATAN, FYL2XP1 -> two(modrm);
      case FPTAN, FSINCOS -> pushing(modrm == FPTAN);
      default -> one(modrm);
    }
  }

  /** A function of ST(0) and ST(1): the result goes to ST(1), and ST(0) is popped. */
  private void two(int modrm) {
    if (state.empty(0) || state.empty(1)) {
      if (state.stackFault(false)) {
        state.set(1, X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
        state.pop();
      }
      return;
    }
    unit.first(state.exponent(0), state.significand(0));
    unit.second(state.exponent(1), state.significand(1));
    switch (modrm) {
      case FYL2X -> functions.logarithm();
      case FPATAN -> functions.arcTangent();
      default -> functions.logarithmOfOneMore();
    }
    if (state.accept(unit)) {
      state.set(1, unit.signExponent(), unit.significand());
      state.pop();
    }
  }

  private void one(int modrm) {
    boolean trigonometric = modrm != F2XM1;
    if (trigonometric) {
      cpu.fpuStatus &= ~FpuWord.C2;
    }
    if (state.empty(0)) {
      if (state.stackFault(false)) {
        state.set(0, X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
      }
      return;
    }
    unit.first(state.exponent(0), state.significand(0));
    if (trigonometric && refused()) {
      return;
    }
    switch (modrm) {
      case F2XM1 -> functions.exponentialLessOne();
      case FSIN -> functions.sine();
      default -> functions.cosine();
    }
    if (state.accept(unit)) {
      state.set(0, unit.signExponent(), unit.significand());
    }
  }

  /** An argument out of range changes nothing but C2. */
  private boolean refused() {
    if (!functions.outOfRange()) {
      return false;
    }
    state.roundedUp(false);
    cpu.fpuStatus |= FpuWord.C2;
    return true;
  }

  /** FPTAN and FSINCOS: two results, the second one pushed; an invalid operand gives two NaNs. */
  private void pushing(boolean tangent) {
    cpu.fpuStatus &= ~FpuWord.C2;
    boolean underflow = state.empty(0);
    if (underflow || !state.empty(-1)) {
      if (state.stackFault(!underflow)) {
        state.set(0, X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
        state.push(X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
      }
      return;
    }
    int exponent = state.exponent(0);
    long significand = state.significand(0);
    unit.first(exponent, significand);
    if (refused()) {
      return;
    }
    if (tangent) {
      functions.tangent();
    } else {
      functions.sine();
    }
    int firstExponent = unit.signExponent();
    long first = unit.significand();
    boolean number = unit.isNumber();
    if (!tangent && number) {
      unit.first(exponent, significand);
      functions.cosine();
    }
    if (!state.accept(unit)) {
      return;
    }
    state.set(0, firstExponent, first);
    if (tangent && number) {
      state.push(ONE_EXPONENT, ONE);
    } else {
      state.push(unit.signExponent(), unit.significand());
    }
  }
}
