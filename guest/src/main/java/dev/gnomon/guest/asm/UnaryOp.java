package dev.gnomon.guest.asm;

/** Operations on one register or memory operand, with the opcode and number of their group (SDM groups 3 and 4/5). */
public enum UnaryOp {
  NOT(0xF6, 2), NEG(0xF6, 3), MUL(0xF6, 4), IMUL(0xF6, 5), DIV(0xF6, 6), IDIV(0xF6, 7), INC(0xFE, 0), DEC(0xFE, 1);

  private final int opcode;
  private final int digit;

  UnaryOp(int opcode, int digit) {
    this.opcode = opcode;
    this.digit = digit;
  }

  int opcode() {
    return opcode;
  }

  int digit() {
    return digit;
  }
}
