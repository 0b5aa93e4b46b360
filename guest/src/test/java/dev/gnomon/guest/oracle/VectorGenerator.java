package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.ExtendedStateLayout;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Mxcsr;
import dev.gnomon.guest.cpu.Rflags;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Makes cases of one MMX or SSE to SSE4.2 instruction, in any rounding mode, with any flags and masks, most operands of
 * it numbers worth a case.
 */
final class VectorGenerator extends CaseGenerator {

  /** Bits of XCR0 from AVX to AMX. */
  private static final long HOST_COMPONENTS = 0xF_FFFC;

  VectorGenerator(List<InstructionForm> forms, boolean intel) {
    super(forms, intel);
  }

  @Override
  void begin() {
    super.begin();
    fill(state, random);
  }

  /** Random vector state and data areas. */
  static void fill(MachineState state, SplittableRandom random) {
    for (int i = 0; i < state.areas.length; i += 8) {
      long v = VectorValues.word(random);
      for (int j = 0; j < 8; j++) {
        state.areas[i + j] = (byte) (v >>> 8 * j);
      }
    }
    FxImage fx = state.fx;
    for (int at = FxImage.XMM; at < FxImage.END; at += 8) {
      fx.word(at, VectorValues.word(random));
    }
    for (int at = FxImage.REGISTERS; at < FxImage.XMM; at += 16) {
      fx.word(at, VectorValues.word(random));
      fx.word(at + 8, random.nextBoolean() ? 0xFFFF : random.nextInt(0x10000));
    }
    fx.mxcsr(mxcsr(random));
    fx.control(FpuWord.CONTROL_FIXED | FpuWord.FLAGS);
    int flags = random.nextInt(8) == 0 ? random.nextInt(FpuWord.FLAGS + 1) : 0;
    if (random.nextInt(16) == 0) {
      fx.control(FpuWord.CONTROL_FIXED | random.nextInt() & FpuWord.CONTROL_WRITABLE);
    }
    fx.status(flags | random.nextInt(8) << FpuWord.TOP_SHIFT);
    fx.tags(random.nextInt(256));
  }

  static int mxcsr(SplittableRandom random) {
    int value = random.nextInt() & (Mxcsr.RC | Mxcsr.FLAGS);
    if (random.nextBoolean()) {
      value &= ~Mxcsr.RC;
    }
    if (random.nextInt(4) == 0) {
      value |= random.nextInt() & (Mxcsr.DAZ | Mxcsr.FTZ);
    }
    int masks = Mxcsr.FLAGS;
    if (random.nextInt(6) == 0) {
      masks = random.nextInt() & Mxcsr.FLAGS;
    }
    return value | masks << Mxcsr.MASKS_SHIFT;
  }

  /** Operands of few different elements, some of them 0, and lengths about as many as there are. */
  private void strings(boolean memory) {
    if (random.nextInt(4) == 0) {
      return;
    }
    int width = random.nextBoolean() ? 8 : 16;
    for (int at = FxImage.XMM; at < FxImage.END; at += 8) {
      state.fx.word(at, elements(width));
    }
    for (int i = 0; i + 8 <= state.areas.length; i += 8) {
      long word = elements(width);
      for (int j = 0; j < 8; j++) {
        state.areas[i + j] = (byte) (word >>> 8 * j);
      }
    }
    for (int register : new int[] {0, 2}) {
      // With an operand in memory they may be part of its address.
      if (!memory && random.nextInt(4) != 0) {
        long length = random.nextInt(-20, 20);
        state.regs[register] = mode64 ? length : length & 0xFFFF_FFFFL;
      }
    }
  }

  private long elements(int width) {
    long word = 0;
    for (int at = 0; at < 64; at += width) {
      word |= (random.nextInt(8) == 0 ? random.nextInt() & 0xFFL : random.nextInt(4)) << at;
    }
    return word;
  }

  /** What XRSTOR finds: most headers are good. */
  private void area() {
    long components = random.nextInt(4);
    long places = random.nextBoolean() ? 0 : ExtendedStateLayout.COMPACTED | components | random.nextInt(4);
    if (random.nextInt(16) == 0) {
      places ^= 1L << random.nextInt(64);
    }
    boolean bad = random.nextInt(16) == 0;
    state.poke(target + ExtendedStateLayout.HEADER, 8, bad ? components | 1L << random.nextInt(40, 64) : components);
    // Bits that the host has components for and the model has not.
    state.poke(target + ExtendedStateLayout.HEADER + 8, 8, places & ~HOST_COMPONENTS);
    for (int word = 2; word < 8; word++) {
      state.poke(target + ExtendedStateLayout.HEADER + 8 * word, 8, random.nextInt(64) == 0 ? random.nextLong() : 0);
    }
  }

  @Override
  boolean emit(InstructionForm form) {
    if (form.is("area")) {
      state.regs[0] = random.nextInt() & ~HOST_COMPONENTS & 0xFFFF_FFFFL;
    }
    return super.emit(form) && (!form.is("area") || (state.regs[0] & HOST_COMPONENTS) == 0);
  }

  @Override
  void operandsInPlace(InstructionForm form, boolean memory, int immediateSize) {
    if (form.is("m512") || form.is("area")) {
      // A misaligned FXSAVE or FXRSTOR may raise #AC in place of #GP.
      state.rflags &= ~Rflags.AC;
    }
    if (form.is("strings")) {
      strings(memory);
    }
    if (form.is("image")) {
      area();
    }
    if (form.is("mxcsr")) {
      state.poke(target, 4, random.nextInt(4) == 0 ? random.nextInt() : mxcsr(random));
    } else if (form.is("fximage") || form.is("image")) {
      // The processor cuts pointers to its own number of address bits.
      state.poke(target + FxImage.INSTRUCTION, 8, random.nextLong() >>> 20);
      state.poke(target + FxImage.DATA, 8, random.nextLong() >>> 20);
      state.poke(target + FxImage.MXCSR, 4, random.nextInt(4) == 0 ? random.nextInt() : mxcsr(random));
    } else if (form.is("masked")) {
      // Which of an alignment fault and a page fault comes first differs with the bytes that are selected.
      state.rflags &= ~Rflags.AC;
      // Nor is it told what happens where the operand leaves the address space.
      long to = pickTarget(16);
      state.regs[RDI] =
          offset(to >= OracleLayout.DATA - 16 && to <= OracleLayout.DATA_END ? to : OracleLayout.DATA_MIDDLE);
    } else {
      super.operandsInPlace(form, memory, immediateSize);
    }
  }
}
