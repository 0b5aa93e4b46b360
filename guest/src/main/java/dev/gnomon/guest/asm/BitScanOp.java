package dev.gnomon.guest.asm;

/** Bit scans and counts: register destination, register or memory source of the same size (2, 4 or 8 bytes). */
public enum BitScanOp {
  BSF(0x0FBC), BSR(0x0FBD), TZCNT(0xF30FBC), LZCNT(0xF30FBD), POPCNT(0xF30FB8);

  private final int opcode;

  BitScanOp(int opcode) {
    this.opcode = opcode;
  }

  int opcode() {
    return opcode;
  }
}
