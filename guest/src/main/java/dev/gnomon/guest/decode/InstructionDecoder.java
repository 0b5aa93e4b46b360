package dev.gnomon.guest.decode;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;

/**
 * Turns code bytes into an {@link Instruction} (SDM vol. 2A, "Instruction Format", and vol. 2D, appendix "Opcode Map").
 */
public final class InstructionDecoder {
  public static final int MAX_LENGTH = 15;
  /** Decoded; {@link Instruction#length} bytes were used. */
  public static final int OK = 0;
  /** The instruction goes on behind the bytes that are there. */
  public static final int MORE = 1;
  /** No such instruction: #UD. */
  public static final int UNDEFINED = 2;
  /** Longer than 15 bytes: #GP(0). */
  public static final int TOO_LONG = 3;

  /**
   * What follows each opcode: {@code M} ModRM, {@code B} 8-bit immediate, {@code Z} 16- or 32-bit immediate, {@code b},
   * {@code z} ModRM and such an immediate, {@code V} immediate of the operand size, {@code W} 16-bit immediate,
   * {@code E} 16- and 8-bit immediates, {@code O} memory offset, {@code F} far pointer, {@code J} 8-bit and {@code K}
   * 32-bit displacement, {@code G} group 3 (immediate only for TEST), {@code P} prefix, {@code T} escape to another
   * map, {@code .} nothing, {@code x} undefined.
   */
  private static final String ONE_BYTE =
      "MMMMBZ..MMMMBZ.T" + "MMMMBZ..MMMMBZ.." + "MMMMBZP.MMMMBZP." + "MMMMBZP.MMMMBZP."
      + "................" + "................" + "..MMPPPPZzBb...." + "JJJJJJJJJJJJJJJJ"
      + "bzbbMMMMMMMMMMMM" + "..........F....." + "OOOO....BZ......" + "BBBBBBBBVVVVVVVV"
      + "bbW.MMbzE.W..B.." + "MMMMBB..MMMMMMMM" + "JJJJBBBBKKFJ...." + "P.PP..GG......MM";

  private static final String TWO_BYTE =
      "MMMMx.....x.xMxx" + "MMMMMMMMMMMMMMMM" + "MMMMxxxxMMMMMMMM" + "......xxTxTxxxxx"
      + "MMMMMMMMMMMMMMMM" + "MMMMMMMMMMMMMMMM" + "MMMMMMMMMMMMMMMM" + "bbbbMMM.MMxxMMMM"
      + "KKKKKKKKKKKKKKKK" + "MMMMMMMMMMMMMMMM" + "...MbMxx...MbMMM" + "MMMMMMMMMMbMMMMM"
      + "MMbMbbbM........" + "MMMMMMMMMMMMMMMM" + "MMMMMMMMMMMMMMMM" + "MMMMMMMMMMMMMMMM";

  /** One-byte opcodes that do not exist in 64-bit mode. */
  private static final String INVALID_IN_64 = "\u0006\u0007\u000e\u0016\u0017\u001e\u001f\u0027\u002f\u0037\u003f\u0060\u0061\u0062\u0082\u009a\u00c4\u00c5\u00ce\u00d4\u00d5\u00d6\u00ea";

  private byte[] bytes;
  private int end;
  private int at;

  /**
   * Decodes one instruction.
   *
   * @param bytes code
   * @param from index of the first byte
   * @param end index behind the last byte that may be used
   * @param mode MODE_* bits of {@link Cpu}
   * @return {@link #OK}, {@link #MORE}, {@link #UNDEFINED} or {@link #TOO_LONG}
   */
  public int decode(byte[] bytes, int from, int end, int mode, Instruction insn) {
    this.bytes = bytes;
    this.end = Math.min(end, from + MAX_LENGTH);
    this.at = from;
    int result = decode(mode, insn);
    if (result == MORE && end - from >= MAX_LENGTH) {
      insn.length = MAX_LENGTH;
      return TOO_LONG;
    }
    insn.length = at - from;
    return result;
  }

