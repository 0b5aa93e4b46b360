package dev.gnomon.guest.mmu;

/**
 * What an access asks of a translation. The low bits are those of the page-fault error code, so that a code is built by
 * OR.
 * <pre>
 *  9               8         4      2     1
 *  SMAP_OVERRIDE | IMPLICIT | FETCH | USER | WRITE
 * </pre>
 */
public final class Access {
  public static final int READ = 0;
  public static final int WRITE = 1 << 1;
  /** User-mode access: CPL 3 and not implicit. */
  public static final int USER = 1 << 2;
  public static final int FETCH = 1 << 4;
  /**
   * Implicit supervisor access (descriptor tables, TSS, interrupt stack of an inner ring): SMAP applies whatever
   * EFLAGS.AC is.
   */
  public static final int IMPLICIT = 1 << 8;
  /** Explicit supervisor data access with EFLAGS.AC = 1: SMAP does not apply. */
  public static final int SMAP_OVERRIDE = 1 << 9;
  /** The bits that go into a page-fault error code. */
  public static final int ERROR_CODE_MASK = WRITE | USER | FETCH;

  private Access() {}
}
