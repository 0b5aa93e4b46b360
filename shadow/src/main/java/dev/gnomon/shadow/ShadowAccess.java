package dev.gnomon.shadow;

/**
 * Rights that a guest's entries grant together, as KVM packs them ({@code ACC_*_MASK}); reading is implied.
 * <pre>
 *  2      1       0
 *  USER | WRITE | EXEC
 * </pre>
 */
public final class ShadowAccess {
  public static final int EXEC = 1;
  public static final int WRITE = 1 << 1;
  public static final int USER = 1 << 2;
  public static final int ALL = EXEC | WRITE | USER;
  public static final int BITS = 3;

  private static final String[] NAMES = {"---", "--x", "w--", "w-x", "-u-", "-ux", "wu-", "wux"};

  private ShadowAccess() {}

  /** KVM's tracepoint form, {@code wux}. */
  public static String toString(int access) {
    return NAMES[access & ALL];
  }
}