  private int decode(int mode, Instruction insn) {
    boolean mode64 = (mode & Cpu.MODE_64) != 0;
    boolean mode32 = (mode & Cpu.MODE_32) != 0;
    insn.mode64 = mode64;
    insn.operandPrefix = false;
    insn.rep = 0;
    insn.lock = false;
    insn.rex = 0;
    insn.hasModrm = false;
    insn.segmentOverride = false;
    insn.segment = Segments.DS;
    insn.base = -1;
    insn.index = -1;
    insn.scale = 0;
    insn.displacement = 0;
    insn.ripRelative = false;
    insn.immediate = 0;
    insn.immediate2 = 0;
    insn.mod = 0;
    insn.reg = 0;
    insn.rm = 0;
    boolean addressPrefix = false;
    int opcode;
    while (true) {
      if (at >= end) {
        return MORE;
      }
      opcode = bytes[at++] & 0xFF;
      if (mode64 && (opcode & 0xF0) == 0x40) {
        insn.rex = opcode;
        continue;
      }
      switch (opcode) {
        case 0x26, 0x2E, 0x36, 0x3E -> {
          if (!mode64) {
            insn.segment = opcode >> 3 & 3;
            insn.segmentOverride = true;
          }
        }
        case 0x64, 0x65 -> {
          insn.segment = opcode == 0x64 ? Segments.FS : Segments.GS;
          insn.segmentOverride = true;
        }
        case 0x66 -> insn.operandPrefix = true;
        case 0x67 -> addressPrefix = true;
        case 0xF0 -> insn.lock = true;
        case 0xF2, 0xF3 -> insn.rep = opcode;
        default -> {
          break;
        }
      }
      if (ONE_BYTE.charAt(opcode) != 'P') {
        break;
      }
      // REX counts only directly before the opcode.
      insn.rex = 0;
    }
    boolean wide = (insn.rex & 8) != 0;
    insn.operandSize = wide ? 8 : mode64 || mode32 ? (insn.operandPrefix ? 2 : 4) : (insn.operandPrefix ? 4 : 2);
    insn.addressSize = mode64 ? (addressPrefix ? 4 : 8) : mode32 != addressPrefix ? 4 : 2;
    char form = ONE_BYTE.charAt(opcode);
    insn.opcode = opcode;
    if (form == 'T') {
      if (at >= end) {
        return MORE;
      }
      opcode = bytes[at++] & 0xFF;
      form = TWO_BYTE.charAt(opcode);
      insn.opcode = Instruction.MAP_0F | opcode;
      if (form == 'T') {
        boolean map3A = opcode == 0x3A;
        if (at >= end) {
          return MORE;
        }
        insn.opcode = (map3A ? Instruction.MAP_0F3A : Instruction.MAP_0F38) | bytes[at++] & 0xFF;
        form = map3A ? 'b' : 'M';
      }
    } else if (mode64 && INVALID_IN_64.indexOf(opcode) >= 0) {
      return UNDEFINED;
    }
    return operands(form, insn);
  }

  private int operands(char form, Instruction insn) {
    switch (form) {
      case '.':
        if (insn.opcode >= 0x40 && insn.opcode <= 0x5F || (insn.opcode & 0x1F8) == 0x90
            || (insn.opcode & 0x1F8) == 0x1C8) {
          insn.rm = insn.opcode & 7 | (insn.rex & 1) << 3;
        }
        return OK;
      case 'x':
        return UNDEFINED;
      case 'M':
        return modrm(insn);
      case 'b':
        return modrm(insn) == OK && immediate(insn, 1) ? OK : MORE;
      case 'z':
        return modrm(insn) == OK && immediate(insn, Math.min(4, insn.operandSize)) ? OK : MORE;
      case 'G':
        if (modrm(insn) != OK) {
          return MORE;
        }
        int size = insn.group() > 1 ? 0 : insn.opcode == 0xF6 ? 1 : Math.min(4, insn.operandSize);
        return size == 0 || immediate(insn, size) ? OK : MORE;
      case 'B':
        insn.rm = insn.opcode & 7 | (insn.rex & 1) << 3;
        return immediate(insn, 1) ? OK : MORE;
      case 'V':
        insn.rm = insn.opcode & 7 | (insn.rex & 1) << 3;
        return immediate(insn, insn.operandSize) ? OK : MORE;
      case 'J':
        return immediate(insn, 1) ? OK : MORE;
      case 'Z':
        return immediate(insn, Math.min(4, insn.operandSize)) ? OK : MORE;
      case 'K':
        return immediate(insn, insn.mode64 ? 4 : insn.operandSize) ? OK : MORE;
      case 'W':
        return immediate(insn, 2) ? OK : MORE;
      case 'E':
        if (!immediate(insn, 2) || at >= end) {
          return MORE;
        }
        insn.immediate &= 0xFFFF;
        insn.immediate2 = bytes[at++] & 0xFF;
        return OK;
      case 'O':
        if (!immediate(insn, insn.addressSize)) {
          return MORE;
        }
        insn.displacement = insn.addressSize == 8 ? insn.immediate : insn.immediate & (1L << 8 * insn.addressSize) - 1;
        return OK;
      default:
        if (!immediate(insn, Math.min(4, insn.operandSize)) || at + 2 > end) {
          return MORE;
        }
        insn.immediate &= insn.operandSize == 2 ? 0xFFFFL : 0xFFFF_FFFFL;
        insn.immediate2 = bytes[at] & 0xFF | (bytes[at + 1] & 0xFF) << 8;
        at += 2;
        return OK;
    }
  }

