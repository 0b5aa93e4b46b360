package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.Rflags;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Makes programs: instructions in a row, with jumps over some of them, in a loop, and sometimes with one that changes
 * another's immediate. Their memory operands are near a few pointers. The loop counter is a register that nothing else
 * touches, so that every program ends.
 */
final class SequenceGenerator extends CaseGenerator {
  private static final int[] POINTERS = {RBX, RSI, RDI, 12, 13};
  private static final int COUNTER_64 = 15;
  private static final int COUNTER_32 = RBP;
  private static final int MOST_ROUNDS = 90;
  /** Room for the longest instruction, what seals its flags, and the end of the loop. */
  private static final int RESERVE = 64;
  private static final int SHORT = 127;

  private final int mostUnits;
  /** Displacement of a store that is to change a later immediate; {@link #NONE} if there is none. */
  private int store;

  /** @param mostUnits most instructions, jumps not counted */
  SequenceGenerator(List<InstructionForm> forms, boolean intel, int mostUnits) {
    super(forms.stream().filter(SequenceGenerator::fits).toList(), intel);
    this.mostUnits = mostUnits;
  }

  /**
   * Whether an instruction may stand among others: it returns, needs nothing prepared, and neither reads AF nor writes
   * more than one stack slot.
   */
  private static boolean fits(InstructionForm form) {
    return switch (form.name()) {
      case "ud", "ud1", "ud2", "lahf", "pushf", "popf", "enter", "leave", "pusha", "popa", "int", "hlt", "cli", "sti",
          "in", "out", "bound", "arpl" -> false;
      case "aaa", "aas", "daa", "das", "div", "idiv", "lgdt", "lidt", "lldt", "ltr", "lmsw", "invlpg", "invd",
          "wbinvd", "clts", "rdmsr", "wrmsr", "fxsave", "fxrstor", "ldmxcsr", "maskmovq", "maskmovdqu",
          "fnstenv", "fldenv", "fnsave", "frstor" -> false;
      // The rest are jumps, counts that decide whether the result is defined, and moves to and from control and debug
      // registers.
      default -> !form.is("branch") && !(form.is("double") && form.is("by-cl")) && form.opcode() >>> 2 != 0xF20 >>> 2;
    };
  }

  @Override
  OracleCase generate(long seed) {
    random = new SplittableRandom(seed);
    begin();
    boolean crossing = random.nextInt(8) == 0;
    int offset = crossing ? OracleLayout.PAGE - 1 - random.nextInt(40) : 0x800 + random.nextInt(64);
    state.rip = OracleLayout.CODE + offset;
    for (int register : POINTERS) {
      state.regs[register] = mode64 || register < 8 ? OracleLayout.DATA_MIDDLE - 64 + random.nextInt(128) : 0;
    }
    VectorGenerator.fill(state, random);
    if (random.nextBoolean()) {
      X87Generator.fill(state.fx, random);
    }
    state.rflags &= ~(Rflags.AC | Rflags.DF);
    int counter = mode64 ? COUNTER_64 : COUNTER_32;
    state.regs[counter] = switch (random.nextInt(16)) {
      case 0 -> 1 + random.nextInt(MOST_ROUNDS);
      case 1, 2, 3 -> 1 + random.nextInt(8);
      default -> 1;
    };
    boolean adjustUndefined = units(2 + random.nextInt(mostUnits - 1));
    put(mode64 ? 0xCFFF49 : 0xCDFF, mode64 ? 3 : 2);
    if (length < SHORT - 2) {
      put(0x75, 1);
      put(-length - 1, 1);
    } else {
      put(0x850F, 2);
      put(-length - 4, 4);
    }
    test.undefinedFlags = adjustUndefined ? Rflags.AF : 0;
    test.undefinedFlagsOnFault = test.undefinedFlags;
    test.memoryUndefinedOnFault = false;
    test.x87UndefinedOnFault = true;
    test.pointersUndefined = true;
    test.countersCutOnFault = false;
    test.faultsUnordered = false;
    return finish();
  }

