package dev.gnomon.guest.asm;

/** Arithmetic, logic, shifts, bit operations and the atomic read-modify-write instructions. */
abstract sealed class ArithmeticInstructions extends MoveInstructions permits ControlInstructions {

  ArithmeticInstructions(int bits) {
    super(bits);
  }

  /** One of the eight two-operand operations; a label as the source is its address as a full immediate. */
  public final void alu(AluOp op, Operand dst, Operand src) {
    int opcode = op.ordinal() << 3;
    if (src instanceof Label label) {
      int size = commonWideSize(dst);
      modrm(0x81, size, op.ordinal(), dst, addressImmediate(label, size));
      return;
    }
    int size = commonSize(dst, src);
    int wide = size == 1 ? 0 : 1;
    if (src instanceof Reg reg) {
      encode(opcode + wide, size, reg, dst);
    } else {
      encode(opcode + 2 + wide, size, requireRegister(dst), src);
    }
  }

  /** One of the eight two-operand operations with a number, in the shortest form. */
  public final void alu(AluOp op, Operand dst, long value) {
    int size = commonSize(dst);
    long extended = signExtended(value, size);
    Immediate full = Immediate.of(immediateSize(size), extended);
    boolean accumulator = dst instanceof Reg reg && reg.isAccumulator();
    if (size > 1 && fits(extended, 1, Range.SIGNED)) {
      modrm(0x83, size, op.ordinal(), dst, Immediate.of(1, extended));
    } else if (accumulator) {
      plain((op.ordinal() << 3) + (size == 1 ? 4 : 5), size, full);
    } else {
      modrm(size == 1 ? 0x80 : 0x81, size, op.ordinal(), dst, full);
    }
  }

  public final void add(Operand dst, Operand src) { alu(AluOp.ADD, dst, src); }
  public final void add(Operand dst, long value) { alu(AluOp.ADD, dst, value); }
  public final void or(Operand dst, Operand src) { alu(AluOp.OR, dst, src); }
  public final void or(Operand dst, long value) { alu(AluOp.OR, dst, value); }
  public final void adc(Operand dst, Operand src) { alu(AluOp.ADC, dst, src); }
  public final void adc(Operand dst, long value) { alu(AluOp.ADC, dst, value); }
  public final void sbb(Operand dst, Operand src) { alu(AluOp.SBB, dst, src); }
  public final void sbb(Operand dst, long value) { alu(AluOp.SBB, dst, value); }
  public final void and(Operand dst, Operand src) { alu(AluOp.AND, dst, src); }
  public final void and(Operand dst, long value) { alu(AluOp.AND, dst, value); }
  public final void sub(Operand dst, Operand src) { alu(AluOp.SUB, dst, src); }
  public final void sub(Operand dst, long value) { alu(AluOp.SUB, dst, value); }
  public final void xor(Operand dst, Operand src) { alu(AluOp.XOR, dst, src); }
  public final void xor(Operand dst, long value) { alu(AluOp.XOR, dst, value); }
  public final void cmp(Operand dst, Operand src) { alu(AluOp.CMP, dst, src); }
  public final void cmp(Operand dst, long value) { alu(AluOp.CMP, dst, value); }

  /** TEST; one of the operands is a register. */
  public final void test(Operand dst, Operand src) {
    int size = commonSize(dst, src);
    boolean registerLast = src instanceof Reg;
    encode(size == 1 ? 0x84 : 0x85, size, requireRegister(registerLast ? src : dst), registerLast ? dst : src);
  }

  /** TEST with a number. */
  public final void test(Operand dst, long value) {
    int size = commonSize(dst);
    Immediate immediate = Immediate.of(immediateSize(size), signExtended(value, size));
    if (dst instanceof Reg reg && reg.isAccumulator()) {
      plain(size == 1 ? 0xA8 : 0xA9, size, immediate);
    } else {
      modrm(size == 1 ? 0xF6 : 0xF7, size, 0, dst, immediate);
    }
  }

  /** One of the one-operand operations; INC and DEC of a wide register take the one-byte form outside 64-bit code. */
  public final void unary(UnaryOp op, Operand dst) {
    int size = commonSize(dst);
    if (bits() != 64 && size > 1 && dst instanceof Reg reg && (op == UnaryOp.INC || op == UnaryOp.DEC)) {
      withRegister(op == UnaryOp.INC ? 0x40 : 0x48, size, reg, Immediate.NONE);
    } else {
      encode(op.opcode() + (size == 1 ? 0 : 1), size, op.digit(), dst);
    }
  }

