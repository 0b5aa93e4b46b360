package dev.gnomon.guest.asm;

/** The bit-test operations, with the number that selects each within opcode group 8. */
public enum BitTestOp {
  BT(4), BTS(5), BTR(6), BTC(7);

  private final int digit;

  BitTestOp(int digit) {
    this.digit = digit;
  }

  int digit() {
    return digit;
  }
}
