package dev.gnomon.guest.decode;

import dev.gnomon.guest.cpu.Feature;

/**
 * The operands of one MMX or SSE to SSE4.2 opcode with one mandatory prefix (SDM vol. 2D, appendix "Opcode Map"): the
 * one place that says which exist.
 *
 * @param feature that brings it; null for MMX, SSE and SSE2, which are always there
 * @param target where the result goes: a kind of {@link VectorOp}; MEMORY for the ModRM operand
 * @param source kind of the other operand: register, or memory in its stead if the ModRM operand is it
 * @param size bytes of the memory operand; 0 for 4, or 8 with REX.W
 */
record VectorForm(Feature feature, int target, int source, int size, boolean aligned, boolean memoryOnly,
    boolean registerOnly) {
  /** Runs from its decoded form: EMMS, MASKMOVQ, MASKMOVDQU. */
  static final VectorForm ALONE = new VectorForm(null, 0, 0, 0, false, false, true);

  /**
   * Opcodes, then the form with no prefix, 66H, F3H and F2H: target and source ({@code x} XMM, {@code m} MMX, {@code g}
   * general register, {@code s} the ModRM operand, {@code f} flags, {@code i} immediate in place of a source), size of
   * the memory operand, {@code a} aligned, {@code m} memory only, {@code r} register only; {@code -} does not exist,
   * {@code *} runs alone.
   */
  private static final String TABLE = """
      10     xx16   xx16   xx4    xx8
      11     sx16   sx16   sx4    sx8
      12     xx8    xx8m   -      -
      13     sx8m   sx8m   -      -
      14-15  xx16a  xx16a  -      -
      16     xx8    xx8m   -      -
      17     sx8m   sx8m   -      -
      28     xx16a  xx16a  -      -
      29     sx16a  sx16a  -      -
      2A     xm8    xm8    xg     xg
      2B     sx16am sx16am -      -
      2C-2D  mx8    mx16a  gx4    gx8
      2E-2F  fx4    fx8    -      -
      50     gxr    gxr    -      -
      51     xx16a  xx16a  xx4    xx8
      52-53  xx16a  -      xx4    -
      54-57  xx16a  xx16a  -      -
      58-59  xx16a  xx16a  xx4    xx8
      5A     xx8    xx16a  xx4    xx8
      5B     xx16a  xx16a  xx16a  -
      5C-5F  xx16a  xx16a  xx4    xx8
      60-62  mm4    xx16a  -      -
      63-6B  mm8    xx16a  -      -
      6C-6D  -      xx16a  -      -
      6E     mg     xg     -      -
      6F     mm8    xx16a  xx16   -
      70     mm8    xx16a  xx16a  xx16a
      71-73  mir    xir    -      -
      74-76  mm8    xx16a  -      -
      77     *      -      -      -
      7E     sm     sx     xx8    -
      7F     sm8    sx16a  sx16   -
      C2     xx16a  xx16a  xx4    xx8
      C4     mg2    xg2    -      -
      C5     gmr    gxr    -      -
      C6     xx16a  xx16a  -      -
      D1-D5  mm8    xx16a  -      -
      D6     -      sx8    xmr    mxr
      D7     gmr    gxr    -      -
      D8-E5  mm8    xx16a  -      -
      E6     -      xx16a  xx8    xx16a
      E7     sm8m   sx16am -      -
      E8-EF  mm8    xx16a  -      -
      F1-F6  mm8    xx16a  -      -
      F7     *      *      -      -
      F8-FE  mm8    xx16a  -      -
      """;

  private static final String SSE3 = """
      12     -      -      xx16a  xx8
      16     -      -      xx16a  -
      7C-7D  -      xx16a  -      xx16a
      D0     -      xx16a  -      xx16a
      F0     -      -      -      xx16m
      """;

  private static final String SSSE3_38 = """
      00-0B  mm8    xx16a  -      -
      1C-1E  mm8    xx16a  -      -
      """;

  private static final String SSSE3_3A = """
      0F     mm8    xx16a  -      -
      """;

  private static final String SSE4_1_38 = """
      10     -      xx16a  -      -
      14-15  -      xx16a  -      -
      17     -      fx16a  -      -
      20     -      xx8    -      -
      21     -      xx4    -      -
      22     -      xx2    -      -
      23     -      xx8    -      -
      24     -      xx4    -      -
      25     -      xx8    -      -
      28-29  -      xx16a  -      -
      2A     -      xx16am -      -
      2B     -      xx16a  -      -
      30     -      xx8    -      -
      31     -      xx4    -      -
      32     -      xx2    -      -
      33     -      xx8    -      -
      34     -      xx4    -      -
      35     -      xx8    -      -
      38-41  -      xx16a  -      -
      """;

  private static final String SSE4_1_3A = """
      08-09  -      xx16a  -      -
      0A     -      xx4    -      -
      0B     -      xx8    -      -
      0C-0E  -      xx16a  -      -
      14     -      sx1    -      -
      15     -      sx2    -      -
      16     -      sx     -      -
      17     -      sx4    -      -
      20     -      xg1    -      -
      21     -      xx4    -      -
      22     -      xg     -      -
      40-42  -      xx16a  -      -
      """;

  private static final String SSE4_2_38 = """
      37     -      xx16a  -      -
      """;

  private static final String SSE4_2_3A = """
      60-63  -      fx16   -      -
      """;

  private static final String KINDS = "xsmgf";
  private static final int PREFIXES = 4;
  private static final int OPCODES = 256;
  private static final VectorForm[] FORMS = parse();

  /**
   * The form, or null if there is no such instruction.
   *
   * @param map of {@link VectorOp}
   * @param opcode last opcode byte
   */
  static VectorForm of(int map, int opcode, int prefix) {
    return FORMS[(map * OPCODES + opcode) * PREFIXES + prefix];
  }

  private static VectorForm[] parse() {
    VectorForm[] forms = new VectorForm[3 * OPCODES * PREFIXES];
    parse(forms, VectorOp.MAP_0F, null, TABLE);
    parse(forms, VectorOp.MAP_0F, Feature.SSE3, SSE3);
    parse(forms, VectorOp.MAP_0F38, Feature.SSSE3, SSSE3_38);
    parse(forms, VectorOp.MAP_0F3A, Feature.SSSE3, SSSE3_3A);
    parse(forms, VectorOp.MAP_0F38, Feature.SSE4_1, SSE4_1_38);
    parse(forms, VectorOp.MAP_0F3A, Feature.SSE4_1, SSE4_1_3A);
    parse(forms, VectorOp.MAP_0F38, Feature.SSE4_2, SSE4_2_38);
    parse(forms, VectorOp.MAP_0F3A, Feature.SSE4_2, SSE4_2_3A);
    return forms;
  }

  private static void parse(VectorForm[] forms, int map, Feature feature, String table) {
    for (String row : table.split("\n")) {
      String[] words = row.trim().split("\\s+");
      String[] range = words[0].split("-");
      int last = Integer.parseInt(range[range.length - 1], 16);
      for (int opcode = Integer.parseInt(range[0], 16); opcode <= last; opcode++) {
        for (int prefix = 0; prefix < PREFIXES; prefix++) {
          String word = words[1 + prefix];
          if (!word.equals("-")) {
            forms[(map * OPCODES + opcode) * PREFIXES + prefix] = parse(feature, word);
          }
        }
      }
    }
  }

  private static VectorForm parse(Feature feature, String text) {
    if (text.equals("*")) {
      return ALONE;
    }
    // The kinds are numbered in this order, and an immediate counts as a general register.
    int target = KINDS.indexOf(text.charAt(0));
    int source = KINDS.indexOf(text.charAt(1) == 'i' ? 'g' : text.charAt(1));
    String size = text.substring(2).replaceAll("[amr]", "");
    String suffix = text.substring(2);
    return new VectorForm(feature, target, source, size.isEmpty() ? 0 : Integer.parseInt(size), suffix.contains("a"),
        suffix.contains("m"),
        suffix.contains("r"));
  }
}
