package dev.gnomon.ept;

/**
 * Memory types of EPT entries, PAT encoding, and how they combine with the guest's own (SDM vol. 3C, "Memory Type Used
 * for Translated Guest-Physical Addresses"; vol. 3A, table "Effective Page-Level Memory Types").
 *
 * <p>A second-stage translation reports its type in {@code Translation.memoryType} as
 * <pre>
 *  3      2:0
 *  IPAT   type of the EPT leaf
 * </pre>
 * because it does not know the guest's PAT type; {@link #combine} gives the effective type once that is known. A walker
 * that ignores the guest's PAT masks with {@link #TYPE_MASK}.
 */
public final class EptMemoryType {
  public static final int UC = 0;
  public static final int WC = 1;
  public static final int WT = 4;
  public static final int WP = 5;
  public static final int WB = 6;
  /** Only in the guest's PAT: UC unless the other side says WC. */
  public static final int UC_MINUS = 7;
  public static final int TYPE_MASK = 7;
  /** Ignore PAT: the EPT type alone counts. */
  public static final int IPAT = 1 << 3;

  /** Bit n is set if type n may stand in an EPT leaf: 0, 1, 4, 5, 6. */
  private static final int ALLOWED = 1 << UC | 1 << WC | 1 << WT | 1 << WP | 1 << WB;

  private EptMemoryType() {}

  public static boolean isAllowed(int type) {
    return (ALLOWED >>> type & 1) != 0;
  }

  /**
   * Effective type of an access with CR0.CD = 0.
   *
   * @param stage type and IPAT of the EPT leaf, as reported by the walker
   * @param pat the guest's PAT type, 0 to 7; the undefined 2 and 3 count as UC
   * @return a type of the PAT encoding, never {@link #UC_MINUS}
   */
  public static int combine(int stage, int pat) {
    int type = stage & TYPE_MASK;
    if ((stage & IPAT) != 0) {
      return type;
    }
    return switch (pat) {
      case WC -> WC;
      case UC_MINUS -> type == WC || type == WP ? WC : UC;
      case WB -> type;
      case WT -> type == WT || type == WB || type == WP ? WT : UC;
      case WP -> type == WT || type == WB || type == WP ? WP : UC;
      default -> UC;
    };
  }

  public static String name(int type) {
    return switch (type & TYPE_MASK) {
      case UC -> "UC";
      case WC -> "WC";
      case WT -> "WT";
      case WP -> "WP";
      case WB -> "WB";
      case UC_MINUS -> "UC-";
      default -> "reserved";
    };
  }
}
