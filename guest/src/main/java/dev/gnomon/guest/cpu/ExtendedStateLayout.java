package dev.gnomon.guest.cpu;

/**
 * The area of XSAVE and its kin (SDM vol. 1, "XSAVE Area"), for the state components that exist here:
 * <pre>
 *  XCR0      9 PKRU | 1 SSE | 0 x87
 *
 *  byte   0  legacy region: the image of FXSAVE
 *       512  header: XSTATE_BV 8 bytes | XCOMP_BV 8 bytes | 48 bytes 0
 *       576  compacted form: the components from 2 on, one behind the other
 *      2688  standard form: PKRU, at the place that all processors have it
 *
 *  XCOMP_BV  63 compacted | 62:0 components that have a place
 * </pre>
 */
public final class ExtendedStateLayout {
  public static final long X87 = 1;
  public static final long SSE = 1 << 1;
  public static final long PKRU = 1 << 9;
  public static final int PKRU_COMPONENT = 9;
  public static final int PKRU_BYTES = 8;
  /** Of PKRU in the standard form. */
  public static final int PKRU_OFFSET = 2688;
  public static final int HEADER = 512;
  public static final int HEADER_BYTES = 64;
  /** The first component behind legacy region and header, in the compacted form. */
  public static final int EXTENDED = HEADER + HEADER_BYTES;
  /** Bit of XCOMP_BV. */
  public static final long COMPACTED = 1L << 63;
  /** What an area must be aligned to. */
  public static final int ALIGNMENT = 64;

  private ExtendedStateLayout() {}

  /** Bytes of an area in the standard form. */
  public static int standardBytes(long components) {
    return (components & PKRU) != 0 ? PKRU_OFFSET + PKRU_BYTES : EXTENDED;
  }

  /** Bytes of an area in the compacted form. */
  public static int compactedBytes(long components) {
    return (components & PKRU) != 0 ? EXTENDED + PKRU_BYTES : EXTENDED;
  }
}
