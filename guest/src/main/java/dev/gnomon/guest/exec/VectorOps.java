package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.decode.MicroOp;
import dev.gnomon.guest.decode.VectorOp;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.simd.PackedInteger;

/**
 * Runs {@link VectorOp}s: checks that the registers may be used, fetches the source, and does moves, shuffles and
 * packed integers itself; numbers are {@link VectorFloats}'. Nothing is written before the last thing that can fault.
 */
final class VectorOps {
  private static final long LOW32 = 0xFFFF_FFFFL;

  private final Cpu cpu;
  private final long[] r;
  private final long[] xmm;
  private final CodeCache cache;
  private final MemoryPath path;
  private final VectorMemory memory;
  private final VectorFloats floats;
  private final FpuState fpu;
  private final VectorExtensions extensions;

  VectorOps(Cpu cpu, CodeCache cache, LinearMemory linear, MemoryPath path) {
    this.cpu = cpu;
    this.r = cpu.regs;
    this.xmm = cpu.xmm;
    this.cache = cache;
    this.path = path;
    this.memory = new VectorMemory(cpu, linear, path);
    this.floats = new VectorFloats(cpu);
    this.fpu = new FpuState(cpu);
    this.extensions = new VectorExtensions(cpu, fpu, floats);
  }

  /** Runs the operation at {@code pc}. @param alone the instruction is the only one of its block. @return status */
  int run(int pc, boolean alone) {
    long w = cache.code[pc];
    int op = (int) cache.code[pc + 1];
    int status = available(op);
    int map = MicroOp.condition(w);
    if (status < 0 || VectorOp.opcode(op) == 0 && map == VectorOp.MAP_0F) {
      return status;
    }
    int d = MicroOp.d(w);
    boolean aligned = (op & VectorOp.ALIGNED) != 0;
    if (VectorOp.target(op) == VectorOp.MEMORY) {
      return store(w, op, d, aligned, alone);
    }
    long low;
    long high = 0;
    int b = MicroOp.b(w);
    switch (VectorOp.source(op)) {
      case VectorOp.MEMORY:
        status = memory.load(path.address(w, MicroOp.immediate(w)), VectorOp.size(op), aligned, MemoryPath.stack(w),
            alone);
        if (status < 0) {
          return status;
        }
        low = memory.low;
        high = memory.high;
        break;
      case VectorOp.XMM:
        low = xmm[2 * b];
        high = xmm[2 * b + 1];
        break;
      case VectorOp.MMX:
        low = fpu.mmx(b);
        break;
      default:
        low = r[b] + MicroOp.immediate(w);
        low = (op & VectorOp.WIDE) != 0 ? low : low & LOW32;
        break;
    }
    if (map != VectorOp.MAP_0F) {
      return extensions.run(map, op, d, low, high);
    }
    return switch (VectorOp.opcode(op)) {
      case 0x2A, 0x2C, 0x2D, 0x2E, 0x2F, 0x51, 0x52, 0x53, 0x58, 0x59, 0x5A, 0x5B, 0x5C, 0x5D, 0x5E, 0x5F, 0x7C, 0x7D,
          0xC2, 0xD0, 0xE6 -> number(op, d, low, high);
      default -> {
        switch (VectorOp.target(op)) {
          case VectorOp.XMM -> xmm(op, d, low, high, MicroOp.x(w));
          case VectorOp.MMX -> fpu.setMmx(d, mmx(op, fpu.mmx(d), low));
          default -> r[d] = general(op, low, high);
        }
        if ((op & VectorOp.USES_MMX) != 0) {
          fpu.enterMmx();
        }
        yield Status.OK;
      }
    };
  }

  /**
   * #UD, #NM and pending x87 exceptions (SDM vol. 2A, "Instruction Exception Specification"; vol. 3A, "Handling
   * Exceptions in MMX Code").
   */
  private int available(int op) {
    boolean usesXmm = (op & VectorOp.USES_XMM) != 0;
    if ((cpu.cr0 & ControlRegister.CR0_EM) != 0 || usesXmm && (cpu.cr4 & ControlRegister.CR4_OSFXSR) == 0) {
      return cpu.fault(Vector.UD);
    }
    if ((cpu.cr0 & ControlRegister.CR0_TS) != 0) {
      return cpu.fault(Vector.NM);
    }
    return (op & VectorOp.USES_MMX) != 0 && fpu.exceptionPending() ? cpu.fault(Vector.MF) : Status.OK;
  }

  private int number(int op, int d, long low, long high) {
    int status = floats.run(op, d, low, high);
    if (status == Status.OK && (op & VectorOp.USES_MMX) != 0) {
      fpu.enterMmx();
      if (VectorOp.target(op) == VectorOp.MMX) {
        fpu.setMmx(d, floats.result);
      }
    }
    return status;
  }

