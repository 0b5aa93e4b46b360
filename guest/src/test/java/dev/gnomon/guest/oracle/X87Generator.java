package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Rflags;
import java.util.List;
import java.util.SplittableRandom;

/** Makes cases of one x87 instruction, with any control word, most registers full of numbers worth a case. */
final class X87Generator extends CaseGenerator {

  X87Generator(List<InstructionForm> forms, boolean intel) {
    super(forms, intel);
  }

  @Override
  void begin() {
    super.begin();
    VectorGenerator.fill(state, random);
    fill(state.fx, random);
    for (int at = 0; at + 16 <= state.areas.length; at += 16) {
      if (random.nextInt(4) == 0) {
        put(at, VectorValues.fraction(random, 64) | Long.MIN_VALUE, VectorValues.extendedExponent(random));
      }
    }
  }

  private void put(int at, long significand, int exponent) {
    for (int i = 0; i < 10; i++) {
      state.areas[at + i] = (byte) (i < 8 ? significand >>> 8 * i : exponent >>> 8 * (i - 8));
    }
  }

  /** Random registers and control word; no exception is pending most times. */
  static void fill(FxImage fx, SplittableRandom random) {
    for (int at = FxImage.REGISTERS; at < FxImage.XMM; at += 16) {
      long significand = VectorValues.fraction(random, 64) | (random.nextInt(16) == 0 ? 0 : Long.MIN_VALUE);
      int exponent = VectorValues.extendedExponent(random);
      boolean zero = random.nextInt(12) == 0;
      fx.word(at, zero ? 0 : significand);
      fx.word(at + 8, zero ? exponent & 0x8000 : exponent);
    }
    int masks = random.nextInt(4) == 0 ? random.nextInt() & FpuWord.FLAGS : FpuWord.FLAGS;
    int precision = random.nextBoolean() ? 3 : random.nextInt(2) * 2;
    int rounding = random.nextBoolean() ? 0 : random.nextInt(4);
    fx.control(FpuWord.CONTROL_FIXED | masks | precision << FpuWord.PC_SHIFT | rounding << FpuWord.RC_SHIFT);
    int flags = random.nextInt() & (random.nextInt(32) == 0 ? FpuWord.FLAGS : masks);
    fx.status(flags | random.nextInt() & (FpuWord.C0 | FpuWord.C1 | FpuWord.C2 | FpuWord.C3 | FpuWord.TOP)
        | (random.nextInt(8) == 0 ? FpuWord.SF : 0));
    fx.tags(random.nextInt(3) == 0 ? random.nextInt(256) : 0xFF);
  }

  @Override
  boolean emit(InstructionForm form) {
    if (!super.emit(form)) {
      return false;
    }
    test.lastBitUndefined = transcendental(form, lastModrm());
    return !test.lastBitUndefined || defined(lastModrm());
  }

  /** Whether the manual says what comes of it: F2XM1 takes −1 to 1, FYL2XP1 something less. */
  private boolean defined(int modrm) {
    int exponent = (int) state.fx.word(FxImage.REGISTERS + 8) & 0x7FFF;
    long fraction = state.fx.word(FxImage.REGISTERS) << 1;
    boolean nan = exponent == 0x7FFF && fraction != 0;
    return switch (modrm) {
      case 0xF0 -> exponent < 0x3FFF || exponent == 0x3FFF && fraction == 0 || nan;
      case 0xF9 -> exponent < 0x3FFD || nan;
      default -> true;
    };
  }

  /** One of the instructions whose last bit is the processor's own. */
  static boolean transcendental(InstructionForm form, int modrm) {
    return form.opcode() == 0xD9 && switch (modrm) {
      case 0xF0, 0xF1, 0xF2, 0xF3, 0xF9, 0xFB, 0xFE, 0xFF -> true;
      default -> false;
    };
  }

  @Override
  void operandsInPlace(InstructionForm form, boolean memory, int immediateSize) {
    state.rflags &= ~Rflags.AC;
    if (form.is("environment")) {
      // The processor cuts pointers to its own number of address bits, and checks no reserved ones.
      state.poke(target, 4, random.nextInt());
    } else if (form.is("decimal")) {
      for (int i = 0; i < 10; i++) {
        state.poke(target + i, 1, i == 9 ? random.nextBoolean() ? 0x80 : 0 : random.nextInt(10) << 4
            | random.nextInt(10));
      }
    }
  }
}