  public final void not(Operand dst) { unary(UnaryOp.NOT, dst); }
  public final void neg(Operand dst) { unary(UnaryOp.NEG, dst); }
  public final void mul(Operand src) { unary(UnaryOp.MUL, src); }
  public final void imul(Operand src) { unary(UnaryOp.IMUL, src); }
  public final void div(Operand src) { unary(UnaryOp.DIV, src); }
  public final void idiv(Operand src) { unary(UnaryOp.IDIV, src); }
  public final void inc(Operand dst) { unary(UnaryOp.INC, dst); }
  public final void dec(Operand dst) { unary(UnaryOp.DEC, dst); }

  /** IMUL, two operands: dst × src to dst. */
  public final void imul(Reg dst, Operand src) {
    encode(0x0FAF, commonWideSize(dst, src), dst, src);
  }

  /** IMUL, three operands: src × value to dst. */
  public final void imul(Reg dst, Operand src, long value) {
    int size = commonWideSize(dst, src);
    long extended = signExtended(value, size);
    boolean isByte = fits(extended, 1, Range.SIGNED);
    modrm(isByte ? 0x6B : 0x69, size, dst, src, Immediate.of(isByte ? 1 : immediateSize(size), extended));
  }

  /** A shift or rotate by 0 to 255, of which the processor uses 5 or 6 bits; by 1 in the form without an immediate. */
  public final void shift(ShiftOp op, Operand dst, int count) {
    int size = commonSize(dst);
    int wide = size == 1 ? 0 : 1;
    if (count == 1) {
      encode(0xD0 + wide, size, op.digit(), dst);
    } else {
      encode(0xC0 + wide, size, op.digit(), dst, 1, count);
    }
  }

  /** A shift or rotate by CL. */
  public final void shift(ShiftOp op, Operand dst, Reg cl) {
    requireCl(cl);
    int size = commonSize(dst);
    encode(size == 1 ? 0xD2 : 0xD3, size, op.digit(), dst);
  }

  public final void rol(Operand dst, int count) { shift(ShiftOp.ROL, dst, count); }
  public final void rol(Operand dst, Reg cl) { shift(ShiftOp.ROL, dst, cl); }
  public final void ror(Operand dst, int count) { shift(ShiftOp.ROR, dst, count); }
  public final void ror(Operand dst, Reg cl) { shift(ShiftOp.ROR, dst, cl); }
  public final void rcl(Operand dst, int count) { shift(ShiftOp.RCL, dst, count); }
  public final void rcl(Operand dst, Reg cl) { shift(ShiftOp.RCL, dst, cl); }
  public final void rcr(Operand dst, int count) { shift(ShiftOp.RCR, dst, count); }
  public final void rcr(Operand dst, Reg cl) { shift(ShiftOp.RCR, dst, cl); }
  public final void shl(Operand dst, int count) { shift(ShiftOp.SHL, dst, count); }
  public final void shl(Operand dst, Reg cl) { shift(ShiftOp.SHL, dst, cl); }
  public final void shr(Operand dst, int count) { shift(ShiftOp.SHR, dst, count); }
  public final void shr(Operand dst, Reg cl) { shift(ShiftOp.SHR, dst, cl); }
  public final void sar(Operand dst, int count) { shift(ShiftOp.SAR, dst, count); }
  public final void sar(Operand dst, Reg cl) { shift(ShiftOp.SAR, dst, cl); }

  public final void shld(Operand dst, Reg src, int count) { doubleShift(0x0FA4, dst, src, count); }
  public final void shld(Operand dst, Reg src, Reg cl) { doubleShift(0x0FA5, dst, src, cl); }
  public final void shrd(Operand dst, Reg src, int count) { doubleShift(0x0FAC, dst, src, count); }
  public final void shrd(Operand dst, Reg src, Reg cl) { doubleShift(0x0FAD, dst, src, cl); }

  /** A bit test by the number in a register, which with memory may reach far from the operand. */
  public final void bitTest(BitTestOp op, Operand dst, Reg bit) {
    encode(0x0F83 + (op.digit() << 3), commonWideSize(dst, bit), bit, dst);
  }

