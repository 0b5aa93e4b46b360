package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Mxcsr;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The state of x87, MMX and SSE as FXSAVE64 lays it out, which is how the helper gets and gives it. */
final class FxImage {
  static final int SIZE = 512;
  static final int MXCSR = 24;
  static final int REGISTERS = 32;
  static final int XMM = 160;
  /** Behind the last XMM register. */
  static final int END = 416;
  private static final int STATUS = 2;
  private static final int TAGS = 4;
  private static final int OPCODE = 6;
  static final int INSTRUCTION = 8;
  static final int DATA = 16;
  private static final int MXCSR_MASK = 28;
  private static final int EXPONENT = 0x7FFF;
  /** OE and UE. */
  private static final int RANGE_FLAGS = 0x18;

  final byte[] bytes = new byte[SIZE];
  private final ByteBuffer view = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);

  FxImage() {
    view.putShort(0, (short) FpuWord.INITIAL_CONTROL);
    mxcsr(Mxcsr.INITIAL);
  }

  int mxcsr() {
    return view.getInt(MXCSR);
  }

  void mxcsr(int value) {
    view.putInt(MXCSR, value);
  }

  long word(int at) {
    return view.getLong(at);
  }

  void word(int at, long value) {
    view.putLong(at, value);
  }

  void status(int value) {
    view.putShort(STATUS, (short) value);
  }

  void control(int value) {
    view.putShort(0, (short) value);
  }

  void tags(int value) {
    view.put(TAGS, (byte) value);
  }

  void load(Cpu cpu) {
    cpu.fpuControl = view.getShort(0) & 0xFFFF;
    cpu.fpuStatus = view.getShort(STATUS) & 0xFFFF & ~(FpuWord.ES | FpuWord.B);
    cpu.fpuValid = bytes[TAGS] & 0xFF;
    cpu.fpuOpcode = view.getShort(OPCODE) & 0xFFFF;
    cpu.fpuInstruction = view.getLong(INSTRUCTION);
    cpu.fpuData = view.getLong(DATA);
    cpu.mxcsr = mxcsr();
    for (int i = 0; i < 8; i++) {
      int register = (cpu.fpuStatus >> FpuWord.TOP_SHIFT) + i & 7;
      cpu.fpuSignificand[register] = view.getLong(REGISTERS + 16 * i);
      cpu.fpuExponent[register] = view.getShort(REGISTERS + 16 * i + 8) & 0xFFFF;
    }
    for (int i = 0; i < cpu.xmm.length; i++) {
      cpu.xmm[i] = view.getLong(XMM + 8 * i);
    }
  }

  void save(Cpu cpu) {
    view.putShort(0, (short) cpu.fpuControl);
    view.putShort(STATUS, (short) FpuWord.visible(cpu.fpuStatus, cpu.fpuControl));
    view.putShort(TAGS, (short) cpu.fpuValid);
    view.putShort(OPCODE, (short) cpu.fpuOpcode);
    view.putLong(INSTRUCTION, cpu.fpuInstruction);
    view.putLong(DATA, cpu.fpuData);
    mxcsr(cpu.mxcsr);
    view.putInt(MXCSR_MASK, Mxcsr.DEFINED);
    for (int i = 0; i < 8; i++) {
      int register = (cpu.fpuStatus >> FpuWord.TOP_SHIFT) + i & 7;
      view.putLong(REGISTERS + 16 * i, cpu.fpuSignificand[register]);
      view.putLong(REGISTERS + 16 * i + 8, cpu.fpuExponent[register]);
    }
    for (int i = 0; i < cpu.xmm.length; i++) {
      view.putLong(XMM + 8 * i, cpu.xmm[i]);
    }
  }

  /**
   * Takes over C1 from another image, and the registers that are one unit in the last place away; with one that is so
   * across an end of the range also overflow or underflow.
   */
  void forgiveLastBit(FxImage other) {
    status(view.getShort(STATUS) & ~FpuWord.C1 | other.view.getShort(STATUS) & FpuWord.C1);
    for (int at = REGISTERS; at < XMM; at += 16) {
      long exponents = word(at + 8) - other.word(at + 8);
      long significands = word(at) - other.word(at);
      boolean near = exponents == 0 && Math.abs(significands) == 1
          || Math.abs(exponents) == 1 && significands == (exponents > 0 ? Long.MIN_VALUE + 1 : Long.MAX_VALUE);
      if (near) {
        int exponent = (int) word(at + 8) & EXPONENT;
        if (exponent <= 1 || exponent >= EXPONENT - 1) {
          status(view.getShort(STATUS) & ~RANGE_FLAGS | other.view.getShort(STATUS) & RANGE_FLAGS);
        }
        word(at, other.word(at));
        word(at + 8, other.word(at + 8));
      }
    }
  }

  /**
   * The first word that another image has otherwise, by what it is, or null.
   *
   * @param x87 all is compared, not MXCSR and XMM only.
   * @param pointers the last-instruction pointers, too
   */
  String difference(FxImage other, boolean x87, boolean pointers) {
    for (int at = x87 ? 0 : MXCSR; at < END; at += at == MXCSR && !x87 ? XMM - MXCSR : 8) {
      long different = word(at) ^ other.word(at);
      if (!pointers && at < MXCSR) {
        different &= at == 0 ? 0xFFFF_FFFF_FFFFL : 0;
      }
      if (at == MXCSR) {
        // What MXCSR_MASK has beyond this model is the host's affair.
        different &= 0xFFFF_FFFFL;
      }
      if (different != 0) {
        return at == MXCSR ? "mxcsr" : at >= XMM ? "xmm" + (at - XMM) / 16 : at >= REGISTERS ? "st"
            + (at - REGISTERS) / 16 : "x87 word " + at;
      }
    }
    return null;
  }

  /** All words that differ from another image's, or with null all. */
  String dump(FxImage other) {
    StringBuilder text = new StringBuilder(String.format("mxcsr %04x  x87 %016x %016x %016x%n", mxcsr(), word(0),
        word(8), word(16)));
    for (int at = REGISTERS; at < END; at += 16) {
      boolean same = other == null ? word(at) == 0 && word(at + 8) == 0 : word(at) == other.word(at)
          && word(at + 8) == other.word(at + 8);
      if (!same) {
        String name = at >= XMM ? "xmm" + (at - XMM) / 16 : "st" + (at - REGISTERS) / 16;
        text.append(String.format("%-5s %016x %016x%n", name, word(at + 8), word(at)));
      }
    }
    return text.toString();
  }
}
