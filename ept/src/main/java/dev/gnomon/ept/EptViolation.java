package dev.gnomon.ept;

/**
 * Exit qualification of an EPT violation (SDM vol. 3C, "Exit Qualification for EPT Violations"), by the Linux kernel's
 * names.
 * <pre>
 *  12               11     10     9      8            7         6     5 4 3      2       1       0
 *  NMI unblocking   XD     R/W    U/S    translated   GVA       XU    X W R      fetch   write   read
 *  due to IRET      of the linear address             valid           of GPA     access
 * </pre>
 * Bits 5:3 are the AND over all entries used, 0 if one was not present. Bit 8 (with bit 7) is 1 for the access to the
 * translation of the linear address, 0 for one to a guest paging-structure entry. Bits 11:9 are valid if bits 7 and 8
 * are set and the processor reports advanced information; without paging they read U = 1, R/W = 1, XD = 0. An access to
 * a guest paging-structure entry that also updates it, or any such access while EPT's A and D flags are on, reads and
 * writes at once.
 */
public final class EptViolation {
  public static final long ACC_READ = 1L;
  public static final long ACC_WRITE = 1L << 1;
  public static final long ACC_INSTR = 1L << 2;
  public static final int PROT_SHIFT = 3;
  public static final long PROT_READ = 1L << 3;
  public static final long PROT_WRITE = 1L << 4;
  public static final long PROT_EXEC = 1L << 5;
  /**
   * Under mode-based execute control code of user-mode linear addresses could be executed, and {@link #PROT_EXEC} is
   * for supervisor-mode ones. Undefined without that control: always 0 here.
   */
  public static final long PROT_USER_EXEC = 1L << 6;
  public static final long GVA_IS_VALID = 1L << 7;
  public static final long GVA_TRANSLATED = 1L << 8;
  /** The linear address is a user-mode address. */
  public static final long GVA_USER = 1L << 9;
  /** The linear address translates to a read/write page. */
  public static final long GVA_WRITABLE = 1L << 10;
  /** The linear address translates to an execute-disable page. */
  public static final long GVA_NX = 1L << 11;
  /** Set by IRET, which knows of NMIs; never by the walker. */
  public static final long NMI_UNBLOCKING = 1L << 12;

  private static final String[] NAMES = {"ACC_READ", "ACC_WRITE", "ACC_INSTR", "PROT_READ", "PROT_WRITE", "PROT_EXEC",
      "PROT_USER_EXEC",
      "GVA_IS_VALID", "GVA_TRANSLATED", "GVA_USER", "GVA_WRITABLE", "GVA_NX", "NMI_UNBLOCKING"};

  private EptViolation() {}

  /** The violation is one of reading or updating a guest paging-structure entry for a linear address. */
  public static boolean isTableWalk(long qualification) {
    return (qualification & (GVA_IS_VALID | GVA_TRANSLATED)) == GVA_IS_VALID;
  }

  /** Flags joined by a bar, lowest first; {@code 0} if none. */
  public static String toString(long qualification) {
    StringBuilder text = new StringBuilder();
    for (int bit = 0; bit < NAMES.length; bit++) {
      if ((qualification >>> bit & 1) != 0) {
        text.append(text.isEmpty() ? "" : "|").append(NAMES[bit]);
      }
    }
    return text.isEmpty() ? "0" : text.toString();
  }
}
