package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.decode.InstructionDecoder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Makes cases of random bytes: those that the model decodes to an instruction of the table that is safe to run wherever
 * it points to. Finds lengths and prefixes that the two sides see differently.
 */
final class RandomCodeGenerator {
  private static final int[] PREFIXES = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x40,
      0x41, 0x44, 0x48, 0x49, 0x4C};
  private static final int MODE_64 = Cpu.MODE_64 | Cpu.MODE_FLAT_CODE | Cpu.MODE_FLAT_DATA | Cpu.MODE_USER;
  private static final int MODE_32 = Cpu.MODE_32 | Cpu.MODE_STACK32 | Cpu.MODE_FLAT_CODE | Cpu.MODE_FLAT_DATA
      | Cpu.MODE_USER;
  /** ModRM.reg of rows that do not care. */
  private static final int ANY = 8;

  private final Map<Integer, InstructionForm> forms = new HashMap<>();
  private final InstructionDecoder decoder = new InstructionDecoder();
  private final Instruction insn = new Instruction();
  private final byte[] bytes = new byte[InstructionDecoder.MAX_LENGTH + 1];

  RandomCodeGenerator(List<InstructionForm> table) {
    for (InstructionForm form : table) {
      boolean unsafe = form.is("branch") || form.is("vector") || form.name().equals("ud") || form.name().equals("ud1")
          || form.is("popf");
      int opcode = form.opcode() > 0xFF ? Instruction.MAP_0F | form.opcode() & 0xFF : form.opcode();
      int registers = form.is("+r") ? 8 : 1;
      for (int register = 0; register < registers && !unsafe; register++) {
        forms.put(opcode + register << 4 | (form.digit() >= 0 ? form.digit() : ANY), form);
      }
    }
  }

  OracleCase generate(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    while (true) {
      OracleCase test = attempt(random);
      if (test != null) {
        return test;
      }
    }
  }

  private OracleCase attempt(SplittableRandom random) {
    boolean mode64 = random.nextInt(4) != 0;
    if (random.nextInt(64) == 0) {
      return tooLong(random, mode64);
    }
    random.nextBytes(bytes);
    int prefixes = random.nextInt(16) == 0 ? random.nextInt(15) : random.nextInt(4);
    for (int i = 0; i < prefixes; i++) {
      bytes[i] = (byte) PREFIXES[random.nextInt(mode64 ? PREFIXES.length : PREFIXES.length - 6)];
    }
    if (random.nextInt(3) == 0) {
      bytes[prefixes] = 0x0F;
    }
    int result = decoder.decode(bytes, 0, bytes.length, mode64 ? MODE_64 : MODE_32, insn);
    InstructionForm form = forms.getOrDefault(insn.opcode << 4 | insn.group(), forms.get(insn.opcode << 4 | ANY));
    if (result != InstructionDecoder.OK || form == null || !usable(form, mode64)) {
      return null;
    }
    OracleCase test = new OracleCase();
    test.cs = mode64 ? OracleLayout.USER_CODE_64 : OracleLayout.USER_CODE_32;
    test.name = "random " + form.name();
    test.codeLength = insn.length;
    fill(test.before, random, mode64);
    if (insn.base >= 0 && insn.base != insn.index) {
      long target = OracleLayout.DATA_MIDDLE - 64 + random.nextInt(128);
      long scaled = insn.index < 0 ? 0 : test.before.regs[insn.index] << insn.scale;
      long value = target - segmentBase(mode64) - insn.displacement - scaled;
      test.before.regs[insn.base] = mode64 ? value : value & 0xFFFF_FFFFL;
    }
    int width = form.is("b") ? 8 : 8 * insn.operandSize;
    int count = (int) (form.is("by-cl") ? test.before.regs[Cpu.RCX] : form.is("by-1") ? 1 : insn.immediate) & 0xFF;
    if (form.is("double") && width == 16 && (count & 31) > 16) {
      return null;
    }
    test.undefinedFlags = form.flags().mask(count, width);
    test.undefinedFlagsOnFault = form.flags() == UndefinedFlags.DIVIDE || form.is("string") ? Rflags.STATUS : 0;
    test.memoryUndefinedOnFault = form.is("enter") || form.name().equals("pusha");
    System.arraycopy(bytes, 0, test.before.code, 0, insn.length);
    return test;
  }

  /** A NOP with as many prefixes as it may have, or more. */
  private OracleCase tooLong(SplittableRandom random, boolean mode64) {
    OracleCase test = new OracleCase();
    test.cs = mode64 ? OracleLayout.USER_CODE_64 : OracleLayout.USER_CODE_32;
    test.name = "random too long";
    test.codeLength = InstructionDecoder.MAX_LENGTH - 1 + random.nextInt(4);
    fill(test.before, random, mode64);
    for (int i = 0; i < test.codeLength - 1; i++) {
      test.before.code[i] = (byte) PREFIXES[random.nextInt(9)];
    }
    test.before.code[test.codeLength - 1] = (byte) 0x90;
    return test;
  }

  private boolean usable(InstructionForm form, boolean mode64) {
    if (form.is(mode64 ? "legacy" : "long") || form.is("m") && !insn.isMemory() || form.is("reg") && insn.isMemory()) {
      return false;
    }
    boolean selected = insn.rep != 0 || insn.operandPrefix;
    return !(form.is("plain") && selected || form.is("scan") && insn.rep != 0
        || form.name().startsWith("prefetch") || form.is("bswap") && insn.operandSize == 2);
  }

  private long segmentBase(boolean mode64) {
    boolean extra = mode64 && (insn.segment == Segments.FS || insn.segment == Segments.GS);
    return !extra ? 0 : insn.segment == Segments.FS ? OracleLayout.FS_BASE : OracleLayout.GS_BASE;
  }

  private static void fill(MachineState state, SplittableRandom random, boolean mode64) {
    for (int register = 0; register < 16; register++) {
      long value = random.nextInt(3) == 0 ? CaseGenerator.SPECIAL[random.nextInt(CaseGenerator.SPECIAL.length)]
          : random.nextInt(3) == 0 ? OracleLayout.DATA_MIDDLE - 64 + random.nextInt(128) : random.nextLong();
      state.regs[register] = mode64 ? value : register < 8 ? value & 0xFFFF_FFFFL : 0;
    }
    state.regs[Cpu.RSP] = OracleLayout.DATA_MIDDLE - 32 + random.nextInt(64);
    random.nextBytes(state.areas);
    state.rflags = random.nextInt() & (Rflags.STATUS | Rflags.DF) | Rflags.FIXED | Rflags.IF;
    state.rip = OracleLayout.CODE + 0x800 + random.nextInt(64);
    Arrays.fill(state.code, (byte) 0);
  }
}
