package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.RIP_BASE;
import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.T0;
import static dev.gnomon.guest.cpu.Cpu.T2;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.mmu.SoftTlb;

/** Register and memory operands of the instruction in hand: addresses, loads, stores and partial registers. */
abstract sealed class OperandLowering extends MicroOpEmitter permits ArithmeticLowering {
  Instruction insn;
  int mode;
  /** Offset of the next instruction from the block's start. */
  int next;
  // The memory operand's address, as the fields of a load or store.
  int addressA;
  int addressB;
  int addressX;
  int addressImmediate;

  OperandLowering(BlockBuilder out) {
    super(out);
  }

  final boolean highByte(int register, int size) {
    return size == 1 && insn.rex == 0 && register >= 4 && register < 8;
  }

  /** Slot that holds a register operand in its low bits; a high byte is first brought into {@code temporary}. */
  final int register(int register, int size, int temporary) {
    if (highByte(register, size)) {
      warm(WarmOp.HIGH, temporary, register - 4, ZERO, 0, 0);
      return temporary;
    }
    return register;
  }

  final void writeRegister(int register, int from, int size) {
    if (highByte(register, size)) {
      warm(WarmOp.MOVH, register - 4, from, ZERO, 0, 0);
    } else {
      writeFull(register, from, size);
    }
  }

  final void writeFull(int register, int from, int size) {
    switch (size) {
      case 8 -> move(register, from);
      case 4 -> zeroExtend(register, from, -1);
      default -> emit(MicroOp.MOVN, register, from, 0, 64 - 8 * size, 0);
    }
  }

  /** Slot with the ModRM operand: a register, or T0 after a load. */
  final int loadRm(int size) {
    if (!insn.isMemory()) {
      return register(insn.rm, size, T0);
    }
    address(size, false);
    loadTo(T0, size);
    return T0;
  }

  final void storeRm(int from, int size) {
    if (insn.isMemory()) {
      address(size, true);
      store(from, size);
    } else {
      writeRegister(insn.rm, from, size);
    }
  }

  final void loadTo(int register, int size) {
    access(MicroOp.LD8, SoftTlb.DENY_LOAD, register, size);
  }

  final void store(int from, int size) {
    access(MicroOp.ST8, SoftTlb.DENY_STORE, from, size);
  }

  /** Load of a read-modify-write into T0; atomic together with {@link #storeBack} under LOCK. */
  final void loadForWrite(int size) {
    if (insn.lock) {
      warm(WarmOp.LDX, T0, addressA, addressB, addressX | sizeCode(size) << 3, addressImmediate);
    } else {
      access(MicroOp.LDW8, SoftTlb.DENY_LOAD | SoftTlb.DENY_STORE, T0, size);
    }
  }

  /** @param firstOp the operation for bytes. @param denied rights that the access needs, as soft-TLB bits */
  final void access(int firstOp, int denied, int register, int size) {
    out.emit(firstOp + sizeCode(size), register, addressA, addressB, addressX | size - 1 << 3, denied >> 3,
        addressImmediate, 0);
  }

  final void storeBack(int from, int size) {
    if (insn.lock) {
      warmStore(from, size);
    } else {
      store(from, size);
    }
  }

  final void warmStore(int from, int size) {
    warm(WarmOp.STX, from, addressA, addressB, addressX | sizeCode(size) << 3, addressImmediate);
  }

  /** Works out the memory operand's linear address, in fields of a load or store if one can hold it, else in T2. */
  final void address(int size, boolean write) {
    if (!directAddress()) {
      offsetToT2();
      segmentT2(size, write);
    }
  }

  /** Works out the memory operand's linear address if the fields of a load or store can hold it. */
  private boolean directAddress() {
    boolean direct;
    if (insn.mode64) {
      direct = insn.addressSize == 8 && insn.segment != Segments.FS && insn.segment != Segments.GS;
    } else {
      direct = insn.addressSize == 4 && (mode & Cpu.MODE_FLAT_DATA) != 0
          && (insn.segment == Segments.DS || insn.segment == Segments.ES || insn.segment == Segments.SS);
    }
    long displacement = insn.displacement + (insn.ripRelative ? next : 0);
    if (!direct || !insn.mode64 && insn.ripRelative || insn.mode64 && displacement != (int) displacement) {
      return false;
    }
    addressA = insn.ripRelative ? RIP_BASE : insn.base < 0 ? ZERO : insn.base;
    addressB = insn.index < 0 ? ZERO : insn.index;
    addressX = insn.scale | (insn.segment == Segments.SS ? 4 : 0);
    addressImmediate = (int) displacement;
    return true;
  }

  /** INVLPG, which checks neither rights nor limit of the segment. */
  final int invalidatePage() {
    if (!directAddress()) {
      offsetToT2();
      if (!insn.mode64 || insn.segment == Segments.FS || insn.segment == Segments.GS) {
        emit(MicroOp.ADDSEG, T2, T2, 0, 0, insn.segment);
      }
      addressT2();
    }
    out.emit(MicroOp.WARM, SINK, addressA, addressB, addressX, insn.length, addressImmediate, WarmOp.INVLPG);
    return out.end();
  }

  /** Offset of the memory operand within its segment, truncated to the address size, into T2. */
  final void offsetToT2() {
    long displacement = insn.displacement + (insn.ripRelative ? next : 0);
    int a = insn.ripRelative ? RIP_BASE : insn.base < 0 ? ZERO : insn.base;
    int b = insn.index < 0 ? ZERO : insn.index;
    if (insn.addressSize == 2) {
      warm(WarmOp.LEA16, T2, a, b, 0, (int) displacement);
    } else if (insn.addressSize == 4) {
      add(MicroOp.LEA32, T2, a, b, insn.scale, (int) displacement);
    } else if (displacement == (int) displacement) {
      add(MicroOp.LEA64, T2, a, b, insn.scale, (int) displacement);
    } else {
      constant64(T2, displacement);
      add(MicroOp.LEA64, T2, T2, b, insn.scale, 0);
      emit(MicroOp.ADD_NF64, T2, T2, a, 0, 0);
    }
  }

  final void segmentT2(int size, boolean write) {
    if (!insn.mode64) {
      warm(WarmOp.LINEAR, T2, T2, ZERO, insn.segment | (write ? 8 : 0), size);
    } else if (insn.segment == Segments.FS || insn.segment == Segments.GS) {
      emit(MicroOp.ADDSEG, T2, T2, 0, 0, insn.segment);
    }
    addressT2();
  }

  private void addressT2() {
    addressA = T2;
    addressB = ZERO;
    addressX = insn.segment == Segments.SS ? 4 : 0;
    addressImmediate = 0;
  }
}
