package dev.gnomon.guest.asm;

/** Instructions for system registers, descriptor tables, caches and TLBs, with operands. */
abstract sealed class SystemInstructions extends ControlInstructions permits Assembler {

  SystemInstructions(int bits) {
    super(bits);
  }

  public final void sgdt(Mem dst) { encode(0x0F01, 0, 0, dst); }
  public final void sidt(Mem dst) { encode(0x0F01, 0, 1, dst); }
  public final void lgdt(Mem src) { encode(0x0F01, 0, 2, src); }
  public final void lidt(Mem src) { encode(0x0F01, 0, 3, src); }
  public final void sldt(Operand dst) { storeSelector(0x0F00, 0, dst); }
  public final void str(Operand dst) { storeSelector(0x0F00, 1, dst); }
  public final void lldt(Operand src) { selector(0x0F00, 2, src); }
  public final void ltr(Operand src) { selector(0x0F00, 3, src); }
  public final void verr(Operand src) { selector(0x0F00, 4, src); }
  public final void verw(Operand src) { selector(0x0F00, 5, src); }
  public final void smsw(Operand dst) { storeSelector(0x0F01, 4, dst); }
  public final void lmsw(Operand src) { selector(0x0F01, 6, src); }

  /** LAR: access rights of the selector in {@code src}, memory of 2 bytes or a register of the destination's size. */
  public final void lar(Reg dst, Operand src) {
    descriptor(0x0F02, dst, src);
  }

  /** LSL: limit of the selector in {@code src}, memory of 2 bytes or a register of the destination's size. */
  public final void lsl(Reg dst, Operand src) {
    descriptor(0x0F03, dst, src);
  }

  /** ARPL of two selectors; not in 64-bit code. */
  public final void arpl(Operand dst, Reg src) {
    requireLegacy("arpl");
    if (commonSize(dst, src) != 2) {
      throw new IllegalArgumentException("arpl " + dst + ", " + src + ": expected operands of 2 bytes");
    }
    encode(0x63, 0, src, dst);
  }

  /** INVLPG of the page that holds an address. */
  public final void invlpg(Mem address) {
    encode(0x0F01, 0, 7, address);
  }

  /** INVPCID with its type in a register of the mode's width and a descriptor of 16 bytes. */
  public final void invpcid(Reg type, Mem descriptor) {
    invalidate(0x660F3882, type, descriptor);
  }

  /** INVEPT with its type in a register of the mode's width and a descriptor of 16 bytes. */
  public final void invept(Reg type, Mem descriptor) {
    invalidate(0x660F3880, type, descriptor);
  }

  /** INVVPID with its type in a register of the mode's width and a descriptor of 16 bytes. */
  public final void invvpid(Reg type, Mem descriptor) {
    invalidate(0x660F3881, type, descriptor);
  }

  public final void rdfsbase(Reg dst) { segmentBase(0, dst); }
  public final void rdgsbase(Reg dst) { segmentBase(1, dst); }
  public final void wrfsbase(Reg src) { segmentBase(2, src); }
  public final void wrgsbase(Reg src) { segmentBase(3, src); }

  public final void prefetchnta(Mem address) { encode(0x0F18, 0, 0, address); }
  public final void prefetcht0(Mem address) { encode(0x0F18, 0, 1, address); }
  public final void prefetcht1(Mem address) { encode(0x0F18, 0, 2, address); }
  public final void prefetcht2(Mem address) { encode(0x0F18, 0, 3, address); }
  public final void prefetchw(Mem address) { encode(0x0F0D, 0, 1, address); }
  public final void clflush(Mem address) { encode(0x0FAE, 0, 7, address); }
  public final void clflushopt(Mem address) { encode(0x660FAE, 0, 7, address); }
  public final void clwb(Mem address) { encode(0x660FAE, 0, 6, address); }

  public final void fxsave(Mem area) { encode(0x0FAE, 0, 0, area); }
  public final void fxrstor(Mem area) { encode(0x0FAE, 0, 1, area); }
  public final void ldmxcsr(Mem src) { encode(0x0FAE, 0, 2, src); }
  public final void stmxcsr(Mem dst) { encode(0x0FAE, 0, 3, dst); }
  public final void xsave(Mem area) { encode(0x0FAE, 0, 4, area); }
  public final void xrstor(Mem area) { encode(0x0FAE, 0, 5, area); }
  public final void fldcw(Mem src) { encode(0xD9, 0, 5, src); }
  public final void fnstcw(Mem dst) { encode(0xD9, 0, 7, dst); }

  /** FNSTSW to AX or memory of 2 bytes. */
  public final void fnstsw(Operand dst) {
    if (dst == Reg.AX) {
      plain(0xDFE0, 0, Immediate.NONE);
    } else if (dst instanceof Mem) {
      encode(0xDD, 0, 7, dst);
    } else {
      throw new IllegalArgumentException("fnstsw " + dst + ": expected AX or memory");
    }
  }

  /** Memory takes 2 bytes whatever the operand size; a register is written in its own. */
  private void storeSelector(int opcode, int digit, Operand dst) {
    if (dst instanceof Reg) {
      encode(opcode, commonWideSize(dst), digit, dst);
    } else {
      selector(opcode, digit, dst);
    }
  }

  private void selector(int opcode, int digit, Operand src) {
    if (src.size() != 2 && (src instanceof Reg || src.size() != 0)) {
      throw new IllegalArgumentException("selector " + src + ": expected 2 bytes");
    }
    commonSize(src instanceof Mem mem ? mem.w() : src);
    encode(opcode, 0, digit, src);
  }

  private void descriptor(int opcode, Reg dst, Operand src) {
    int size = commonWideSize(dst);
    if (src instanceof Reg ? commonSize(src) != size : src.size() != 0 && src.size() != 2) {
      throw new IllegalArgumentException("selector " + src + ": expected 2 bytes of memory or a register like " + dst);
    }
    encode(opcode, size, dst, src);
  }

  private void invalidate(int opcode, Reg type, Mem descriptor) {
    if (commonSize(type) != (bits() == 64 ? 8 : 4)) {
      throw new IllegalArgumentException("type in " + type + ": expected a register of the mode's width");
    }
    encode(opcode, 0, type, descriptor);
  }

  private void segmentBase(int digit, Reg reg) {
    if (bits() != 64 || commonWideSize(reg) == 2) {
      throw new IllegalArgumentException("segment base in " + reg + ": expected 4 or 8 bytes, 64-bit code");
    }
    encode(0xF30FAE, reg.size(), digit, reg);
  }
}
