package dev.gnomon.guest.asm;

/**
 * A memory operand: segment:[base + index × scale + displacement]. The width of the registers gives the address size;
 * the assembler adds the address-size prefix where it differs from the code size.
 *
 * @param size bytes accessed (1, 2, 4, 8; for a far pointer, those of its offset), or 0 when the instruction tells
 * @param segment segment override, or null for none
 * @param base base register of 2, 4 or 8 bytes, or null
 * @param index index register of the base's size, or null
 * @param scale 1, 2, 4 or 8
 * @param displacement signed displacement, added to the label's address if there is one
 * @param label label whose address is part of the displacement, or null
 * @param ripRelative whether the label is reached relative to RIP; then there is no base and no index
 */
public record Mem(int size, Reg segment, Reg base, Reg index, int scale, long displacement, Label label,
    boolean ripRelative) implements Operand {

  /** Checks that such an operand exists in some mode. */
  public Mem {
    if (segment != null && segment.kind() != Reg.Kind.SEGMENT) {
      throw new IllegalArgumentException("segment override " + segment + ": expected a segment register");
    }
    checkAddressRegister(base);
    checkAddressRegister(index);
    if (base != null && index != null && base.size() != index.size()) {
      throw new IllegalArgumentException("base " + base + " and index " + index + ": expected registers of one size");
    }
    if (scale != 1 && scale != 2 && scale != 4 && scale != 8) {
      throw new IllegalArgumentException("scale " + scale + ": expected 1, 2, 4 or 8");
    }
    if (index != null && index.size() != 2 && index.number() == 4) {
      throw new IllegalArgumentException(index + " cannot be an index: its encoding means that there is none");
    }
    if (ripRelative && (base != null || index != null || label == null)) {
      throw new IllegalArgumentException("RIP-relative operand: expected a label and no registers");
    }
  }

  private static void checkAddressRegister(Reg reg) {
    if (reg != null && (reg.kind() != Reg.Kind.GENERAL || reg.size() == 1)) {
      throw new IllegalArgumentException(reg + " cannot address memory: expected a 16-, 32- or 64-bit register");
    }
  }

  /** [base]. */
  public static Mem ptr(Reg base) {
    return ptr(base, 0);
  }

  /** [base + displacement]. */
  public static Mem ptr(Reg base, long displacement) {
    return new Mem(0, null, base, null, 1, displacement, null, false);
  }

  /** [base + index × scale]. */
  public static Mem ptr(Reg base, Reg index, int scale) {
    return ptr(base, index, scale, 0);
  }

  /** [base + index × scale + displacement]; with 16-bit registers BX or BP plus SI or DI, scale 1. */
  public static Mem ptr(Reg base, Reg index, int scale, long displacement) {
    return new Mem(0, null, base, index, scale, displacement, null, false);
  }

  /** [base + address of label]; the address must fit the displacement. */
  public static Mem ptr(Reg base, Label label) {
    return new Mem(0, null, base, null, 1, 0, label, false);
  }

  /** [index × scale + displacement], with no base. */
  public static Mem index(Reg index, int scale, long displacement) {
    return new Mem(0, null, null, index, scale, displacement, null, false);
  }

  /** [index × scale + address of label], for tables. */
  public static Mem index(Reg index, int scale, Label label) {
    return new Mem(0, null, null, index, scale, 0, label, false);
  }

  /**
   * [displacement], an absolute address. In 64-bit code it is sign-extended from 32 bits; in 16-bit code one above
   * FFFFH takes 32-bit addressing.
   */
  public static Mem abs(long displacement) {
    return new Mem(0, null, null, null, 1, displacement, null, false);
  }

  /** [address of label], absolute. */
  public static Mem abs(Label label) {
    return new Mem(0, null, null, null, 1, 0, label, false);
  }

  /** [RIP-relative address of label]; 64-bit code only. */
  public static Mem rip(Label label) {
    return rip(label, 0);
  }

  /** [RIP-relative address of label + addend]; 64-bit code only. */
  public static Mem rip(Label label, long addend) {
    return new Mem(0, null, null, null, 1, addend, label, true);
  }

  /** The same operand with a segment-override prefix. */
  public static Mem seg(Reg segment, Mem mem) {
    return new Mem(mem.size, segment, mem.base, mem.index, mem.scale, mem.displacement, mem.label, mem.ripRelative);
  }

  /** The same operand, accessed as {@code newSize} bytes. */
  public Mem sized(int newSize) {
    if (newSize != 0 && newSize != 1 && newSize != 2 && newSize != 4 && newSize != 8) {
      throw new IllegalArgumentException("operand size " + newSize + ": expected 1, 2, 4 or 8 bytes");
    }
    return new Mem(newSize, segment, base, index, scale, displacement, label, ripRelative);
  }

  /** The same operand as a byte. */
  public Mem b() {
    return sized(1);
  }

  /** The same operand as a word of 2 bytes. */
  public Mem w() {
    return sized(2);
  }

  /** The same operand as a doubleword of 4 bytes. */
  public Mem d() {
    return sized(4);
  }

  /** The same operand as a quadword of 8 bytes. */
  public Mem q() {
    return sized(8);
  }

  /** Address size in bytes when assembled as code of {@code bits} bits. */
  int addressSize(int bits) {
    if (base != null || index != null) {
      return base != null ? base.size() : index.size();
    }
    boolean beyond16 = label == null && (displacement < -0x8000 || displacement > 0xFFFF);
    return bits == 16 && beyond16 ? 4 : bits / 8;
  }
}
