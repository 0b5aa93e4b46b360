package dev.gnomon.guest.cpu;

/**
 * Indices of the segment registers in the processor's arrays, and the access-rights format that they hold, which is the
 * VMCS' (SDM vol. 3C, "Guest Register State"):
 * <pre>
 *  16         15  14    13  12    7   6:5   4   3:0
 *  unusable | G | D/B | L | AVL | P | DPL | S | type
 * </pre>
 */
public final class Segments {
  public static final int ES = 0;
  public static final int CS = 1;
  public static final int SS = 2;
  public static final int DS = 3;
  public static final int FS = 4;
  public static final int GS = 5;
  public static final int LDTR = 6;
  public static final int TR = 7;
  public static final int COUNT = 8;

  public static final int TYPE = 0xF;
  /** Type bit of code and data segments. */
  public static final int TYPE_ACCESSED = 1;
  /** Data: writable; code: readable. */
  public static final int TYPE_WRITABLE = 2;
  /** Data: expand-down; code: conforming. */
  public static final int TYPE_EXPAND_DOWN = 4;
  public static final int TYPE_CODE = 8;
  public static final int S = 1 << 4;
  public static final int DPL = 3 << 5;
  public static final int DPL_SHIFT = 5;
  public static final int P = 1 << 7;
  public static final int AVL = 1 << 12;
  public static final int L = 1 << 13;
  public static final int DB = 1 << 14;
  public static final int G = 1 << 15;
  public static final int UNUSABLE = 1 << 16;

  private Segments() {}
}