  /** A bit test by a constant number 0 to 255, taken modulo the operand's bits. */
  public final void bitTest(BitTestOp op, Operand dst, int bit) {
    encode(0x0FBA, commonWideSize(dst), op.digit(), dst, 1, bit);
  }

  public final void bt(Operand dst, Reg bit) { bitTest(BitTestOp.BT, dst, bit); }
  public final void bt(Operand dst, int bit) { bitTest(BitTestOp.BT, dst, bit); }
  public final void bts(Operand dst, Reg bit) { bitTest(BitTestOp.BTS, dst, bit); }
  public final void bts(Operand dst, int bit) { bitTest(BitTestOp.BTS, dst, bit); }
  public final void btr(Operand dst, Reg bit) { bitTest(BitTestOp.BTR, dst, bit); }
  public final void btr(Operand dst, int bit) { bitTest(BitTestOp.BTR, dst, bit); }
  public final void btc(Operand dst, Reg bit) { bitTest(BitTestOp.BTC, dst, bit); }
  public final void btc(Operand dst, int bit) { bitTest(BitTestOp.BTC, dst, bit); }

  /** A bit scan or count. */
  public final void bitScan(BitScanOp op, Reg dst, Operand src) {
    encode(op.opcode(), commonWideSize(dst, src), dst, src);
  }

  public final void bsf(Reg dst, Operand src) { bitScan(BitScanOp.BSF, dst, src); }
  public final void bsr(Reg dst, Operand src) { bitScan(BitScanOp.BSR, dst, src); }
  public final void tzcnt(Reg dst, Operand src) { bitScan(BitScanOp.TZCNT, dst, src); }
  public final void lzcnt(Reg dst, Operand src) { bitScan(BitScanOp.LZCNT, dst, src); }
  public final void popcnt(Reg dst, Operand src) { bitScan(BitScanOp.POPCNT, dst, src); }

  /** XADD. */
  public final void xadd(Operand dst, Reg src) {
    int size = commonSize(dst, src);
    encode(size == 1 ? 0x0FC0 : 0x0FC1, size, src, dst);
  }

  /** CMPXCHG: compares with the accumulator. */
  public final void cmpxchg(Operand dst, Reg src) {
    int size = commonSize(dst, src);
    encode(size == 1 ? 0x0FB0 : 0x0FB1, size, src, dst);
  }

  /** CMPXCHG8B: compares 8 bytes with EDX:EAX. */
  public final void cmpxchg8b(Mem dst) {
    encode(0x0FC7, 0, 1, dst);
  }

  /** CMPXCHG16B: compares 16 bytes with RDX:RAX; 64-bit code only. */
  public final void cmpxchg16b(Mem dst) {
    encode(0x0FC7, 8, 1, dst);
  }

  /** RDRAND. */
  public final void rdrand(Reg dst) {
    encode(0x0FC7, commonWideSize(dst), 6, dst);
  }

  /** RDSEED. */
  public final void rdseed(Reg dst) {
    encode(0x0FC7, commonWideSize(dst), 7, dst);
  }

  /** AAM in base 10; not in 64-bit code. */
  public final void aam() {
    aam(10);
  }

  /** AAM in a base of 0 (which divides by zero) to 255. */
  public final void aam(int base) {
    decimal(0xD4, base);
  }

  /** AAD in base 10; not in 64-bit code. */
  public final void aad() {
    aad(10);
  }

  /** AAD in a base of 0 to 255. */
  public final void aad(int base) {
    decimal(0xD5, base);
  }

  private void decimal(int opcode, int base) {
    requireLegacy("decimal adjustment");
    plain(opcode, 0, Immediate.of(1, base));
  }

  final void requireLegacy(String what) {
    if (bits() == 64) {
      throw new IllegalArgumentException(what + ": not in 64-bit code");
    }
  }

  private void doubleShift(int opcode, Operand dst, Reg src, int count) {
    modrm(opcode, commonWideSize(dst, src), src, dst, Immediate.of(1, count));
  }

  private void doubleShift(int opcode, Operand dst, Reg src, Reg cl) {
    requireCl(cl);
    encode(opcode, commonWideSize(dst, src), src, dst);
  }

  private static void requireCl(Reg cl) {
    if (cl != Reg.CL) {
      throw new IllegalArgumentException("shift by " + cl + ": expected CL or a number");
    }
  }
}
