package dev.gnomon.guest.oracle;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * One row of the table of instructions: an opcode with its operands.
 *
 * @param opcode up to three bytes, 0F without its 0 first, behind a mandatory prefix: 66F3800 is 66 0F 38 00
 * @param digit ModRM.reg if it is an opcode extension, −1 if it names a register, −2 if there is no ModRM
 * @param traits what else the row says, see {@link InstructionForms}
 */
record InstructionForm(String name, int opcode, int digit, UndefinedFlags flags, Set<String> traits) {
  static final int REGISTER = -1;
  static final int NO_MODRM = -2;

  /** Parses {@code name opcode traits…}. */
  static InstructionForm parse(String row) {
    List<String> words = new ArrayList<>(Arrays.asList(row.trim().split("\\s+")));
    int digit = NO_MODRM;
    UndefinedFlags flags = UndefinedFlags.NONE;
    Set<String> traits = new HashSet<>();
    for (String word : words.subList(2, words.size())) {
      if (word.equals("/r")) {
        digit = REGISTER;
      } else if (word.startsWith("/")) {
        digit = Integer.parseInt(word.substring(1));
      } else if (word.equals(word.toUpperCase(java.util.Locale.ROOT))) {
        flags = UndefinedFlags.valueOf(word);
      } else {
        traits.add(word);
      }
    }
    return new InstructionForm(words.get(0), Integer.parseInt(words.get(1), 16), digit, flags, traits);
  }

  boolean is(String trait) {
    return traits.contains(trait);
  }

  /** 66H, F2H or F3H if the opcode needs it, else 0. */
  int mandatoryPrefix() {
    return opcode >>> (threeBytes() ? 20 : 12);
  }

  /** In the map 0F 38 or 0F 3A. */
  boolean threeBytes() {
    int map = opcode >> 8 & 0xFFF;
    return map == 0xF38 || map == 0xF3A;
  }

  boolean hasModrm() {
    return digit != NO_MODRM;
  }
}
