package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.decode.VectorOp;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.simd.PackedInteger;
import dev.gnomon.guest.simd.PackedLanes;
import dev.gnomon.guest.simd.StringCompare;

/** Vector operations of the maps 0F 38 and 0F 3A: SSSE3, SSE4.1 and SSE4.2 (SDM vol. 2, by instruction). */
final class VectorExtensions {
  private static final long LOW32 = 0xFFFF_FFFFL;

  private final Cpu cpu;
  private final long[] xmm;
  private final FpuState fpu;
  private final VectorFloats floats;

  VectorExtensions(Cpu cpu, FpuState fpu, VectorFloats floats) {
    this.cpu = cpu;
    this.xmm = cpu.xmm;
    this.fpu = fpu;
    this.floats = floats;
  }

  /**
   * Runs one operation that is no store.
   *
   * @param map of {@link VectorOp}, not 0F
   * @param d number of the target register
   * @param low bits 63..0 of the source, 127..64 in {@code high}
   * @return status
   */
  int run(int map, int op, int d, long low, long high) {
    boolean immediate = map == VectorOp.MAP_0F3A;
    switch (VectorOp.target(op)) {
      case VectorOp.MMX -> {
        fpu.setMmx(d, mmx(immediate, op, fpu.mmx(d), low));
        fpu.enterMmx();
      }
      case VectorOp.FLAGS -> {
        if (immediate) {
          compareStrings(op, d, low, high);
        } else {
          test(d, low, high);
        }
      }
      case VectorOp.GENERAL -> cpu.regs[d] = extract(op, low, high);
      default -> {
        if (!immediate) {
          xmm(VectorOp.opcode(op), d, low, high);
        } else if (VectorOp.opcode(op) <= 0x0B) {
          return floats.round(op, d, low, high);
        } else if (VectorOp.opcode(op) == 0x40 || VectorOp.opcode(op) == 0x41) {
          return floats.dotProduct(op, d, low, high);
        } else {
          byImmediate(op, d, low, high);
        }
      }
    }
    return Status.OK;
  }

  private static long mmx(boolean immediate, int op, long a, long b) {
    int opcode = VectorOp.opcode(op);
    if (immediate) {
      return PackedLanes.window(b, a, 0, 0, VectorOp.immediate(op));
    }
    return switch (opcode) {
      case 0x00 -> PackedLanes.shuffleBytes(a, 0, b, 8);
      case 0x01, 0x02, 0x03, 0x05, 0x06, 0x07 -> PackedLanes.horizontal(opcode, a, b);
      default -> PackedLanes.half(opcode, a, b);
    };
  }

  private void set(int d, long low, long high) {
    xmm[2 * d] = low;
    xmm[2 * d + 1] = high;
  }

  private void xmm(int opcode, int d, long low, long high) {
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    switch (opcode) {
      case 0x00 -> set(d, PackedLanes.shuffleBytes(a, b, low, 16), PackedLanes.shuffleBytes(a, b, high, 16));
      case 0x01, 0x02, 0x03, 0x05, 0x06, 0x07 -> set(d, PackedLanes.horizontal(opcode, a, b),
          PackedLanes.horizontal(opcode, low, high));
      // PBLENDVB, BLENDVPS, BLENDVPD: XMM0 chooses.
      case 0x10, 0x14, 0x15 -> {
        int width = opcode == 0x10 ? 8 : opcode == 0x14 ? 32 : 64;
        set(d, PackedLanes.blend(a, low, xmm[0], width), PackedLanes.blend(b, high, xmm[1], width));
      }
      case 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35 -> set(d,
          PackedLanes.extend(opcode, low, 0), PackedLanes.extend(opcode, low, 1));
      // MOVNTDQA, PACKUSDW, PHMINPOSUW.
      case 0x2A -> set(d, low, high);
      case 0x2B -> set(d, PackedInteger.pack(a, 32, false) | PackedInteger.pack(b, 32, false) << 32,
          PackedInteger.pack(low, 32, false) | PackedInteger.pack(high, 32, false) << 32);
      case 0x41 -> set(d, PackedLanes.minimumWord(low, high), 0);
      default -> set(d, PackedLanes.half(opcode, a, low), PackedLanes.half(opcode, b, high));
    }
  }

