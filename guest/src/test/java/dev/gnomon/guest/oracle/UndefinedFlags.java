package dev.gnomon.guest.oracle;

import static dev.gnomon.guest.cpu.Rflags.AF;
import static dev.gnomon.guest.cpu.Rflags.CF;
import static dev.gnomon.guest.cpu.Rflags.OF;
import static dev.gnomon.guest.cpu.Rflags.PF;
import static dev.gnomon.guest.cpu.Rflags.SF;
import static dev.gnomon.guest.cpu.Rflags.STATUS;
import static dev.gnomon.guest.cpu.Rflags.ZF;

/**
 * Status flags that the SDM (vol. 2, "Flags Affected") leaves undefined, by kind of instruction: the one place that
 * masks them.
 */
enum UndefinedFlags {
  /** All flags are defined or kept. */
  NONE,
  /** AND, OR, XOR, TEST: AF. */
  LOGIC,
  /**
   * SHL, SHR, SAR: AF, OF unless the count is 1, and CF if the count reaches the width (not SAR); a count of 0 changes
   * none.
   */
  SHIFT,
  SHIFT_ARITHMETIC,
  /** ROL, ROR, RCL, RCR: OF unless the count is 1. */
  ROTATE,
  /** SHLD, SHRD: AF, OF unless the count is 1; everything, the destination too, if the count exceeds the width. */
  DOUBLE_SHIFT,
  /** MUL, IMUL: all but CF and OF. */
  MULTIPLY,
  /** DIV, IDIV: all, after #DE too. */
  DIVIDE,
  /** BT, BTS, BTR, BTC: all but CF and ZF. */
  BIT_TEST,
  /** BSF, BSR: all but ZF. */
  BIT_SCAN,
  /** AAM, AAD: OF, AF, CF. */
  ASCII_MULTIPLY,
  /** AAA, AAS: OF, SF, ZF, PF. */
  ASCII_ADJUST,
  /** DAA, DAS: OF. */
  DECIMAL_ADJUST;

  /**
   * The flags undefined after an instruction.
   *
   * @param count shift count, not yet masked
   * @param width operand width in bits
   */
  int mask(int count, int width) {
    int masked = count & (width == 64 ? 63 : 31);
    return switch (this) {
      case NONE -> 0;
      case LOGIC -> AF;
      case SHIFT -> masked == 0 ? 0 : AF | (masked == 1 ? 0 : OF) | (masked >= width ? CF : 0);
      case SHIFT_ARITHMETIC -> masked == 0 ? 0 : AF | (masked == 1 ? 0 : OF);
      case ROTATE -> masked <= 1 ? 0 : OF;
      case DOUBLE_SHIFT -> masked == 0 ? 0 : masked > width ? STATUS : AF | (masked == 1 ? 0 : OF);
      case MULTIPLY -> SF | ZF | AF | PF;
      case DIVIDE -> STATUS;
      case BIT_TEST -> OF | SF | AF | PF;
      case BIT_SCAN -> STATUS & ~ZF;
      case ASCII_MULTIPLY -> OF | AF | CF;
      case ASCII_ADJUST -> OF | SF | ZF | PF;
      case DECIMAL_ADJUST -> OF;
    };
  }
}
