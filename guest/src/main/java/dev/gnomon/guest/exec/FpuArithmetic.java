package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Flags;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.fp.X87Float;
import dev.gnomon.guest.mmu.Status;

/**
 * x87 arithmetic, comparisons and stack instructions (SDM vol. 2, by instruction). An unmasked exception of the
 * operands leaves the stack as it was.
 */
final class FpuArithmetic {
  // Operations of D8 in ModRM.reg.
  private static final int ADD = 0;
  private static final int MULTIPLY = 1;
  private static final int COMPARE = 2;
  private static final int COMPARE_POP = 3;
  private static final int SUBTRACT = 4;
  private static final int SUBTRACT_REVERSED = 5;
  private static final int DIVIDE = 6;

  private static final int SIGN = 0x8000;
  private static final int EXPONENT = 0x7FFF;
  private static final int UNORDERED = FpuWord.C3 | FpuWord.C2 | FpuWord.C0;

  private final Cpu cpu;
  private final Operands operands;
  private final FpuState state;
  private final X87Float unit = new X87Float();

  FpuArithmetic(Cpu cpu, Operands operands, FpuState state) {
    this.cpu = cpu;
    this.operands = operands;
    this.state = state;
  }

  /** Memory forms of D8, DA, DC and DE: ST(0) with a single, a doubleword, a double or a word. */
  int memory(Instruction insn) {
    int size = insn.opcode == 0xDC ? 8 : insn.opcode == 0xDE ? 2 : 4;
    int status = operands.loadRm(insn, size);
    if (status < 0) {
      return status;
    }
    unit.control(cpu.fpuControl);
    switch (insn.opcode) {
      case 0xD8 -> unit.secondSingle((int) cpu.value);
      case 0xDC -> unit.secondDouble(cpu.value);
      default -> unit.secondInteger(Operands.signExtend(cpu.value, size));
    }
    int operation = insn.group();
    boolean compares = operation == COMPARE || operation == COMPARE_POP;
    if (state.empty(0)) {
      underflow(compares, 0, operation == COMPARE_POP ? 1 : 0);
      return Status.OK;
    }
    unit.first(state.exponent(0), state.significand(0));
    if (compares) {
      compare(true, operation == COMPARE_POP ? 1 : 0);
    } else {
      compute(operation);
      write(0, 0);
    }
    return Status.OK;
  }

