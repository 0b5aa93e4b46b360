package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

/** Emits single micro-ops, under names for what they do; the base of all lowering. */
abstract sealed class MicroOpEmitter permits OperandLowering {
  static final int NEXT = 0;
  /** The block ends with this instruction. */
  static final int END = 1;
  /** The instruction runs from its decoded form, alone in its block. */
  static final int ALONE = 2;

  final BlockBuilder out;

  MicroOpEmitter(BlockBuilder out) {
    this.out = out;
  }

  /** #UD, or #GP(0) for an instruction of more than 15 bytes. */
  final int undefined(boolean tooLong) {
    warm(tooLong ? WarmOp.GP : WarmOp.UD, SINK, ZERO, ZERO, 0, 0);
    return END;
  }

  static int sizeCode(int size) {
    return Integer.numberOfTrailingZeros(size);
  }

  final void move(int d, int a) {
    emit(MicroOp.ADD_NF64, d, a, ZERO, 0, 0);
  }

  final void constant(int d, int value) {
    emit(MicroOp.ADD_NF64, d, ZERO, ZERO, 0, value);
  }

  final void constant64(int d, long value) {
    out.emit(MicroOp.MOVI64, d, ZERO, ZERO, 0, 0, (int) value, (int) (value >>> 32));
  }

  /** d = a & mask, the mask zero-extended. */
  final void zeroExtend(int d, int a, int mask) {
    if (mask < 0) {
      emit(MicroOp.ADD_NF32, d, a, ZERO, 0, 0);
    } else {
      emit(MicroOp.AND_NF64, d, a, ZERO, 0, mask);
    }
  }

  final void conditional(int op, int d, int a, int x, int condition) {
    out.emit(op, d, a, ZERO, x, condition, 0, 0);
  }

  /** d = a + b scaled + displacement. @param op LEA64 or LEA32 */
  final void add(int op, int d, int a, int b, int scale, int displacement) {
    int plain = op == MicroOp.LEA64 ? MicroOp.ADD_NF64 : MicroOp.ADD_NF32;
    emit(scale == 0 ? plain : op, d, a, b, scale, displacement);
  }

  /** @param op the form for 64 bits that sets flags */
  final void flagged(int op, int d, int a, int b, int x, int immediate) {
    emit(x == 32 ? op + 2 : op, d, a, b, x, immediate);
  }

  final void emit(int op, int d, int a, int b, int x, int immediate) {
    out.emit(op, d, a, b, x, 0, immediate, 0);
  }

  final void warm(int operation, int d, int a, int b, int x, int immediate) {
    out.emit(MicroOp.WARM, d, a, b, x, 0, immediate, operation);
  }
}
