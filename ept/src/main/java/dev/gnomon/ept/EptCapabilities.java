package dev.gnomon.ept;

/**
 * What the modelled processor can do with EPT (SDM vol. 3D, appendix "VPID and EPT Capabilities"). Four levels and the
 * types UC and WB for the tables themselves are always there.
 *
 * @param executeOnly entries with X alone are allowed; without it they are misconfigured
 * @param accessedDirty the A and D flags exist and EPTP bit 6 may be set
 * @param page2m a PDE may map 2 MiB
 * @param page1g a PDPTE may map 1 GiB
 * @param advancedExitInfo violations report the guest's own rights in bits 11:9 of the exit qualification
 * @param fiveLevels walks may have 5 levels
 * @param secondary which bits of {@link SecondaryControls} may be 1 (MSR IA32_VMX_PROCBASED_CTLS2, bits 63:32)
 */
public record EptCapabilities(boolean executeOnly, boolean accessedDirty, boolean page2m, boolean page1g,
    boolean advancedExitInfo, boolean fiveLevels, int secondary) {
  /** All of them, as on current processors. */
  public static final EptCapabilities ALL =
      new EptCapabilities(true, true, true, true, true, true, SecondaryControls.ALL);
  /** The first processors with EPT: 4-KiB and 2-MiB pages only. */
  public static final EptCapabilities NEHALEM = new EptCapabilities(false, false, true, false, false);

  /** Without 5 levels, and with no secondary control but EPT itself. */
  public EptCapabilities(boolean executeOnly, boolean accessedDirty, boolean page2m, boolean page1g,
      boolean advancedExitInfo) {
    this(executeOnly, accessedDirty, page2m, page1g, advancedExitInfo, false, SecondaryControls.ENABLE_EPT);
  }

  private static final long CAP_EXECUTE_ONLY = 1L;
  private static final long CAP_WALK_LENGTH_4 = 1L << 6;
  private static final long CAP_WALK_LENGTH_5 = 1L << 7;
  private static final long CAP_TYPE_UC = 1L << 8;
  private static final long CAP_TYPE_WB = 1L << 14;
  private static final long CAP_2M = 1L << 16;
  private static final long CAP_1G = 1L << 17;
  private static final long CAP_INVEPT = 1L << 20;
  private static final long CAP_ACCESSED_DIRTY = 1L << 21;
  private static final long CAP_ADVANCED_EXIT_INFO = 1L << 22;
  private static final long CAP_INVEPT_SINGLE = 1L << 25;
  private static final long CAP_INVEPT_ALL = 1L << 26;
  private static final long CAP_INVVPID = 1L << 32;
  /** Individual address, single context, all contexts, single context retaining globals. */
  private static final long CAP_INVVPID_TYPES = 15L << 40;

  /**
   * Value of MSR IA32_VMX_EPT_VPID_CAP.
   * <pre>
   *  43:40     32        26      25         22         21    20       17   16   14   8    7        6        0
   *  types of  INVVPID | INVEPT: all, one | advanced | A/D | INVEPT | 1G | 2M | WB | UC | length | length | X only
   *  INVVPID             context            info                                          5        4
   * </pre>
   */
  public long msr() {
    return CAP_WALK_LENGTH_4 | CAP_TYPE_UC | CAP_TYPE_WB | CAP_INVEPT | CAP_INVEPT_SINGLE | CAP_INVEPT_ALL | CAP_INVVPID
        | CAP_INVVPID_TYPES | (executeOnly ? CAP_EXECUTE_ONLY : 0) | (accessedDirty ? CAP_ACCESSED_DIRTY : 0)
        | (page2m ? CAP_2M : 0) | (page1g ? CAP_1G : 0) | (fiveLevels ? CAP_WALK_LENGTH_5 : 0)
        | (advancedExitInfo ? CAP_ADVANCED_EXIT_INFO : 0);
  }

  /** log2 of the largest page that an entry can map: 12, 21 or 30. */
  public int maxPageShift() {
    return page1g ? EptEntry.SHIFT_1G : page2m ? EptEntry.SHIFT_2M : EptEntry.SHIFT_4K;
  }
}