  /** @return whether AF may be undefined anywhere */
  private boolean units(int units) {
    boolean adjustUndefined = false;
    int jump = NONE;
    int jumpOver = 0;
    store = random.nextInt(3) == 0 ? selfModification() : NONE;
    StringBuilder name = new StringBuilder();
    for (int unit = 0; unit < units && length < bytes.length - RESERVE; unit++) {
      if (random.nextInt(16) == 0) {
        callAndReturn();
      }
      InstructionForm form = instruction();
      name.append(form.name()).append(' ');
      if ((test.undefinedFlags & ~Rflags.AF) != 0) {
        seal();
      }
      adjustUndefined |= test.undefinedFlags != 0;
      if (jump != NONE && --jumpOver == 0) {
        bytes[jump] = (byte) (length - jump - 1);
        jump = NONE;
      } else if (jump == NONE && random.nextInt(3) == 0) {
        put(random.nextInt(10) == 0 ? 0xEB : 0x70 | random.nextInt(16), 1);
        jump = length;
        put(0, 1);
        jumpOver = 1 + random.nextInt(2);
      }
      if (store != NONE && random.nextInt(4) == 0) {
        modified();
      }
    }
    if (store != NONE) {
      modified();
    }
    test.name = name.toString().trim();
    return adjustUndefined;
  }

  private InstructionForm instruction() {
    int start = length;
    while (true) {
      InstructionForm form = forms.get(random.nextInt(forms.size()));
      if (!form.is(mode64 ? "legacy" : "long") && emit(form) && !X87Generator.transcendental(form, lastModrm())) {
        return form;
      }
      length = start;
    }
  }

  /** A call to the next instruction, which makes the return address that of the instruction behind its own RET. */
  private void callAndReturn() {
    put(0xE8, 5);
    put(mode64 ? 0x06_2404_8348L : 0x05_2404_83L, mode64 ? 5 : 4);
    put(0xC3, 1);
  }

  /** A store of 1, 2 or 4 bytes of a register to code. @return where its displacement lies */
  private int selfModification() {
    int kind = random.nextInt(3);
    if (kind == 1) {
      put(0x66, 1);
    }
    put(kind == 0 ? 0x88 : 0x89, 1);
    put(0x05 | random.nextInt(4) << 3, 1);
    put(0, 4);
    return length - 4;
  }

  /** The instruction whose immediate is stored to. */
  private void modified() {
    put(0xB8 | random.nextInt(3), 1);
    long displacement = mode64 ? length - store - 4 : state.rip + length;
    put(random.nextInt(), 4);
    int end = length;
    length = store;
    put(displacement, 4);
    length = end;
    store = NONE;
  }

  /** Sets all status flags, so that nobody reads the ones that the instruction before left undefined. */
  private void seal() {
    put(random.nextBoolean() ? 0x39 : 0x29, 1);
    put(0xC0 | random.nextInt(4) << 3 | random.nextInt(4), 1);
    test.undefinedFlags = 0;
  }

  @Override
  boolean memoryAllowed(InstructionForm form) {
    return !form.is("aligned");
  }

  @Override
  boolean plainAddresses() {
    return true;
  }

  @Override
  int repeatPrefix(InstructionForm form) {
    // A page fault in a repeated comparison may give back the flags that were before it (SDM vol. 2B, "REP").
    boolean compares = form.name().equals("cmps") || form.name().equals("scas");
    return compares ? 0 : super.repeatPrefix(form);
  }

  @Override
  int register() {
    int register = super.register();
    // Most writes spare the pointers.
    boolean pointer = switch (register) {
      case RBX, RSP, RSI, RDI, 12, 13 -> true;
      default -> false;
    };
    boolean counter = register == (mode64 ? COUNTER_64 : COUNTER_32);
    return counter || pointer && random.nextInt(8) != 0 ? register & 8 | random.nextInt(3) : register;
  }

  @Override
  int count(InstructionForm form) {
    // CL is not known before the program runs: as if the flags that depend on it were undefined.
    return form.is("by-cl") ? 2 : super.count(form);
  }

  @Override
  void prepare(InstructionForm form) { }

  @Override
  void memoryOperand(InstructionForm form, int immediateSize) {
    int base = POINTERS[random.nextInt(rexAllowed ? POINTERS.length : 3)];
    rexBit(base >> 3, 1);
    put(0x40 | (regField & 7) << 3 | base & 7, 1);
    if ((base & 7) == RSP) {
      put(0x24, 1);
    }
    put(random.nextInt(-64, 64), 1);
  }

  @Override
  void operandsInPlace(InstructionForm form, boolean memory, int immediateSize) {
    if (form.is("moffs")) {
      super.operandsInPlace(form, memory, immediateSize);
    }
  }
}
