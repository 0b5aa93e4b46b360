package dev.gnomon.guest.mmu;

/**
 * Protection keys (SDM vol. 3A, "Protection Keys"): each page of 4-level paging has one of 16 keys, bits 62:59 of the
 * entry that maps it. PKRU limits data accesses to user pages (CR4.PKE = 1), IA32_PKRS those to supervisor pages
 * (CR4.PKS = 1); fetches are not limited. Both registers have two bits a key, and are looked at on every access,
 * whatever a TLB holds:
 * <pre>
 *  2 × key + 1   2 × key
 *  WD            AD       AD: no access. WD: no write, for a supervisor only with CR0.WP = 1
 * </pre>
 * As KVM does, a fault that R/W or U/S alone would have raised reports PK too if the key denies the access.
 */
public final class ProtectionKeys {
  public static final int ACCESS_DISABLE = 1;
  public static final int WRITE_DISABLE = 2;
  /** Place of the key in an entry that maps a page. */
  public static final int ENTRY_SHIFT = 59;
  public static final long ENTRY_MASK = 15L << ENTRY_SHIFT;

  private ProtectionKeys() {}

  /**
   * Whether keys forbid an access; a user's to a supervisor page is forbidden without them.
   *
   * @param rights USER and the key, as in {@link Translation#rights}
   */
  public static boolean deny(int access, int rights, PagingContext paging) {
    if ((access & Access.FETCH) != 0) {
      return false;
    }
    boolean user = (access & Access.USER) != 0;
    if (user && (rights & Translation.USER) == 0) {
      return false;
    }
    int limits = limits(rights, paging);
    boolean write = (access & Access.WRITE) != 0 && (user || paging.wp);
    return (limits & ACCESS_DISABLE) != 0 || write && (limits & WRITE_DISABLE) != 0;
  }

  /** AD and WD that apply to a page. */
  public static int limits(int rights, PagingContext paging) {
    boolean user = (rights & Translation.USER) != 0;
    if (!(user ? paging.pke : paging.pks)) {
      return 0;
    }
    int key = (rights & Translation.KEY) >>> Translation.KEY_SHIFT;
    return (user ? paging.pkru : paging.pkrs) >>> 2 * key & (ACCESS_DISABLE | WRITE_DISABLE);
  }

  /** The key of an entry that maps a page, as part of {@link Translation#rights}. */
  public static int rights(long entry) {
    return (int) ((entry & ENTRY_MASK) >>> ENTRY_SHIFT) << Translation.KEY_SHIFT;
  }
}
