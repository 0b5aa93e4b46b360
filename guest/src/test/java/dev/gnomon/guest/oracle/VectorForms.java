package dev.gnomon.guest.oracle;

import java.util.Arrays;
import java.util.List;

/**
 * MMX, SSE and SSE2 instructions, one row a form, as in {@link InstructionForms}. An opcode with a mandatory prefix
 * begins with it ({@code 66F58} is 66 0F 58). RCPPS and RSQRTPS are not here: every processor has its own tables for
 * them.
 * <pre>
 *  m16 m8 m4 m2  size of the memory operand; without it 4, or 8 with REX.W
 *  aligned       #GP unless aligned to 16 bytes
 *  float         arithmetic, whose operands are numbers
 * </pre>
 */
final class VectorForms {
  private static final String TABLE = """
      movups F10 /r m16
      movups F11 /r m16
      movupd 66F10 /r m16
      movupd 66F11 /r m16
      movss F3F10 /r m4
      movss F3F11 /r m4
      movsd F2F10 /r m8
      movsd F2F11 /r m8
      movlps F12 /r m8
      movlps F13 /r m8 m
      movlpd 66F12 /r m8 m
      movlpd 66F13 /r m8 m
      unpcklps F14 /r m16 aligned
      unpcklpd 66F14 /r m16 aligned
      unpckhps F15 /r m16 aligned
      unpckhpd 66F15 /r m16 aligned
      movhps F16 /r m8
      movhps F17 /r m8 m
      movhpd 66F16 /r m8 m
      movhpd 66F17 /r m8 m
      movaps F28 /r m16 aligned
      movaps F29 /r m16 aligned
      movapd 66F28 /r m16 aligned
      movapd 66F29 /r m16 aligned
      cvtpi2ps F2A /r m8 float
      cvtpi2pd 66F2A /r m8 float
      cvtsi2ss F3F2A /r gpr float
      cvtsi2sd F2F2A /r gpr float
      movntps F2B /r m16 m aligned
      movntpd 66F2B /r m16 m aligned
      cvttps2pi F2C /r m8 float
      cvttpd2pi 66F2C /r m16 aligned float
      cvttss2si F3F2C /r m4 float
      cvttsd2si F2F2C /r m8 float
      cvtps2pi F2D /r m8 float
      cvtpd2pi 66F2D /r m16 aligned float
      cvtss2si F3F2D /r m4 float
      cvtsd2si F2F2D /r m8 float
      ucomiss F2E /r m4 float
      ucomisd 66F2E /r m8 float
      comiss F2F /r m4 float
      comisd 66F2F /r m8 float
      movmskps F50 /r reg
      movmskpd 66F50 /r reg
      cvtps2pd F5A /r m8 float
      cvtpd2ps 66F5A /r m16 aligned float
      cvtss2sd F3F5A /r m4 float
      cvtsd2ss F2F5A /r m8 float
      cvtdq2ps F5B /r m16 aligned float
      cvtps2dq 66F5B /r m16 aligned float
      cvttps2dq F3F5B /r m16 aligned float
      movd F6E /r gpr
      movd 66F6E /r gpr
      movq F6F /r m8
      movdqa 66F6F /r m16 aligned
      movdqu F3F6F /r m16
      pshufw F70 /r m8 ib
      pshufd 66F70 /r m16 aligned ib
      pshufhw F3F70 /r m16 aligned ib
      pshuflw F2F70 /r m16 aligned ib
      psrldq 66F73 /3 reg ib
      pslldq 66F73 /7 reg ib
      emms F77
      movd F7E /r gpr
      movd 66F7E /r gpr
      movq F3F7E /r m8
      movq F7F /r m8
      movdqa 66F7F /r m16 aligned
      movdqu F3F7F /r m16
      fxsave FAE /0 m m512 aligned
      fxrstor FAE /1 m m512 aligned fximage
      ldmxcsr FAE /2 m m4 mxcsr
      stmxcsr FAE /3 m m4
      cmpps FC2 /r m16 aligned ib float
      cmppd 66FC2 /r m16 aligned ib float
      cmpss F3FC2 /r m4 ib float
      cmpsd F2FC2 /r m8 ib float
      movnti FC3 /r m gpr
      pinsrw FC4 /r m2 ib
      pinsrw 66FC4 /r m2 ib
      pextrw FC5 /r reg ib
      pextrw 66FC5 /r reg ib
      shufps FC6 /r m16 aligned ib
      shufpd 66FC6 /r m16 aligned ib
      movq 66FD6 /r m8
      movq2dq F3FD6 /r reg
      movdq2q F2FD6 /r reg
      pmovmskb FD7 /r reg
      pmovmskb 66FD7 /r reg
      cvttpd2dq 66FE6 /r m16 aligned float
      cvtdq2pd F3FE6 /r m8 float
      cvtpd2dq F2FE6 /r m16 aligned float
      movntq FE7 /r m m8
      movntdq 66FE7 /r m m16 aligned
      maskmovq FF7 /r reg masked
      maskmovdqu 66FF7 /r reg masked
      punpcklqdq 66F6C /r m16 aligned
      punpckhqdq 66F6D /r m16 aligned
      ud F3F14 /r
      ud F2F54 /r
      ud F2F6F /r
      ud 66FD6 /r reg lock
      ud F3FFE /r
      ud F3F60 /r
      ud F2FC6 /r ib
      ud F13 /r reg
      ud 66F16 /r reg
      ud 66F2B /r reg
      ud F50 /r m
      ud 66F71 /3 reg ib
      ud F73 /3 reg ib
      ud F73 /4 reg ib
      ud F3F72 /2 reg ib
      """;

