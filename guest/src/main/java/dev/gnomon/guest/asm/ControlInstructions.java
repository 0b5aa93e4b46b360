package dev.gnomon.guest.asm;

/** Transfers of control: jumps, calls, returns, interrupts, and what depends on a condition. */
abstract sealed class ControlInstructions extends ArithmeticInstructions permits SystemInstructions {

  ControlInstructions(int bits) {
    super(bits);
  }

  /** JMP near, with a displacement of 2 bytes in 16-bit code, else 4. */
  public final void jmp(Label target) {
    near(0xE9, target);
  }

  /** JMP short, with a displacement of 1 byte. */
  public final void jmpShort(Label target) {
    shortJump(0xEB, 0, target);
  }

  /** JMP near to the address in a register or memory; without a size, that of the code. */
  public final void jmp(Operand target) {
    indirect(4, target);
  }

  /** JMP far to selector:address of a label, the offset in the size of the code (2 or 4 bytes); not in 64-bit code. */
  public final void jmpFar(int selector, Label target) {
    jmpFar(selector, target, bits() / 8);
  }

  /** JMP far with an offset of 2 or 4 bytes, whatever the code size: from 16- to 32-bit code and back. */
  public final void jmpFar(int selector, Label target, int offsetSize) {
    far(0xEA, selector, Immediate.of(offsetSize, target, Range.EITHER));
  }

  /** JMP far to selector:offset, the offset of 2 or 4 bytes. */
  public final void jmpFar(int selector, long offset, int offsetSize) {
    far(0xEA, selector, Immediate.of(offsetSize, offset));
  }

  /** JMP far through a pointer in memory; its size (2, 4, 8) is that of the offset, 4 in 64-bit code without one. */
  public final void jmpFar(Mem pointer) {
    encode(0xFF, pointer.size(), 5, pointer);
  }

  /** CALL near, with a displacement of 2 bytes in 16-bit code, else 4. */
  public final void call(Label target) {
    near(0xE8, target);
  }

  /** CALL near to the address in a register or memory; without a size, that of the code. */
  public final void call(Operand target) {
    indirect(2, target);
  }

  /** CALL far to selector:address of a label, the offset in the size of the code (2 or 4 bytes); not in 64-bit code. */
  public final void callFar(int selector, Label target) {
    callFar(selector, target, bits() / 8);
  }

  /** CALL far with an offset of 2 or 4 bytes, whatever the code size. */
  public final void callFar(int selector, Label target, int offsetSize) {
    far(0x9A, selector, Immediate.of(offsetSize, target, Range.EITHER));
  }

  /** CALL far to selector:offset, the offset of 2 or 4 bytes. */
  public final void callFar(int selector, long offset, int offsetSize) {
    far(0x9A, selector, Immediate.of(offsetSize, offset));
  }

  /** CALL far through a pointer in memory; its size (2, 4, 8) is that of the offset, 4 in 64-bit code without one. */
  public final void callFar(Mem pointer) {
    encode(0xFF, pointer.size(), 3, pointer);
  }

  /** Jcc near, with a displacement of 2 bytes in 16-bit code, else 4. */
  public final void jcc(Cond cond, Label target) {
    near(0x0F80 + cond.ordinal(), target);
  }

  /** Jcc short, with a displacement of 1 byte. */
  public final void jccShort(Cond cond, Label target) {
    shortJump(0x70 + cond.ordinal(), 0, target);
  }

  public final void jo(Label target) { jcc(Cond.O, target); }
  public final void jno(Label target) { jcc(Cond.NO, target); }
  public final void jb(Label target) { jcc(Cond.B, target); }
  public final void jc(Label target) { jcc(Cond.B, target); }
  public final void jae(Label target) { jcc(Cond.AE, target); }
  public final void jnc(Label target) { jcc(Cond.AE, target); }
  public final void je(Label target) { jcc(Cond.E, target); }
  public final void jz(Label target) { jcc(Cond.E, target); }
  public final void jne(Label target) { jcc(Cond.NE, target); }
  public final void jnz(Label target) { jcc(Cond.NE, target); }
  public final void jbe(Label target) { jcc(Cond.BE, target); }
  public final void ja(Label target) { jcc(Cond.A, target); }
  public final void js(Label target) { jcc(Cond.S, target); }
  public final void jns(Label target) { jcc(Cond.NS, target); }
  public final void jp(Label target) { jcc(Cond.P, target); }
  public final void jnp(Label target) { jcc(Cond.NP, target); }
  public final void jl(Label target) { jcc(Cond.L, target); }
  public final void jge(Label target) { jcc(Cond.GE, target); }
  public final void jle(Label target) { jcc(Cond.LE, target); }
  public final void jg(Label target) { jcc(Cond.G, target); }

