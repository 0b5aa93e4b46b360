package dev.gnomon.guest.cpu;

/**
 * The SSE control and status register (SDM vol. 1, "MXCSR Control and Status Register").
 * <pre>
 *  31..16   15   14..13   12  11  10  9   8   7   6    5   4   3   2   1   0
 *  0        FTZ  RC       PM  UM  OM  ZM  DM  IM  DAZ  PE  UE  OE  ZE  DE  IE
 * </pre>
 */
public final class Mxcsr {
  /** Sticky exception flags IE to PE. */
  public static final int FLAGS = 0x3F;
  /** The ones found before a result is computed: IE, DE, ZE. */
  public static final int PRE_COMPUTATION = 7;
  public static final int PE = 1 << 5;
  public static final int DAZ = 1 << 6;
  /** Distance of the exception masks from the flags. */
  public static final int MASKS_SHIFT = 7;
  public static final int PM = PE << MASKS_SHIFT;
  public static final int RC_SHIFT = 13;
  public static final int RC = 3 << RC_SHIFT;
  public static final int FTZ = 1 << 15;
  /** Bits that may be set, as FXSAVE tells in MXCSR_MASK; all others are reserved. */
  public static final int DEFINED = 0xFFFF;
  /** Value after reset: all exceptions masked, round to nearest. */
  public static final int INITIAL = 0x1F80;

  private Mxcsr() {}
}