  /** Forms with no prefix, and with 66H on XMM registers. */
  private static final int[] PACKED_INTEGER = {0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x74, 0x75, 0x76,
      0xD1, 0xD2, 0xD3, 0xD4, 0xD5,
      0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE8, 0xE9, 0xEA, 0xEB,
          0xEC, 0xED, 0xEE, 0xEF, 0xF1, 0xF2,
      0xF3, 0xF4, 0xF5, 0xF6, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE};

  private VectorForms() { }

  static List<InstructionForm> all() {
    List<String> rows = new java.util.ArrayList<>(Arrays.asList(TABLE.split("\n")));
    for (int opcode : PACKED_INTEGER) {
      rows.add(String.format("packed F%02X /r m8", opcode));
      rows.add(String.format("packed 66F%02X /r m16 aligned", opcode));
    }
    for (int opcode = 0x60; opcode <= 0x62; opcode++) {
      rows.add(String.format("punpckl F%02X /r m4", opcode));
      rows.add(String.format("punpckl 66F%02X /r m16 aligned", opcode));
    }
    for (int opcode = 0x71; opcode <= 0x73; opcode++) {
      for (int group = 2; group <= 6; group += 2) {
        if (opcode != 0x73 || group != 4) {
          rows.add(String.format("shift F%02X /%d reg ib", opcode, group));
          rows.add(String.format("shift 66F%02X /%d reg ib", opcode, group));
        }
      }
    }
    for (int opcode = 0x54; opcode <= 0x57; opcode++) {
      rows.add(String.format("logic F%02X /r m16 aligned", opcode));
      rows.add(String.format("logic 66F%02X /r m16 aligned", opcode));
    }
    for (int opcode : new int[] {0x51, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F}) {
      // Several times, because there are as many ways to go wrong.
      for (int i = 0; i < 4; i++) {
        rows.add(String.format("float F%02X /r m16 aligned float", opcode));
        rows.add(String.format("float 66F%02X /r m16 aligned float", opcode));
        rows.add(String.format("float F3F%02X /r m4 float", opcode));
        rows.add(String.format("float F2F%02X /r m8 float", opcode));
      }
    }
    return rows.stream().filter(row -> !row.isBlank()).map(row -> InstructionForm.parse(row + " vector128")).toList();
  }
}
