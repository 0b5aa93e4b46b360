package dev.gnomon.guest.asm;

/**
 * Prefixes, opcode, ModRM, SIB, displacement and immediate of one instruction (SDM vol. 2, "Instruction Format").
 *
 * <p>An opcode is an {@code int} of its bytes in writing order, a mandatory prefix (66H, F2H, F3H) first: 0FAFH,
 * F30FB8H, 660F3882H.
 */
abstract sealed class Encoder extends CodeBuffer permits MoveInstructions {

  /** An immediate operand of {@code size} bytes: a number or the address of a label. */
  record Immediate(int size, long value, Label label, Range range) {

    static final Immediate NONE = new Immediate(0, 0, null, Range.EITHER);

    static Immediate of(int size, long value) {
      return new Immediate(size, value, null, Range.EITHER);
    }

    static Immediate of(int size, Label label, Range range) {
      return new Immediate(size, 0, label, range);
    }
  }

  static final int OPERAND_SIZE_PREFIX = 0x66;
  static final int ADDRESS_SIZE_PREFIX = 0x67;
  private static final int REX = 0x40;
  private static final int REX_W = 0x48;
  private static final int REX_R = 0x44;
  private static final int REX_X = 0x42;
  private static final int REX_B = 0x41;
  private static final int[] SEGMENT_PREFIX = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65};
  /** r/m field that announces a SIB byte, and index field that means none. */
  private static final int SIB_FOLLOWS = 4;
  /** r/m or SIB base field that means a bare displacement where mod is 0. */
  private static final int NO_BASE = 5;
  private static final int NO_BASE_16 = 6;

  private int bits;

  Encoder(int bits) {
    bits(bits);
  }

  /** Code size from here on: 16, 32 or 64. */
  public final void bits(int newBits) {
    if (newBits != 16 && newBits != 32 && newBits != 64) {
      throw new IllegalArgumentException("code size " + newBits + ": expected 16, 32 or 64 bits");
    }
    bits = newBits;
  }

  /** Current code size: 16, 32 or 64. */
  public final int bits() {
    return bits;
  }

  /** Any instruction with a ModRM byte, its reg field a register; {@code operandSize} 0 encodes no size at all. */
  public final void encode(int opcode, int operandSize, Reg reg, Operand rm) {
    modrm(opcode, operandSize, reg, rm, Immediate.NONE);
  }

  /** Any instruction with a ModRM byte, its reg field a number 0 to 7. */
  public final void encode(int opcode, int operandSize, int digit, Operand rm) {
    modrm(opcode, operandSize, digit, rm, Immediate.NONE);
  }

  /** Any instruction with a ModRM byte, its reg field a number 0 to 7, and an immediate of so many bytes. */
  public final void encode(int opcode, int operandSize, int digit, Operand rm, int immediateSize, long immediate) {
    modrm(opcode, operandSize, digit, rm, Immediate.of(immediateSize, immediate));
  }

  final void modrm(int opcode, int operandSize, Reg reg, Operand rm, Immediate immediate) {
    prefixes(opcode, operandSize, reg, rm);
    opcodeBytes(opcode, 0);
    addressing(reg.number() & 7, rm, immediate.size);
    immediate(immediate);
  }

  final void modrm(int opcode, int operandSize, int digit, Operand rm, Immediate immediate) {
    if (digit < 0 || digit > 7) {
      throw new IllegalArgumentException("opcode extension " + digit + ": expected 0 to 7");
    }
    prefixes(opcode, operandSize, null, rm);
    opcodeBytes(opcode, 0);
    addressing(digit, rm, immediate.size);
    immediate(immediate);
  }

  /** An instruction whose register is in the low three bits of its opcode. */
  final void withRegister(int opcode, int operandSize, Reg reg, Immediate immediate) {
    prefixes(opcode, operandSize, null, reg);
    opcodeBytes(opcode, reg.number() & 7);
    immediate(immediate);
  }

  /** An instruction with no register or memory operand. */
  final void plain(int opcode, int operandSize, Immediate immediate) {
    prefixes(opcode, operandSize, null, null);
    opcodeBytes(opcode, 0);
    immediate(immediate);
  }

  final void immediate(Immediate immediate) {
    if (immediate.label != null) {
      reference(immediate.label, 0, immediate.size, immediate.range);
    } else if (immediate.size > 0) {
      putChecked(immediate.value, immediate.size);
    }
  }

  final void segmentPrefix(Reg segment) {
    if (segment.kind() != Reg.Kind.SEGMENT) {
      throw new IllegalArgumentException("segment override " + segment + ": expected a segment register");
    }
    put(SEGMENT_PREFIX[segment.number()], 1);
  }

  /** The size that general-purpose operands agree on; at least one must tell it. */
  static int commonSize(Operand... operands) {
    int size = 0;
    for (Operand operand : operands) {
      if (operand instanceof Reg reg && !reg.isGeneral()) {
        throw new IllegalArgumentException(reg + ": expected a general-purpose register");
      }
      if (operand.size() != 0 && size != 0 && operand.size() != size) {
        throw new IllegalArgumentException(
            "operands of " + size + " and " + operand.size() + " bytes: expected one size");
      }
      size = Math.max(size, operand.size());
    }
    if (size == 0) {
      throw new IllegalArgumentException("operand of unknown size: expected .b(), .w(), .d() or .q() on it");
    }
    return size;
  }

  /** A size of more than a byte that general-purpose operands agree on. */
  static int commonWideSize(Operand... operands) {
    int size = commonSize(operands);
    if (size == 1) {
      throw new IllegalArgumentException("byte operand: expected one of 2, 4 or 8 bytes");
    }
    return size;
  }

  /** Bytes of a full immediate: that of the operand, but never more than 4. */
  static int immediateSize(int operandSize) {
    return Math.min(operandSize, 4);
  }

  /** A number as the immediate of an operand of {@code size} bytes, sign-extended from that size. */
  static long signExtended(long value, int size) {
    if (size == 8) {
      requireFits(value, 4, Range.SIGNED);
      return value;
    }
    requireFits(value, size, Range.EITHER);
    int unusedBits = 64 - size * 8;
    return value << unusedBits >> unusedBits;
  }

  /** A label's address as the full immediate of an operand of {@code size} bytes. */
  static Immediate addressImmediate(Label label, int size) {
    return Immediate.of(immediateSize(size), label, size == 8 ? Range.SIGNED : Range.EITHER);
  }

  private void prefixes(int opcode, int operandSize, Reg reg, Operand rm) {
    if (rm instanceof Mem mem) {
      if (mem.segment() != null) {
        segmentPrefix(mem.segment());
      }
      if (addressSize(mem) != bits / 8) {
        put(ADDRESS_SIZE_PREFIX, 1);
      }
    }
    if (operandSize == 2 && bits != 16 || operandSize == 4 && bits == 16) {
      put(OPERAND_SIZE_PREFIX, 1);
    }
    int mandatory = mandatoryPrefix(opcode);
    if (mandatory != 0) {
      put(mandatory, 1);
    }
    int rex = rex(operandSize, reg, rm);
    if (rex != 0) {
      if (bits != 64) {
        throw new IllegalArgumentException(
            "64-bit operand or register 8 to 15 in " + bits + "-bit code: " + describe(reg, rm));
      }
      if (isHighByte(reg) || isHighByte(rm)) {
        throw new IllegalArgumentException("AH to BH cannot be encoded with a REX prefix: " + describe(reg, rm));
      }
      put(rex, 1);
    }
  }

  private static int rex(int operandSize, Reg reg, Operand rm) {
    int rex = operandSize == 8 ? REX_W : 0;
    if (reg != null && reg.needsRex()) {
      rex |= reg.number() > 7 ? REX_R : REX;
    }
    if (rm instanceof Reg r && r.needsRex()) {
      rex |= r.number() > 7 ? REX_B : REX;
    } else if (rm instanceof Mem mem) {
      if (mem.base() != null && mem.base().number() > 7) {
        rex |= REX_B;
      }
      if (mem.index() != null && mem.index().number() > 7) {
        rex |= REX_X;
      }
    }
    return rex;
  }

  private static boolean isHighByte(Operand operand) {
    return operand instanceof Reg reg && reg.kind() == Reg.Kind.HIGH_BYTE;
  }

  private static String describe(Reg reg, Operand rm) {
    return reg == null ? String.valueOf(rm) : rm == null ? reg.toString() : reg + ", " + rm;
  }

  private static int mandatoryPrefix(int opcode) {
    for (int shift = 24; shift >= 8; shift -= 8) {
      int first = opcode >>> shift;
      if (first != 0) {
        return first == 0x66 || first == 0xF2 || first == 0xF3 ? first : 0;
      }
    }
    return 0;
  }

  private void opcodeBytes(int opcode, int register) {
    boolean started = false;
    boolean prefixed = mandatoryPrefix(opcode) != 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
      int value = opcode >>> shift & 0xFF;
      if (!started && value != 0) {
        started = true;
        if (prefixed) {
          continue;
        }
      }
      if (started) {
        put(shift == 0 ? value | register : value, 1);
      }
    }
    if (!started) {
      put(register, 1);
    }
  }

  private int addressSize(Mem mem) {
    int size = mem.addressSize(bits);
    boolean exists = switch (bits) {
      case 64 -> size != 2;
      default -> size != 8 && !mem.ripRelative();
    };
    if (!exists) {
      throw new IllegalArgumentException("no such addressing in " + bits + "-bit code: " + mem);
    }
    return size;
  }

  private void addressing(int field, Operand rm, int trailing) {
    if (rm instanceof Reg reg) {
      put(0xC0 | field << 3 | reg.number() & 7, 1);
    } else if (rm instanceof Mem mem) {
      if (mem.ripRelative()) {
        put(field << 3 | NO_BASE, 1);
        relative(mem.label(), mem.displacement(), 4, trailing, Range.SIGNED);
      } else if (addressSize(mem) == 2) {
        addressing16(field, mem);
      } else {
        addressing32(field, mem);
      }
    } else {
      throw new IllegalArgumentException(rm + ": expected a register or memory");
    }
  }

  private void addressing16(int field, Mem mem) {
    Reg base = mem.base() != null ? mem.base() : mem.index();
    Reg index = mem.base() != null ? mem.index() : null;
    int rm = base == null ? NO_BASE_16 : switch (base) {
      case BX -> index == null ? 7 : index == Reg.SI ? 0 : index == Reg.DI ? 1 : -1;
      case BP -> index == null ? 6 : index == Reg.SI ? 2 : index == Reg.DI ? 3 : -1;
      case SI -> index == null ? 4 : -1;
      case DI -> index == null ? 5 : -1;
      default -> -1;
    };
    if (rm < 0 || mem.scale() != 1) {
      throw new IllegalArgumentException("no such 16-bit addressing: expected BX or BP, SI or DI, unscaled: " + mem);
    }
    requireFits(mem.displacement(), 2, Range.EITHER);
    int mod = base == null ? 0 : mod(mem, (short) mem.displacement(), rm == NO_BASE_16);
    put(mod << 6 | field << 3 | rm, 1);
    displacement(mem, base == null ? 2 : mod, Range.EITHER);
  }

  private void addressing32(int field, Mem mem) {
    // In 64-bit code a displacement is sign-extended; with 32-bit addresses the upper half is dropped again.
    Range range = mem.addressSize(bits) == 8 ? Range.SIGNED : Range.EITHER;
    if (mem.label() == null) {
      requireFits(mem.displacement(), 4, range);
    }
    Reg base = mem.base();
    Reg index = mem.index();
    int baseField = base == null ? NO_BASE : base.number() & 7;
    int mod = base == null ? 0 : mod(mem, (int) mem.displacement(), baseField == NO_BASE);
    // Without a SIB byte, a bare displacement would be relative to RIP in 64-bit code.
    if (index != null || baseField == SIB_FOLLOWS || base == null && bits == 64) {
      put(mod << 6 | field << 3 | SIB_FOLLOWS, 1);
      int indexField = index == null ? SIB_FOLLOWS : index.number() & 7;
      put(Integer.numberOfTrailingZeros(mem.scale()) << 6 | indexField << 3 | baseField, 1);
    } else {
      put(mod << 6 | field << 3 | baseField, 1);
    }
    displacement(mem, base == null ? 4 : mod == 2 ? 4 : mod, range);
  }

  /** 0 for no displacement, 1 for one byte, 2 for a full one. */
  private static int mod(Mem mem, int displacement, boolean needsDisplacement) {
    if (mem.label() != null) {
      return 2;
    }
    return displacement == 0 && !needsDisplacement ? 0 : displacement == (byte) displacement ? 1 : 2;
  }

  private void displacement(Mem mem, int size, Range range) {
    if (mem.label() != null) {
      reference(mem.label(), mem.displacement(), size, range);
    } else {
      put(mem.displacement(), size);
    }
  }
}
