package dev.gnomon.guest.mmu;

/**
 * Page-fault error code (SDM vol. 3A, "Page-Fault Exceptions").
 * <pre>
 *  15    6    5    4     3      2   1   0
 *  SGX | SS | PK | I/D | RSVD | U | W | P
 * </pre>
 */
public final class PageFaultCode {
  public static final int P = 1;
  public static final int W = 1 << 1;
  public static final int U = 1 << 2;
  public static final int RSVD = 1 << 3;
  /** Instruction fetch; reported only if CR4.SMEP, or CR4.PAE with EFER.NXE, is on. */
  public static final int ID = 1 << 4;
  public static final int PK = 1 << 5;

  private PageFaultCode() {}

  /** Flags joined by a bar in KVM's order, {@code P|W|U|RSVD|F}; {@code 0} if none. */
  public static String toString(int code) {
    StringBuilder text = new StringBuilder();
    String[] names = {"P", "W", "U", "RSVD", "F", "PK"};
    for (int bit = 0; bit < names.length; bit++) {
      if ((code >> bit & 1) != 0) {
        text.append(text.isEmpty() ? "" : "|").append(names[bit]);
      }
    }
    return text.isEmpty() ? "0" : text.toString();
  }
}