  /** Masked stack underflow: the indefinite goes to a register, or a comparison is unordered. */
  private void underflow(boolean compares, int to, int pops) {
    boolean masked = state.stackFault(false);
    if (compares) {
      state.conditions(UNORDERED);
    }
    if (!masked) {
      return;
    }
    if (!compares) {
      state.set(to, X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
    }
    pop(pops);
  }

  private void pop(int count) {
    for (int i = 0; i < count; i++) {
      state.pop();
    }
  }

  /** The operation of D8's ModRM.reg on the unit's operands. */
  private void compute(int operation) {
    if (operation == SUBTRACT_REVERSED || operation > DIVIDE) {
      unit.swap();
    }
    switch (operation) {
      case ADD -> unit.add(false);
      case MULTIPLY -> unit.multiply();
      case SUBTRACT, SUBTRACT_REVERSED -> unit.add(true);
      default -> unit.divide();
    }
  }

  private void write(int to, int pops) {
    if (state.accept(unit)) {
      state.set(to, unit.signExponent(), unit.significand());
      pop(pops);
    }
  }

  /** FCOM and FUCOM: the outcome in C3, C2 and C0, set even by an unmasked exception, as on Intel processors. */
  private void compare(boolean signaling, int pops) {
    int order = unit.order(signaling);
    state.conditions(switch (order) {
      case X87Float.LESS -> FpuWord.C0;
      case X87Float.EQUAL -> FpuWord.C3;
      case X87Float.GREATER -> 0;
      default -> UNORDERED;
    });
    pop(state.raise(unit) ? pops : 0);
  }

  /** Register forms of D8, DA, DB, DC, DE and DF, and FUCOM: two registers. */
  void registers(int opcode, int group, int i) {
    unit.control(cpu.fpuControl);
    switch (opcode) {
      case 0xDA -> {
        if (group == 5) {
          compareRegisters(1, false, 2);
        } else {
          conditionalMove(group, i, true);
        }
      }
      case 0xDB -> {
        if (group < 4) {
          conditionalMove(group, i, false);
        } else {
          compareToFlags(i, group == 6, 0);
        }
      }
      case 0xDD -> compareRegisters(i, false, group == 5 ? 1 : 0);
      case 0xDF -> compareToFlags(i, group == 6, 1);
      default -> {
        int pops = opcode == 0xDE ? 1 : 0;
        if (group == COMPARE || group == COMPARE_POP) {
          compareRegisters(i, true, opcode == 0xDE && group == COMPARE_POP ? 2 : pops | group & 1);
        } else {
          // DC and DE write ST(i), and have the reversed operations the other way round.
          boolean toOther = opcode != 0xD8;
          operate(toOther ? i : 0, i, toOther && group >= SUBTRACT ? group ^ 1 : group, toOther, pops);
        }
      }
    }
  }

  private void operate(int to, int i, int operation, boolean toOther, int pops) {
    if (state.empty(0) || state.empty(i)) {
      underflow(false, to, pops);
      return;
    }
    unit.first(state.exponent(toOther ? i : 0), state.significand(toOther ? i : 0));
    unit.second(state.exponent(toOther ? 0 : i), state.significand(toOther ? 0 : i));
    compute(operation);
    write(to, pops);
  }

  private void compareRegisters(int i, boolean signaling, int pops) {
    if (state.empty(0) || state.empty(i)) {
      underflow(true, 0, pops);
      return;
    }
    unit.first(state.exponent(0), state.significand(0));
    unit.second(state.exponent(i), state.significand(i));
    compare(signaling, pops);
  }

  /**
   * FCOMI, FUCOMI: the outcome in ZF, PF and CF, the other status flags 0. They are set even by an unmasked exception,
   * as on Intel processors.
   */
  private void compareToFlags(int i, boolean signaling, int pops) {
    if (state.empty(0) || state.empty(i)) {
      cpu.setStatusFlags(Rflags.ZF | Rflags.PF | Rflags.CF);
      pop(state.stackFault(false) ? pops : 0);
      return;
    }
    unit.first(state.exponent(0), state.significand(0));
    unit.second(state.exponent(i), state.significand(i));
    int order = unit.order(signaling);
    cpu.setStatusFlags(switch (order) {
      case X87Float.LESS -> Rflags.CF;
      case X87Float.EQUAL -> Rflags.ZF;
      case X87Float.GREATER -> 0;
      default -> Rflags.ZF | Rflags.PF | Rflags.CF;
    });
    pop(state.raise(unit) ? pops : 0);
  }

  /** FCMOVcc by B, E, BE, U or their opposites. */
  private void conditionalMove(int kind, int i, boolean wanted) {
    boolean holds = switch (kind) {
      case 0 -> Flags.condition(2, cpu.flagResult, cpu.flagCarries);
      case 1 -> Flags.condition(4, cpu.flagResult, cpu.flagCarries);
      case 2 -> Flags.condition(6, cpu.flagResult, cpu.flagCarries);
      default -> Flags.condition(10, cpu.flagResult, cpu.flagCarries);
    };
    if (state.empty(0) || state.empty(i)) {
      underflow(false, 0, 0);
      return;
    }
    if (holds == wanted) {
      state.set(0, state.exponent(i), state.significand(i));
    }
  }

  /** D9, and the moves of DD and DF: instructions on the stack's top. */
  void stack(int opcode, int group, int i) {
    unit.control(cpu.fpuControl);
    if (opcode == 0xD9 && group >= 4) {
      switch (group) {
        case 4 -> signs(i);
        case 5 -> constant(i);
        default -> functions(group << 3 | i);
      }
      return;
    }
    if (opcode == 0xD9 && group == 2) {
      // FNOP.
      return;
    }
    // Where the manual leaves C1 undefined, processors clear it.
    state.roundedUp(false);
    switch (opcode << 4 | group) {
      case 0xD90 -> pushCopy(i);
      case 0xD91, 0xDD1, 0xDF1 -> exchange(i);
      case 0xDD0 -> state.free(i);
      case 0xDF0 -> {
        state.free(i);
        state.pop();
      }
      // An alias of FSTP that copies no empty register, and does not mind one.
      case 0xD93 -> {
        if (!state.empty(0)) {
          state.set(i, state.exponent(0), state.significand(0));
        }
        state.pop();
      }
      default -> copy(i, opcode != 0xDD || group == 3);
    }
  }

  private void pushCopy(int i) {
    boolean full = !state.empty(-1);
    if (full || state.empty(i)) {
      if (state.stackFault(!state.empty(i))) {
        state.push(X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
      }
      return;
    }
    state.roundedUp(false);
    state.push(state.exponent(i), state.significand(i));
  }

  private void exchange(int i) {
    boolean empty = state.empty(0) || state.empty(i);
    if (empty) {
      if (!state.stackFault(false)) {
        return;
      }
      for (int register = 0; register <= i; register += Math.max(1, i)) {
        if (state.empty(register)) {
          state.set(register, X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
        }
      }
    } else {
      state.roundedUp(false);
    }
    int exponent = state.exponent(0);
    long significand = state.significand(0);
    state.set(0, state.exponent(i), state.significand(i));
    state.set(i, exponent, significand);
  }

  /** FST and FSTP to a register. */
  private void copy(int i, boolean pop) {
    if (state.empty(0)) {
      underflow(false, i, pop ? 1 : 0);
      return;
    }
    state.roundedUp(false);
    state.set(i, state.exponent(0), state.significand(0));
    pop(pop ? 1 : 0);
  }

  /** FCHS, FABS, FTST, FXAM. */
  private void signs(int i) {
    if (i == 5) {
      examine();
      return;
    }
    if (state.empty(0)) {
      underflow(i == 4, 0, 0);
      return;
    }
    if (i == 4) {
      unit.first(state.exponent(0), state.significand(0));
      unit.second(0, 0);
      compare(true, 0);
      return;
    }
    state.roundedUp(false);
    state.set(0, i == 0 ? state.exponent(0) ^ SIGN : state.exponent(0) & EXPONENT, state.significand(0));
  }

  private void examine() {
    int exponent = state.exponent(0) & EXPONENT;
    long significand = state.significand(0);
    int kind;
    if (state.empty(0)) {
      kind = FpuWord.C3 | FpuWord.C0;
    } else if (exponent == 0) {
      kind = significand == 0 ? FpuWord.C3 : FpuWord.C3 | FpuWord.C2;
    } else if (significand >= 0) {
      kind = 0;
    } else if (exponent == EXPONENT) {
      kind = significand << 1 == 0 ? FpuWord.C2 | FpuWord.C0 : FpuWord.C0;
    } else {
      kind = FpuWord.C2;
    }
    state.conditions(kind | ((state.exponent(0) & SIGN) != 0 ? FpuWord.C1 : 0));
  }

  /** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ: rounded as the control word tells, without an exception. */
  private void constant(int which) {
    if (!state.empty(-1)) {
      if (state.stackFault(true)) {
        state.push(X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
      }
      return;
    }
    switch (which) {
      case 0 -> unit.exactConstant(1);
      case 1 -> unit.constant(1, 0xD49A_784B_CD1B_8AFEL, false);
      case 2 -> unit.constant(0, 0xB8AA_3B29_5C17_F0BBL, true);
      case 3 -> unit.constant(1, 0xC90F_DAA2_2168_C234L, true);
      case 4 -> unit.constant(-2, 0x9A20_9A84_FBCF_F798L, true);
      case 5 -> unit.constant(-1, 0xB172_17F7_D1CF_79ABL, true);
      default -> unit.exactConstant(0);
    }
    state.roundedUp(false);
    state.push(unit.signExponent(), unit.significand());
  }

  /** D9 F4 to FD but for the transcendental ones. */
  private void functions(int number) {
    switch (number) {
      case 0x36 -> {
        state.turn(-1);
        state.roundedUp(false);
        return;
      }
      case 0x37 -> {
        state.turn(1);
        state.roundedUp(false);
        return;
      }
      default -> { }
    }
    boolean remainder = number == 0x35 || number == 0x38;
    if (remainder) {
      // Complete, unless told otherwise.
      cpu.fpuStatus &= ~FpuWord.C2;
    }
    boolean two = remainder || number == 0x3D;
    if (state.empty(0) || two && state.empty(1)) {
      if (number == 0x34) {
        extractFromEmpty();
      } else {
        underflow(false, 0, 0);
      }
      return;
    }
    unit.first(state.exponent(0), state.significand(0));
    if (two) {
      unit.second(state.exponent(1), state.significand(1));
    }
    switch (number) {
      case 0x34 -> extract();
      case 0x35, 0x38 -> remainder(number == 0x35);
      case 0x3A -> {
        unit.squareRoot();
        write(0, 0);
      }
      case 0x3C -> {
        unit.roundToInteger();
        write(0, 0);
      }
      default -> {
        unit.scale();
        write(0, 0);
      }
    }
  }

  private void extractFromEmpty() {
    if (state.stackFault(false)) {
      state.set(0, X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
      state.push(X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
    }
  }

  private void extract() {
    if (!state.empty(-1)) {
      if (state.stackFault(true)) {
        state.set(0, X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
        state.push(X87Float.INDEFINITE_EXPONENT, X87Float.INDEFINITE);
      }
      return;
    }
    unit.extractExponent();
    if (!state.accept(unit)) {
      return;
    }
    int exponent = unit.signExponent();
    long significand = unit.significand();
    unit.first(state.exponent(0), state.significand(0));
    unit.extractSignificand();
    state.set(0, exponent, significand);
    state.push(unit.signExponent(), unit.significand());
  }

  private void remainder(boolean nearest) {
    unit.remainder(nearest);
    int q = unit.quotient;
    boolean written = state.accept(unit);
    if (written) {
      state.set(0, unit.signExponent(), unit.significand());
    }
    if (written && q != X87Float.NO_QUOTIENT) {
      state.conditions(q < 0 ? FpuWord.C2
          : ((q & 4) != 0 ? FpuWord.C0 : 0) | ((q & 2) != 0 ? FpuWord.C3 : 0) | ((q & 1) != 0 ? FpuWord.C1 : 0));
    }
  }
}
