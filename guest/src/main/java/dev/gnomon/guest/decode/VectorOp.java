package dev.gnomon.guest.decode;

/**
 * What a {@link MicroOp#VECTOR} does: one whole MMX or SSE to SSE4.2 instruction, memory operand included, named by its
 * opcode, mandatory prefix and opcode map. The map is the micro-op's condition; all else lies in bits 31..0 of its
 * second word:
 * <pre>
 *  31..24      23    22    21     20..16   15        14..12   11..10   9..8     7..0
 *  immediate   XMM   MMX   wide   size     ALIGNED   target   source   prefix   opcode
 * </pre>
 * {@code size} is that of the memory operand in bytes; {@code wide} means 64-bit general registers; {@code XMM} and
 * {@code MMX} tell which registers are used, hence what is checked first. In the first word {@code d} numbers the
 * target register, or the one that is stored. A source register is in {@code b}; otherwise {@code a}, {@code b}, {@code
 * x} and the immediate are the operand's address, as with loads and stores. A general register as source has the
 * immediate added, so that the shifts by an immediate are shifts by slot ZERO.
 */
public final class VectorOp {
  // Opcode maps.
  public static final int MAP_0F = 0;
  public static final int MAP_0F38 = 1;
  public static final int MAP_0F3A = 2;

  // Prefixes.
  public static final int NO_PREFIX = 0;
  public static final int PREFIX_66 = 1;
  public static final int PREFIX_F3 = 2;
  public static final int PREFIX_F2 = 3;

  // Kinds of operands; flags are only a target.
  public static final int XMM = 0;
  public static final int MEMORY = 1;
  public static final int MMX = 2;
  public static final int GENERAL = 3;
  public static final int FLAGS = 4;

  public static final int ALIGNED = 1 << 15;
  public static final int WIDE = 1 << 21;
  public static final int USES_MMX = 1 << 22;
  public static final int USES_XMM = 1 << 23;
  private static final int PREFIX_SHIFT = 8;
  private static final int SOURCE_SHIFT = 10;
  private static final int TARGET_SHIFT = 12;
  private static final int SIZE_SHIFT = 16;
  private static final int IMMEDIATE_SHIFT = 24;

  private VectorOp() {}

  static int word(int opcode, int prefix, int source, int target, int size, int flags, int immediate) {
    return opcode | prefix << PREFIX_SHIFT | source << SOURCE_SHIFT | target << TARGET_SHIFT | size << SIZE_SHIFT
        | flags
        | immediate << IMMEDIATE_SHIFT;
  }

  /** Last opcode byte; 0 in {@link #MAP_0F} only checks that the registers may be used. */
  public static int opcode(int op) {
    return op & 0xFF;
  }

  public static int prefix(int op) {
    return op >>> PREFIX_SHIFT & 3;
  }

  public static int source(int op) {
    return op >>> SOURCE_SHIFT & 3;
  }

  public static int target(int op) {
    return op >>> TARGET_SHIFT & 7;
  }

  public static int size(int op) {
    return op >>> SIZE_SHIFT & 31;
  }

  /** UCOMIS, COMIS, PTEST and string comparisons, which set all status flags. */
  public static boolean setsFlags(int op) {
    return target(op) == FLAGS;
  }

  public static int immediate(int op) {
    return op >>> IMMEDIATE_SHIFT;
  }
}
