package dev.gnomon.guest.decode;

/**
 * The operands of one MMX, SSE or SSE2 opcode with one mandatory prefix (SDM vol. 2D, appendix "Opcode Map"): the one
 * place that says which exist.
 *
 * @param target where the result goes: a kind of {@link VectorOp}; MEMORY for the ModRM operand
 * @param source kind of the other operand: register, or memory in its stead if the ModRM operand is it
 * @param size bytes of the memory operand; 0 for 4, or 8 with REX.W
 */
record VectorForm(int target, int source, int size, boolean aligned, boolean memoryOnly, boolean registerOnly) {
  /** Runs from its decoded form: EMMS, MASKMOVQ, MASKMOVDQU. */
  static final VectorForm ALONE = new VectorForm(0, 0, 0, false, false, true);

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

  private static final String KINDS = "xsmgf";
  private static final int PREFIXES = 4;
  private static final VectorForm[] FORMS = parse();

  /** The form, or null if there is no such instruction. @param opcode second opcode byte */
  static VectorForm of(int opcode, int prefix) {
    return FORMS[opcode * PREFIXES + prefix];
  }

  private static VectorForm[] parse() {
    VectorForm[] forms = new VectorForm[256 * PREFIXES];
    for (String row : TABLE.split("\n")) {
      String[] words = row.trim().split("\\s+");
      String[] range = words[0].split("-");
      int last = Integer.parseInt(range[range.length - 1], 16);
      for (int opcode = Integer.parseInt(range[0], 16); opcode <= last; opcode++) {
        for (int prefix = 0; prefix < PREFIXES; prefix++) {
          forms[opcode * PREFIXES + prefix] = parse(words[1 + prefix]);
        }
      }
    }
    return forms;
  }

  private static VectorForm parse(String text) {
    if (text.equals("-")) {
      return null;
    }
    if (text.equals("*")) {
      return ALONE;
    }
    // The kinds are numbered in this order, and an immediate counts as a general register.
    int target = KINDS.indexOf(text.charAt(0));
    int source = KINDS.indexOf(text.charAt(1) == 'i' ? 'g' : text.charAt(1));
    String size = text.substring(2).replaceAll("[amr]", "");
    String suffix = text.substring(2);
    return new VectorForm(target, source, size.isEmpty() ? 0 : Integer.parseInt(size), suffix.contains("a"),
        suffix.contains("m"),
        suffix.contains("r"));
  }
}
