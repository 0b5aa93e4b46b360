package dev.gnomon.guest.oracle;

import java.util.ArrayList;
import java.util.List;

/**
 * x87 instructions, one row a form, as in {@link InstructionForms}.
 */
final class X87Forms {
  private static final String[] ARITHMETIC = {"fadd", "fmul", "fcom", "fcomp", "fsub", "fsubr", "fdiv", "fdivr"};

  private static final String TABLE = """
      fld D9 /0 m m4
      ud D9 /1 m
      fst D9 /2 m m4
      fstp D9 /3 m m4
      fldenv D9 /4 m m28 environment
      fldcw D9 /5 m m2
      fnstenv D9 /6 m m28 environment
      fnstcw D9 /7 m m2
      fild DB /0 m m4
      fisttp DB /1 m m4 host-pni
      fisttp DD /1 m m8 host-pni
      fisttp DF /1 m m2 host-pni
      fist DB /2 m m4
      fistp DB /3 m m4
      ud DB /4 m
      fld DB /5 m m10
      ud DB /6 m
      fstp DB /7 m m10
      fld DD /0 m m8
      fst DD /2 m m8
      fstp DD /3 m m8
      frstor DD /4 m m108 environment
      ud DD /5 m
      fnsave DD /6 m m108 environment
      fnstsw DD /7 m m2
      fild DF /0 m m2
      fist DF /2 m m2
      fistp DF /3 m m2
      fbld DF /4 m m10 decimal
      fild DF /5 m m8
      fbstp DF /6 m m10
      fistp DF /7 m m8
      """;

  private X87Forms() { }

  static List<InstructionForm> all() {
    List<String> rows = new ArrayList<>(List.of(TABLE.split("\n")));
    for (int i = 0; i < 8; i++) {
      rows.add(String.format("%s D8 /%d m m4", ARITHMETIC[i], i));
      rows.add(String.format("%s DC /%d m m8", ARITHMETIC[i], i));
      rows.add(String.format("fi%s DA /%d m m4", ARITHMETIC[i].substring(1), i));
      rows.add(String.format("fi%s DE /%d m m2", ARITHMETIC[i].substring(1), i));
      for (int opcode = 0xD8; opcode <= 0xDF; opcode++) {
        rows.add(String.format("x87 %02X /%d reg", opcode, i));
      }
    }
    for (int i = 0; i < 8; i++) {
      rows.add("x87 D9 /6 reg");
      rows.add("x87 D9 /7 reg");
    }
    return ExtensionForms.parse(
        rows.stream().filter(row -> !row.isBlank()).map(row -> row + " vector128 x87").toList());
  }
}
