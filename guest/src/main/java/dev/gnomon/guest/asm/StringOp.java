package dev.gnomon.guest.asm;

/** String instructions, with the opcode of the byte form; the others have the next opcode. */
public enum StringOp {
  MOVS(0xA4), CMPS(0xA6), STOS(0xAA), LODS(0xAC), SCAS(0xAE), INS(0x6C), OUTS(0x6E);

  private final int opcode;

  StringOp(int opcode) {
    this.opcode = opcode;
  }

  int opcode() {
    return opcode;
  }
}
