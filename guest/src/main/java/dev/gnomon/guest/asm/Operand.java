package dev.gnomon.guest.asm;

/**
 * What an instruction may operate on: a register, memory, or the address of a label as an immediate. Immediate numbers
 * are passed as {@code long} and need no operand.
 */
public sealed interface Operand permits Reg, Mem, Label {

  /** Size in bytes (1, 2, 4, 8), or 0 when the operand does not tell. */
  int size();
}
