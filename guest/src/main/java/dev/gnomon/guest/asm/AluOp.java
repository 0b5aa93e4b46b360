package dev.gnomon.guest.asm;

/** The eight two-operand arithmetic operations, in the order of their encoding (SDM vol. 2, "Opcode Map"). */
public enum AluOp {
  ADD, OR, ADC, SBB, AND, SUB, XOR, CMP
}
