package dev.gnomon.guest.decode;

/**
 * One decoded x86 instruction: prefixes, opcode, operands as encoded. Cold: the decoder turns most of them into
 * micro-ops; complex and system instructions keep theirs and are executed from it.
 */
public final class Instruction {
  /** Opcode maps in bits 9:8 of {@link #opcode}: one byte, 0F, 0F 38, 0F 3A. */
  public static final int MAP_0F = 0x100;
  public static final int MAP_0F38 = 0x200;
  public static final int MAP_0F3A = 0x300;

  /** Map and opcode byte. */
  public int opcode;
  /** Total bytes, 1 to 15. */
  public int length;
  /** Effective operand size in bytes: 2, 4 or 8 (byte forms of an opcode are told by the opcode). */
  public int operandSize;
  /** Effective address size in bytes: 2, 4 or 8. */
  public int addressSize;
  /** A 66H prefix stands before the opcode (it may also select an opcode, as for SSE). */
  public boolean operandPrefix;
  /** Last of F2H and F3H, or 0. */
  public int rep;
  public boolean lock;
  /** REX prefix byte, 0 if none. */
  public int rex;
  public boolean hasModrm;
  /** ModRM fields, extended by REX.R and REX.B (rm only where it names a register). */
  public int mod;
  public int reg;
  public int rm;
  /**
   * Segment of the memory operand or of a string source: the override or the default. {@link #segmentOverride} tells
   * which.
   */
  public int segment;
  public boolean segmentOverride;
  /** Memory operand: register numbers, or −1 if absent; scale is a shift. */
  public int base;
  public int index;
  public int scale;
  public long displacement;
  public boolean ripRelative;
  /** Immediate, sign-extended (moffs and far offsets zero-extended). */
  public long immediate;
  /** Second immediate: selector of a far pointer, nesting level of ENTER. */
  public int immediate2;
  /** True if executed in 64-bit mode. */
  public boolean mode64;

  /** The ModRM operand is in memory. */
  public boolean isMemory() {
    return hasModrm && mod != 3;
  }

  /** Low three bits of ModRM.reg: the opcode extension of a group. */
  public int group() {
    return reg & 7;
  }

  Instruction copy() {
    Instruction other = new Instruction();
    other.opcode = opcode;
    other.length = length;
    other.operandSize = operandSize;
    other.addressSize = addressSize;
    other.operandPrefix = operandPrefix;
    other.rep = rep;
    other.lock = lock;
    other.rex = rex;
    other.hasModrm = hasModrm;
    other.mod = mod;
    other.reg = reg;
    other.rm = rm;
    other.segment = segment;
    other.segmentOverride = segmentOverride;
    other.base = base;
    other.index = index;
    other.scale = scale;
    other.displacement = displacement;
    other.ripRelative = ripRelative;
    other.immediate = immediate;
    other.immediate2 = immediate2;
    other.mode64 = mode64;
    return other;
  }
}