  private int store(long w, int op, int d, boolean aligned, boolean alone) {
    boolean mmx = VectorOp.source(op) == VectorOp.MMX;
    boolean extracts = MicroOp.condition(w) != VectorOp.MAP_0F;
    // MOVHPS and MOVHPD store the upper half.
    long low = mmx ? fpu.mmx(d) : extracts ? VectorExtensions.extract(op, xmm[2 * d], xmm[2 * d + 1])
        : xmm[VectorOp.opcode(op) == 0x17 ? 2 * d + 1 : 2 * d];
    int status = memory.store(path.address(w, MicroOp.immediate(w)), VectorOp.size(op), low, mmx ? 0 : xmm[2 * d + 1],
        aligned, MemoryPath.stack(w), alone);
    if (mmx && status == Status.OK) {
      fpu.enterMmx();
    }
    return status;
  }

  private void xmm(int op, int d, long low, long high, int group) {
    int at = 2 * d;
    long a = xmm[at];
    long b = xmm[at + 1];
    int opcode = VectorOp.opcode(op);
    int immediate = VectorOp.immediate(op);
    switch (opcode) {
      case 0x10:
        moveScalar(op, at, low, high);
        break;
      case 0x28, 0x6F, 0x6E, 0xF0:
        set(at, low, high);
        break;
      case 0x7E, 0xD6:
        set(at, low, 0);
        break;
      case 0x12:
        moveLow(op, at, low, high);
        break;
      case 0x16:
        if (VectorOp.prefix(op) == VectorOp.PREFIX_F3) {
          // MOVSHDUP.
          set(at, low >>> 32 | low & ~LOW32, high >>> 32 | high & ~LOW32);
        } else {
          xmm[at + 1] = low;
        }
        break;
      case 0x14, 0x15: {
        long from = opcode == 0x14 ? a : b;
        long other = opcode == 0x14 ? low : high;
        if (VectorOp.prefix(op) == VectorOp.PREFIX_66) {
          set(at, from, other);
        } else {
          set(at, PackedInteger.interleave(from, other, 32), PackedInteger.interleave(from >>> 32, other >>> 32, 32));
        }
        break;
      }
      case 0x60, 0x61, 0x62, 0x68, 0x69, 0x6A: {
        long from = opcode < 0x68 ? a : b;
        long other = opcode < 0x68 ? low : high;
        int width = 8 << (opcode & 7) % 8;
        set(at, PackedInteger.interleave(from, other, width),
            PackedInteger.interleave(from >>> 32, other >>> 32, width));
        break;
      }
      case 0x6C:
        set(at, a, low);
        break;
      case 0x6D:
        set(at, b, high);
        break;
      case 0x63, 0x67, 0x6B: {
        int width = opcode == 0x6B ? 32 : 16;
        boolean signed = opcode != 0x67;
        set(at, PackedInteger.pack(a, width, signed) | PackedInteger.pack(b, width, signed) << 32,
            PackedInteger.pack(low, width, signed) | PackedInteger.pack(high, width, signed) << 32);
        break;
      }
      case 0x70:
        shuffle(op, at, low, high, immediate);
        break;
      case 0x73:
        shiftBytes(at, group == 7, (int) Math.min(low, 16));
        break;
      case 0xC4: {
        int half = at + (immediate >> 2 & 1);
        xmm[half] = insert(xmm[half], low, immediate);
        break;
      }
      case 0xC6:
        if (VectorOp.prefix(op) == VectorOp.PREFIX_66) {
          set(at, (immediate & 1) == 0 ? a : b, (immediate & 2) == 0 ? low : high);
        } else {
          set(at, dword(a, b, immediate) | dword(a, b, immediate >> 2) << 32, dword(low, high, immediate >> 4)
              | dword(low, high, immediate >> 6) << 32);
        }
        break;
      case 0xD1, 0xD2, 0xD3, 0xE1, 0xE2, 0xF1, 0xF2, 0xF3:
        set(at, shift(opcode, a, low), shift(opcode, b, low));
        break;
      default:
        set(at, PackedInteger.half(opcode, a, low), PackedInteger.half(opcode, b, high));
        break;
    }
  }

  private void set(int at, long low, long high) {
    xmm[at] = low;
    xmm[at + 1] = high;
  }

  /** MOVSLDUP, MOVDDUP; MOVHLPS, or MOVLPS from memory. */
  private void moveLow(int op, int at, long low, long high) {
    switch (VectorOp.prefix(op)) {
      case VectorOp.PREFIX_F3 -> set(at, low & LOW32 | low << 32, high & LOW32 | high << 32);
      case VectorOp.PREFIX_F2 -> set(at, low, low);
      default -> xmm[at] = VectorOp.source(op) == VectorOp.MEMORY ? low : high;
    }
  }

