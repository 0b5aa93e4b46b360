package dev.gnomon.guest.simd;

/**
 * Integer operations that SSSE3, SSE4.1 and SSE4.2 brought, named by the last byte of their opcodes (0F 38 map) or by
 * what they do. Lanes are computed one after the other.
 */
public final class PackedLanes {
  private static final int HALF_BYTES = 8;

  private PackedLanes() {}

  /**
   * One half of the result of an operation that treats both halves alike.
   *
   * @param opcode last opcode byte in the 0F 38 map
   * @param a destination operand's half
   * @param b source operand's half
   */
  public static long half(int opcode, long a, long b) {
    int width = width(opcode);
    int up = 64 - width;
    long mask = -1L >>> up;
    long result = 0;
    for (int at = 0; at < 64; at += width) {
      result |= (lane(opcode, a << up - at >> up, b << up - at >> up, mask) & mask) << at;
    }
    return result;
  }

  private static int width(int opcode) {
    return switch (opcode) {
      case 0x08, 0x1C, 0x38, 0x3C -> 8;
      case 0x04, 0x09, 0x0B, 0x1D, 0x3A, 0x3E -> 16;
      case 0x28, 0x29, 0x37 -> 64;
      default -> 32;
    };
  }

  /** @param x destination's lane, sign-extended. @param y source's lane, the same */
  private static long lane(int opcode, long x, long y, long mask) {
    return switch (opcode) {
      // PMADDUBSW: the destination's bytes are unsigned.
      case 0x04 -> saturate((x & 0xFF) * (byte) y + (x >> 8 & 0xFF) * (byte) (y >> 8));
      // PSIGNB, PSIGNW, PSIGND; PMULHRSW.
      case 0x08, 0x09, 0x0A -> y < 0 ? -x : y == 0 ? 0 : x;
      case 0x0B -> (x * y >> 14) + 1 >> 1;
      // PABSB, PABSW, PABSD.
      case 0x1C, 0x1D, 0x1E -> Math.abs(y);
      // PMULDQ, PCMPEQQ, PCMPGTQ.
      case 0x28 -> (long) (int) x * (int) y;
      case 0x29 -> x == y ? -1 : 0;
      case 0x37 -> x > y ? -1 : 0;
      // PMINSB, PMINSD, PMINUW, PMINUD.
      case 0x38, 0x39 -> Math.min(x, y);
      case 0x3A, 0x3B -> Math.min(x & mask, y & mask);
      // PMAXSB, PMAXSD, PMAXUW, PMAXUD.
      case 0x3C, 0x3D -> Math.max(x, y);
      case 0x3E, 0x3F -> Math.max(x & mask, y & mask);
      case 0x40 -> x * y;
      default -> throw new AssertionError("no packed operation 38 " + Integer.toHexString(opcode));
    };
  }

  private static long saturate(long value) {
    return Math.max(Short.MIN_VALUE, Math.min(Short.MAX_VALUE, value));
  }

  /** PHADDW 1, PHADDD 2, PHADDSW 3, PHSUBW 5, PHSUBD 6, PHSUBSW 7: neighbours of 128 bits give 64. */
  public static long horizontal(int opcode, long low, long high) {
    return neighbours(opcode, low) | neighbours(opcode, high) << 32;
  }

  private static long neighbours(int opcode, long word) {
    if ((opcode & 3) == 2) {
      int x = (int) word;
      int y = (int) (word >> 32);
      return (opcode == 2 ? x + y : x - y) & 0xFFFF_FFFFL;
    }
    long result = 0;
    for (int at = 0; at < 64; at += 32) {
      int x = (short) (word >> at);
      int y = (short) (word >> at + 16);
      int value = opcode < 4 ? x + y : x - y;
      result |= ((opcode & 3) == 3 ? saturate(value) & 0xFFFF : value & 0xFFFF) << at / 2;
    }
    return result;
  }

