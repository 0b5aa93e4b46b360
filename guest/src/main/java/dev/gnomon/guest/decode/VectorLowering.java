package dev.gnomon.guest.decode;

import static dev.gnomon.guest.cpu.Cpu.SINK;
import static dev.gnomon.guest.cpu.Cpu.ZERO;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;

/** MMX and SSE to SSE4.2: each instruction becomes one {@link MicroOp#VECTOR}. */
abstract sealed class VectorLowering extends BranchLowering permits Lowering {
  private static final int MMX_REGISTERS = 7;
  private static final int MOVE_STORE = 0x11;
  private static final int ALIGNED_STORE = 0x29;
  private static final int MOVD_STORE = 0x7E;
  private static final int INTEGER_STORE = 0x7F;
  private static final int MOVQ_STORE = 0xD6;
  private static final int BYTE_SHIFTS = 0x73;
  /**
   * CVTPI2PS and CVTPI2PD: from memory, processors leave the MMX state alone, though the manual says so only of the
   * latter.
   */
  private static final int INTEGERS_TO_FLOATS = 0x2A;

  VectorLowering(BlockBuilder out) {
    super(out);
  }

  final int vector() {
    int opcode = insn.opcode & 0xFF;
    int map = (insn.opcode >> 8) - 1;
    int prefix = insn.rep == 0xF3 ? VectorOp.PREFIX_F3 : insn.rep == 0xF2 ? VectorOp.PREFIX_F2
        : insn.operandPrefix ? VectorOp.PREFIX_66 : VectorOp.NO_PREFIX;
    VectorForm form = VectorForm.of(map, opcode, prefix);
    boolean memory = insn.isMemory();
    boolean exists = form != null && (form.feature() == null || out.cpuid.offers(form.feature()));
    if (!exists || memory && form.registerOnly() || !memory && form.memoryOnly()) {
      return undefined(false);
    }
    if (form == VectorForm.ALONE) {
      return ALONE;
    }
    if (map == VectorOp.MAP_0F && opcode >= 0x71 && opcode <= BYTE_SHIFTS) {
      return shiftByImmediate(opcode, prefix, form.target());
    }
    int size = form.size() != 0 ? form.size() : (insn.rex & 8) != 0 ? 8 : 4;
    boolean store = form.target() == VectorOp.MEMORY;
    boolean sparesMmx = memory && map == VectorOp.MAP_0F && opcode == INTEGERS_TO_FLOATS;
    int used = uses(form.target()) | (sparesMmx ? 0 : uses(form.source()));
    int flags = used | (form.aligned() ? VectorOp.ALIGNED : 0) | ((insn.rex & 8) != 0 ? VectorOp.WIDE : 0);
    int immediate = (int) insn.immediate & 0xFF;
    if (memory) {
      if (mayFaultByAddress()) {
        // Whether the registers may be used at all is checked before the operand's segment.
        out.emit(MicroOp.VECTOR, SINK, ZERO, ZERO, 0, 0, 0, VectorOp.word(0, prefix, 0, 0, 0, used, 0));
      }
      address(size, store);
      int register = number(store ? form.source() : form.target(), insn.reg);
      int source = store ? form.source() : VectorOp.MEMORY;
      out.emit(MicroOp.VECTOR, register, addressA, addressB, addressX, map, addressImmediate,
          VectorOp.word(opcode, prefix, source, form.target(), size, flags, immediate));
    } else if (store) {
      storeToRegister(map, opcode, prefix, form, size, flags);
    } else {
      out.emit(MicroOp.VECTOR, number(form.target(), insn.reg), ZERO, number(form.source(), insn.rm), 0, map, 0,
          VectorOp.word(opcode, prefix, form.source(), form.target(), size, flags, immediate));
    }
    return NEXT;
  }

  /** A store whose ModRM operand is a register: the load that does the same the other way round. */
  private void storeToRegister(int map, int opcode, int prefix, VectorForm form, int size, int flags) {
    int load = opcode;
    int loadPrefix = prefix;
    int target = form.source();
    switch (map == VectorOp.MAP_0F ? opcode : 0) {
      case MOVE_STORE, ALIGNED_STORE -> load = opcode - 1;
      case INTEGER_STORE -> load = 0x6F;
      case MOVQ_STORE -> {
        load = MOVD_STORE;
        loadPrefix = VectorOp.PREFIX_F3;
      }
      default -> target = VectorOp.GENERAL;
    }
    out.emit(MicroOp.VECTOR, number(target, insn.rm), ZERO, number(form.source(), insn.reg), 0, map, 0,
        VectorOp.word(load, loadPrefix, form.source(), target, size, flags, (int) insn.immediate & 0xFF));
  }

  /** Groups 12 to 14, as the shifts by a register that they correspond to. */
  private int shiftByImmediate(int opcode, int prefix, int target) {
    int group = insn.group();
    boolean bytes = opcode == BYTE_SHIFTS && prefix == VectorOp.PREFIX_66 && (group == 3 || group == 7);
    boolean exists = bytes || group == 2 || group == 6 || group == 4 && opcode != BYTE_SHIFTS;
    if (!exists) {
      return undefined(false);
    }
    int shift = bytes ? BYTE_SHIFTS : 0xD0 + (group / 2 - 1 << 4) + opcode - 0x70;
    out.emit(MicroOp.VECTOR, number(target, insn.rm), ZERO, ZERO, group, 0, (int) insn.immediate & 0xFF,
        VectorOp.word(shift, prefix, VectorOp.GENERAL, target, 0, uses(target), 0));
    return NEXT;
  }

  /** MOVNTI: a store as any other, and no SIMD instruction as far as the control registers go. */
  final int storeNonTemporal() {
    if (!insn.isMemory() || insn.operandPrefix || insn.rep != 0) {
      return undefined(false);
    }
    int size = Math.max(4, insn.operandSize);
    address(size, true);
    store(insn.reg, size);
    return NEXT;
  }

  private boolean mayFaultByAddress() {
    boolean flat = (mode & Cpu.MODE_FLAT_DATA) != 0 && insn.addressSize == 4
        && (insn.segment == Segments.DS || insn.segment == Segments.ES || insn.segment == Segments.SS);
    return !insn.mode64 && !flat;
  }

  private static int uses(int kind) {
    return kind == VectorOp.XMM ? VectorOp.USES_XMM : kind == VectorOp.MMX ? VectorOp.USES_MMX : 0;
  }

  /** Number of a register; REX does not extend those of MMX. */
  private static int number(int kind, int register) {
    return kind == VectorOp.MMX ? register & MMX_REGISTERS : register;
  }
}
