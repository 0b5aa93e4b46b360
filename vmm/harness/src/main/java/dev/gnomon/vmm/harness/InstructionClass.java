package dev.gnomon.vmm.harness;

import dev.gnomon.guest.decode.Instruction;

/** What an instruction of a real guest is to the scheduler and to its processor's store buffer. */
enum InstructionClass {
  /** Touches nothing that others see, but the stack. */
  PRIVATE,
  /** Can touch memory that others see. */
  ACCESS,
  /**
   * Waits until the store buffer is empty: MFENCE, SFENCE, serialising instructions, I/O, software interrupts (SDM vol.
   * 3A, "Store Buffer" and "Serializing Instructions").
   */
  DRAIN,
  /** Waits likewise, and its own store is visible at once: LOCK, and XCHG with memory. */
  LOCKED,
  PAUSE;

  private static final int NOP = 0x90;
  private static final int REP = 0xF3;
  private static final int LEA = 0x8D;
  private static final int XLAT = 0xD7;
  private static final int HLT = 0xF4;
  private static final int INT3 = 0xCC;
  private static final int INT_N = 0xCD;
  private static final int IRET = 0xCF;
  private static final int INT1 = 0xF1;
  private static final int GROUP_6 = 0x100;
  private static final int GROUP_7 = 0x101;
  private static final int INVD = 0x108;
  private static final int WBINVD = 0x109;
  private static final int HINTS = 0x118;
  private static final int MOV_TO_CR = 0x122;
  private static final int MOV_TO_DR = 0x123;
  private static final int WRMSR = 0x130;
  private static final int CPUID = 0x1A2;
  private static final int RSM = 0x1AA;
  private static final int GROUP_15 = 0x1AE;
  private static final int MASKMOVQ = 0x1F7;

  static InstructionClass of(Instruction i) {
    if (i.opcode == NOP && i.rep == REP) {
      return PAUSE;
    }
    if (i.lock || (i.opcode == 0x86 || i.opcode == 0x87) && i.isMemory()) {
      return LOCKED;
    }
    if (isPortAccess(i.opcode) || isFence(i) || isSerializing(i) || i.opcode == INT3 || i.opcode == INT_N
        || i.opcode == INT1) {
      return DRAIN;
    }
    boolean operand = i.isMemory() && i.opcode != LEA && (i.opcode & ~7) != HINTS;
    boolean implied = isString(i.opcode) || i.opcode >= 0xA0 && i.opcode <= 0xA3 || i.opcode == XLAT
        || i.opcode == MASKMOVQ;
    // Whether anything wakes a processor is others' doing too.
    return operand || implied || i.opcode == HLT ? ACCESS : PRIVATE;
  }

  private static boolean isPortAccess(int opcode) {
    return opcode >= 0xE4 && opcode <= 0xE7 || opcode >= 0xEC && opcode <= 0xEF || opcode >= 0x6C && opcode <= 0x6F;
  }

  /** MOVS, CMPS, STOS, LODS, SCAS. */
  static boolean isString(int opcode) {
    return opcode >= 0xA4 && opcode <= 0xA7 || opcode >= 0xAA && opcode <= 0xAF;
  }

  /** MFENCE and SFENCE. */
  private static boolean isFence(Instruction i) {
    return i.opcode == GROUP_15 && !i.isMemory() && (i.group() == 6 || i.group() == 7);
  }

  private static boolean isSerializing(Instruction i) {
    return switch (i.opcode) {
      case INVD, WBINVD, MOV_TO_DR, WRMSR, CPUID, RSM, IRET -> true;
      // All but CR8.
      case MOV_TO_CR -> i.reg != 8;
      // LLDT and LTR.
      case GROUP_6 -> i.group() == 2 || i.group() == 3;
      // LGDT, LIDT and INVLPG; SERIALIZE.
      case GROUP_7 -> i.isMemory() ? i.group() == 2 || i.group() == 3
          || i.group() == 7 : i.group() == 5 && (i.rm & 7) == 0 && i.rep == 0;
      default -> false;
    };
  }
}
