package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Reg.R10;
import static dev.gnomon.guest.asm.Reg.R11;
import static dev.gnomon.guest.asm.Reg.R12;
import static dev.gnomon.guest.asm.Reg.R13;
import static dev.gnomon.guest.asm.Reg.R14;
import static dev.gnomon.guest.asm.Reg.R15;
import static dev.gnomon.guest.asm.Reg.R8;
import static dev.gnomon.guest.asm.Reg.R9;
import static dev.gnomon.guest.asm.Reg.RAX;
import static dev.gnomon.guest.asm.Reg.RBP;
import static dev.gnomon.guest.asm.Reg.RBX;
import static dev.gnomon.guest.asm.Reg.RCX;
import static dev.gnomon.guest.asm.Reg.RDI;
import static dev.gnomon.guest.asm.Reg.RDX;
import static dev.gnomon.guest.asm.Reg.RSI;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Reg;
import java.util.List;

/**
 * What an entry to the kernel leaves on the stack, offsets in bytes from its lowest address:
 * <pre>
 *  00 R15 | 08 R14 | 10 R13 | 18 R12 | 20 R11 | 28 R10 | 30 R9 | 38 R8
 *  40 RBP | 48 RDI | 50 RSI | 58 RDX | 60 RCX | 68 RBX | 70 RAX
 *  78 vector | 80 error code | 88 RIP | 90 CS | 98 RFLAGS | A0 RSP | A8 SS
 * </pre>
 * The last five are what the processor pushes and IRETQ takes (SDM vol. 3A, "64-Bit Mode Stack Frame").
 */
final class TrapFrame {
  static final int RDI_OFFSET = 0x48;
  static final int RAX_OFFSET = 0x70;
  static final int VECTOR = 0x78;
  static final int ERROR_CODE = 0x80;
  static final int RIP = 0x88;
  static final int CS = 0x90;
  static final int RFLAGS = 0x98;
  static final int RSP = 0xA0;
  static final int SS = 0xA8;
  static final int SIZE = 0xB0;
  static final int QUADWORDS = SIZE / 8;

  /** In the order of pushing. */
  private static final List<Reg> REGISTERS = List.of(
      RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15);

  private TrapFrame() {}

  static void pushRegisters(Assembler a) {
    REGISTERS.forEach(a::push);
  }

  static void popRegisters(Assembler a) {
    for (int i = REGISTERS.size() - 1; i >= 0; i--) {
      a.pop(REGISTERS.get(i));
    }
  }
}
