package dev.gnomon.guest.cpu;

/**
 * Bits of the x87 control and status words (SDM vol. 1, "x87 FPU Control Word" and "x87 FPU Status Register").
 * <pre>
 * control  12 X | 11:10 RC | 9:8 PC | 6 reads 1 | 5 PM | 4 UM | 3 OM | 2 ZM | 1 DM | 0 IM
 * status   15 B | 14 C3 | 13:11 TOP | 10 C2 | 9 C1 | 8 C0 | 7 ES | 6 SF | 5 PE | 4 UE | 3 OE | 2 ZE | 1 DE | 0 IE
 * </pre>
 * ES and its copy B follow from flags and masks, so they are not kept but computed where the status word is read.
 */
public final class FpuWord {
  /** Control word after FNINIT. */
  public static final int INITIAL_CONTROL = 0x37F;
  public static final int CONTROL_WRITABLE = 0x1F3F;
  public static final int CONTROL_FIXED = 0x40;
  public static final int PC_SHIFT = 8;
  public static final int RC_SHIFT = 10;

  public static final int FLAGS = 0x3F;
  public static final int SF = 1 << 6;
  public static final int ES = 1 << 7;
  public static final int C0 = 1 << 8;
  public static final int C1 = 1 << 9;
  public static final int C2 = 1 << 10;
  public static final int TOP_SHIFT = 11;
  public static final int TOP = 7 << TOP_SHIFT;
  public static final int C3 = 1 << 14;
  public static final int B = 1 << 15;

  private FpuWord() {}

  /** Whether an exception flag is set whose mask is clear. */
  public static boolean unmasked(int status, int control) {
    return (status & ~control & FLAGS) != 0;
  }

  /** The status word with ES and B. */
  public static int visible(int status, int control) {
    return unmasked(status, control) ? status | ES | B : status & ~(ES | B);
  }
}