  /**
   * PSHUFB: one half of the result.
   *
   * @param low and {@code high} the bytes to choose from
   * @param control the half that chooses
   * @param bytes that there are: 8 or 16
   */
  public static long shuffleBytes(long low, long high, long control, int bytes) {
    long result = 0;
    for (int at = 0; at < 64; at += 8) {
      int which = (int) (control >>> at);
      if ((which & 0x80) == 0) {
        result |= byteOf(low, high, which & bytes - 1) << at;
      }
    }
    return result;
  }

  private static long byteOf(long low, long high, int index) {
    return (index < HALF_BYTES ? low : high) >>> 8 * (index & 7) & 0xFF;
  }

  /** PALIGNR: eight bytes from four words in a row, the lowest first, beginning at a byte; zeros behind them. */
  public static long window(long first, long second, long third, long fourth, int from) {
    int shift = 8 * (from & 7);
    int index = from >> 3;
    long low = word(first, second, third, fourth, index);
    long high = word(first, second, third, fourth, index + 1);
    return shift == 0 ? low : low >>> shift | high << 64 - shift;
  }

  private static long word(long first, long second, long third, long fourth, int index) {
    return switch (index) {
      case 0 -> first;
      case 1 -> second;
      case 2 -> third;
      case 3 -> fourth;
      default -> 0;
    };
  }

  /** PMOVSX (opcodes 20 to 25) and PMOVZX (30 to 35): the lower (0) or the upper (1) half of the result. */
  public static long extend(int opcode, long source, int half) {
    int kind = opcode & 15;
    int from = kind < 3 ? 8 : kind < 5 ? 16 : 32;
    int to = kind == 0 ? 16 : kind == 1 || kind == 3 ? 32 : 64;
    long mask = -1L >>> 64 - to;
    long result = 0;
    int at = half * (64 / to) * from;
    for (int into = 0; into < 64; into += to, at += from) {
      long lane = source << 64 - from - at;
      lane = opcode < 0x30 ? lane >> 64 - from : lane >>> 64 - from;
      result |= (lane & mask) << into;
    }
    return result;
  }

  /** Lanes of b where the mask's lane has its top bit set, of a elsewhere. */
  public static long blend(long a, long b, long mask, int width) {
    long result = 0;
    for (int at = 0; at < 64; at += width) {
      long lane = -1L >>> 64 - width << at;
      result |= ((mask >>> at + width - 1 & 1) != 0 ? b : a) & lane;
    }
    return result;
  }

  /** Lanes of b where a bit is set, of a elsewhere. @param bits the first lane's is the lowest */
  public static long blendByBits(long a, long b, int bits, int width) {
    long result = 0;
    for (int at = 0, i = 0; at < 64; at += width, i++) {
      long lane = -1L >>> 64 - width << at;
      result |= ((bits >>> i & 1) != 0 ? b : a) & lane;
    }
    return result;
  }

  /** PHMINPOSUW: the smallest of eight words, and above it its index. */
  public static long minimumWord(long low, long high) {
    long least = low & 0xFFFF;
    int index = 0;
    for (int i = 1; i < 8; i++) {
      long word = (i < 4 ? low : high) >>> 16 * (i & 3) & 0xFFFF;
      if (word < least) {
        least = word;
        index = i;
      }
    }
    return least | (long) index << 16;
  }

  /**
   * MPSADBW: four sums of absolute differences of four bytes.
   *
   * @param low and {@code high} the destination's bytes
   * @param block the source's four bytes
   * @param from first byte of the destination, 0 to 8
   */
  public static long differences(long low, long high, int block, int from) {
    long result = 0;
    for (int i = 0; i < 4; i++) {
      int sum = 0;
      for (int j = 0; j < 4; j++) {
        sum += Math.abs((int) byteOf(low, high, from + i + j) - (block >>> 8 * j & 0xFF));
      }
      result |= (long) sum << 16 * i;
    }
    return result;
  }
}