  /** MOVUPS and MOVUPD; MOVSS and MOVSD, which clear what is above when they load and keep it when they copy. */
  private void moveScalar(int op, int at, long low, long high) {
    boolean register = VectorOp.source(op) == VectorOp.XMM;
    switch (VectorOp.prefix(op)) {
      case VectorOp.PREFIX_F3 -> set(at, register ? xmm[at] & ~LOW32 | low & LOW32 : low, register ? xmm[at + 1] : 0);
      case VectorOp.PREFIX_F2 -> set(at, low, register ? xmm[at + 1] : 0);
      default -> set(at, low, high);
    }
  }

  /** PSHUFD, PSHUFHW, PSHUFLW. */
  private void shuffle(int op, int at, long low, long high, int order) {
    switch (VectorOp.prefix(op)) {
      case VectorOp.PREFIX_F3 -> set(at, low, PackedInteger.shuffleWords(high, order));
      case VectorOp.PREFIX_F2 -> set(at, PackedInteger.shuffleWords(low, order), high);
      default -> set(at, dword(low, high, order) | dword(low, high, order >> 2) << 32,
          dword(low, high, order >> 4) | dword(low, high, order >> 6) << 32);
    }
  }

  /** One of four doublewords, by the lowest two bits of {@code which}. */
  private static long dword(long low, long high, int which) {
    long half = (which & 2) == 0 ? low : high;
    return (which & 1) == 0 ? half & LOW32 : half >>> 32;
  }

  /** PSLLDQ and PSRLDQ by 0 to 16 bytes. */
  private void shiftBytes(int at, boolean left, int bytes) {
    long low = xmm[at];
    long high = xmm[at + 1];
    int bits = 8 * bytes;
    if (bits == 0) {
      return;
    }
    if (left) {
      set(at, bits < 64 ? low << bits : 0, bits < 64 ? high << bits | low >>> 64 - bits : bits < 128
          ? low << bits - 64 : 0);
    } else {
      set(at, bits < 64 ? low >>> bits | high << 64 - bits : bits < 128 ? high >>> bits - 64 : 0, bits < 64
          ? high >>> bits : 0);
    }
  }

  /** Shift of all lanes; the opcode's high digit tells the kind, its low one the width. */
  private static long shift(int opcode, long value, long count) {
    return PackedInteger.shift(opcode >> 4 & 3, 8 << (opcode & 3), value, count);
  }

  /** PINSRW. */
  private static long insert(long half, long word, int position) {
    int at = 16 * (position & 3);
    return half & ~(0xFFFFL << at) | (word & 0xFFFF) << at;
  }

  /** The result of an operation on MMX registers. */
  private long mmx(int op, long a, long b) {
    int opcode = VectorOp.opcode(op);
    int immediate = VectorOp.immediate(op);
    return switch (opcode) {
      case 0x6E, 0x6F, 0xD6 -> b;
      case 0x60, 0x61, 0x62 -> PackedInteger.interleave(a, b, 8 << (opcode & 3));
      case 0x68, 0x69, 0x6A -> PackedInteger.interleave(a >>> 32, b >>> 32, 8 << (opcode & 3));
      case 0x63, 0x67, 0x6B -> {
        int width = opcode == 0x6B ? 32 : 16;
        yield PackedInteger.pack(a, width, opcode != 0x67) | PackedInteger.pack(b, width, opcode != 0x67) << 32;
      }
      case 0x70 -> PackedInteger.shuffleWords(b, immediate);
      case 0xC4 -> insert(a, b, immediate);
      case 0xD1, 0xD2, 0xD3, 0xE1, 0xE2, 0xF1, 0xF2, 0xF3 -> shift(opcode, a, b);
      default -> PackedInteger.half(opcode, a, b);
    };
  }

  /** The value for a general register: MOVD, MOVMSKPS, MOVMSKPD, PEXTRW, PMOVMSKB. */
  private long general(int op, long low, long high) {
    boolean mmx = VectorOp.source(op) == VectorOp.MMX;
    return switch (VectorOp.opcode(op)) {
      case 0x7E -> (op & VectorOp.WIDE) != 0 ? low : low & LOW32;
      case 0x50 -> VectorOp.prefix(op) == VectorOp.PREFIX_66 ? low >>> 63 | high >>> 63 << 1
          : low >>> 31 & 1 | low >>> 63 << 1 | (high >>> 31 & 1) << 2 | high >>> 63 << 3;
      case 0xC5 -> ((VectorOp.immediate(op) & 4) == 0 || mmx ? low
          : high) >>> 16 * (VectorOp.immediate(op) & 3) & 0xFFFF;
      default -> PackedInteger.signs(low) | (mmx ? 0 : PackedInteger.signs(high) << 8);
    };
  }
}