  private int modrm(Instruction insn) {
    if (at >= end) {
      return MORE;
    }
    int modrm = bytes[at++] & 0xFF;
    insn.hasModrm = true;
    insn.mod = modrm >> 6;
    insn.reg = modrm >> 3 & 7 | (insn.rex & 4) << 1;
    int rm = modrm & 7;
    if (insn.mod == 3) {
      insn.rm = rm | (insn.rex & 1) << 3;
      return OK;
    }
    // MOV to and from control and debug registers ignores mod.
    if (insn.opcode >= 0x120 && insn.opcode <= 0x123) {
      insn.mod = 3;
      insn.rm = rm | (insn.rex & 1) << 3;
      return OK;
    }
    return insn.addressSize == 2 ? address16(insn, rm) : address32(insn, rm);
  }

  private int address16(Instruction insn, int rm) {
    boolean stack = false;
    switch (rm) {
      case 0, 1 -> insn.base = Cpu.RBX;
      case 2, 3 -> {
        insn.base = Cpu.RBP;
        stack = true;
      }
      case 4 -> insn.base = Cpu.RSI;
      case 5 -> insn.base = Cpu.RDI;
      case 6 -> {
        insn.base = insn.mod == 0 ? -1 : Cpu.RBP;
        stack = insn.mod != 0;
      }
      default -> insn.base = Cpu.RBX;
    }
    if (rm < 4) {
      insn.index = (rm & 1) == 0 ? Cpu.RSI : Cpu.RDI;
    }
    if (stack && !insn.segmentOverride) {
      insn.segment = Segments.SS;
    }
    return displacement(insn, insn.mod == 0 ? (rm == 6 ? 2 : 0) : insn.mod);
  }

  private int address32(Instruction insn, int rm) {
    int size = insn.mod == 1 ? 1 : insn.mod == 2 ? 4 : 0;
    if (rm == 4) {
      if (at >= end) {
        return MORE;
      }
      int sib = bytes[at++] & 0xFF;
      int index = sib >> 3 & 7 | (insn.rex & 2) << 2;
      insn.index = index == 4 ? -1 : index;
      insn.scale = sib >> 6;
      if ((sib & 7) == 5 && insn.mod == 0) {
        size = 4;
      } else {
        insn.base = sib & 7 | (insn.rex & 1) << 3;
      }
    } else if (rm == 5 && insn.mod == 0) {
      size = 4;
      insn.ripRelative = insn.mode64;
    } else {
      insn.base = rm | (insn.rex & 1) << 3;
    }
    if ((insn.base == Cpu.RSP || insn.base == Cpu.RBP) && !insn.segmentOverride) {
      insn.segment = Segments.SS;
    }
    return displacement(insn, size);
  }

  private int displacement(Instruction insn, int size) {
    if (at + size > end) {
      return MORE;
    }
    insn.displacement = signed(size);
    return OK;
  }

  private boolean immediate(Instruction insn, int size) {
    if (at + size > end) {
      return false;
    }
    insn.immediate = signed(size);
    return true;
  }

  private long signed(int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (bytes[at++] & 0xFFL) << 8 * i;
    }
    int shift = 64 - 8 * size;
    return size == 0 ? 0 : value << shift >> shift;
  }
}