  /** SETcc on a byte. */
  public final void set(Cond cond, Operand dst) {
    if (dst.size() > 1 || dst instanceof Label) {
      throw new IllegalArgumentException("setcc " + dst + ": expected a byte");
    }
    encode(0x0F90 + cond.ordinal(), 1, 0, dst);
  }

  /** CMOVcc. */
  public final void cmov(Cond cond, Reg dst, Operand src) {
    encode(0x0F40 + cond.ordinal(), commonWideSize(dst, src), dst, src);
  }

  /** LOOPNE, counting in the register of the code's address size. */
  public final void loopne(Label target) {
    shortJump(0xE0, 0, target);
  }

  /** LOOPE, counting in the register of the code's address size. */
  public final void loope(Label target) {
    shortJump(0xE1, 0, target);
  }

  /** LOOP, counting in the register of the code's address size. */
  public final void loop(Label target) {
    shortJump(0xE2, 0, target);
  }

  /** JCXZ; not in 64-bit code. */
  public final void jcxz(Label target) {
    shortJump(0xE3, 2, target);
  }

  /** JECXZ. */
  public final void jecxz(Label target) {
    shortJump(0xE3, 4, target);
  }

  /** JRCXZ; 64-bit code only. */
  public final void jrcxz(Label target) {
    shortJump(0xE3, 8, target);
  }

  /** RET near that also pops {@code bytes} (0 to FFFFH) of arguments. */
  public final void ret(int bytes) {
    plain(0xC2, 0, Immediate.of(2, bytes));
  }

  /** RET far that also pops {@code bytes} (0 to FFFFH) of arguments. */
  public final void retf(int bytes) {
    plain(0xCA, 0, Immediate.of(2, bytes));
  }

  /** INT with a vector of 0 to 255. */
  public final void interrupt(int vector) {
    if (vector < 0) {
      throw new IllegalArgumentException("vector " + vector + ": expected 0 to 255");
    }
    plain(0xCD, 0, Immediate.of(1, vector));
  }

  /** ENTER with a frame of 0 to FFFFH bytes and a nesting level of 0 to 31. */
  public final void enter(int frame, int level) {
    plain(0xC8, 0, Immediate.of(2, frame));
    putChecked(level, 1);
  }

  /** BOUND of a 16- or 32-bit register against two limits in memory; not in 64-bit code. */
  public final void bound(Reg index, Mem limits) {
    requireLegacy("bound");
    encode(0x62, commonWideSize(index), index, limits);
  }

  private void near(int opcode, Label target) {
    plain(opcode, 0, Immediate.NONE);
    relative(target, 0, bits() == 16 ? 2 : 4, 0, bits() == 32 ? Range.WRAPPING : Range.SIGNED);
  }

  private void shortJump(int opcode, int addressSize, Label target) {
    if (addressSize == 2 && bits() == 64 || addressSize == 8 && bits() != 64) {
      throw new IllegalArgumentException("jump on " + addressSize + " bytes of RCX: not in " + bits() + "-bit code");
    }
    if (addressSize != 0 && addressSize != bits() / 8) {
      put(ADDRESS_SIZE_PREFIX, 1);
    }
    plain(opcode, 0, Immediate.NONE);
    relative(target, 0, 1, 0, Range.SIGNED);
  }

  private void indirect(int digit, Operand target) {
    if (target instanceof Reg) {
      commonWideSize(target);
    }
    encode(0xFF, stackOperandSize(target.size()), digit, target);
  }

  private void far(int opcode, int selector, Immediate offset) {
    requireLegacy("direct far branch");
    if (offset.size() != 2 && offset.size() != 4) {
      throw new IllegalArgumentException("far offset of " + offset.size() + " bytes: expected 2 or 4");
    }
    plain(opcode, offset.size(), offset);
    putChecked(selector, 2);
  }
}