  private void byImmediate(int op, int d, long low, long high) {
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    int immediate = VectorOp.immediate(op);
    switch (VectorOp.opcode(op)) {
      // BLENDPS, BLENDPD, PBLENDW.
      case 0x0C -> set(d, PackedLanes.blendByBits(a, low, immediate, 32),
          PackedLanes.blendByBits(b, high, immediate >> 2, 32));
      case 0x0D -> set(d, PackedLanes.blendByBits(a, low, immediate, 64),
          PackedLanes.blendByBits(b, high, immediate >> 1, 64));
      case 0x0E -> set(d, PackedLanes.blendByBits(a, low, immediate, 16),
          PackedLanes.blendByBits(b, high, immediate >> 4, 16));
      case 0x0F -> set(d, PackedLanes.window(low, high, a, b, immediate),
          PackedLanes.window(low, high, a, b, immediate + 8));
      case 0x20 -> insert(d, low, immediate, 8);
      case 0x22 -> insert(d, low, immediate, (op & VectorOp.WIDE) != 0 ? 64 : 32);
      case 0x21 -> insertSingle(op, d, low, high, immediate);
      // MPSADBW.
      default -> {
        int block = dword(low, high, immediate);
        int from = immediate & 4;
        set(d, PackedLanes.differences(a, b, block, from), PackedLanes.differences(a, b, block, from + 4));
      }
    }
  }

  private static int dword(long low, long high, int which) {
    return (int) (((which & 2) == 0 ? low : high) >>> 32 * (which & 1));
  }

  /** PINSRB, PINSRD, PINSRQ. */
  private void insert(int d, long value, int position, int width) {
    int bit = position * width & 127;
    long mask = -1L >>> 64 - width << bit;
    int at = 2 * d + (bit >> 6);
    xmm[at] = xmm[at] & ~mask | value << bit & mask;
  }

  /** INSERTPS: one single into a lane, then zeros into others. */
  private void insertSingle(int op, int d, long low, long high, int immediate) {
    boolean memory = VectorOp.source(op) == VectorOp.MEMORY;
    insert(d, dword(low, high, memory ? 0 : immediate >> 6) & LOW32, immediate >> 4 & 3, 32);
    for (int lane = 0; lane < 4; lane++) {
      if ((immediate >> lane & 1) != 0) {
        insert(d, 0, lane, 32);
      }
    }
  }

  /** PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS: the element that the immediate names, zero-extended. */
  static long extract(int op, long low, long high) {
    int width = switch (VectorOp.opcode(op)) {
      case 0x14 -> 8;
      case 0x15 -> 16;
      case 0x16 -> (op & VectorOp.WIDE) != 0 ? 64 : 32;
      default -> 32;
    };
    int bit = VectorOp.immediate(op) * width & 127;
    return (bit < 64 ? low : high) >>> bit & -1L >>> 64 - width;
  }

  /** PTEST. */
  private void test(int d, long low, long high) {
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    boolean zero = (a & low | b & high) == 0;
    boolean carry = (~a & low | ~b & high) == 0;
    cpu.setStatusFlags((zero ? Rflags.ZF : 0) | (carry ? Rflags.CF : 0));
  }

  /** PCMPESTRM 60, PCMPESTRI 61, PCMPISTRM 62, PCMPISTRI 63. */
  private void compareStrings(int op, int d, long low, long high) {
    int control = VectorOp.immediate(op);
    long a = xmm[2 * d];
    long b = xmm[2 * d + 1];
    boolean implicit = (VectorOp.opcode(op) & 2) != 0;
    boolean wide = (op & VectorOp.WIDE) != 0;
    long rax = cpu.regs[Cpu.RAX];
    long rdx = cpu.regs[Cpu.RDX];
    int aLength = implicit ? StringCompare.length(control, a, b)
        : StringCompare.length(control, wide ? rax : (int) rax);
    int bLength = implicit ? StringCompare.length(control, low, high)
        : StringCompare.length(control, wide ? rdx : (int) rdx);
    int bits = StringCompare.compare(control, a, b, aLength, low, high, bLength);
    if ((VectorOp.opcode(op) & 1) != 0) {
      cpu.regs[Cpu.RCX] = StringCompare.index(control, bits);
    } else {
      set(0, StringCompare.mask(control, bits, false), StringCompare.mask(control, bits, true));
    }
    int elements = StringCompare.elements(control);
    cpu.setStatusFlags((bits != 0 ? Rflags.CF : 0) | (bLength < elements ? Rflags.ZF : 0)
        | (aLength < elements ? Rflags.SF : 0) | ((bits & 1) != 0 ? Rflags.OF : 0));
  }
}
