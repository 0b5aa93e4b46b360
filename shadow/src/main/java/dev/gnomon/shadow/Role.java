package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.ProtectionKeys;

/**
 * What a shadow page stands for besides its guest frame, packed in an {@code int} as KVM's {@code union
 * kvm_mmu_page_role}: two pages with the same frame and role are one page, and a page is usable only where each bit
 * fits.
 * <pre>
 *  20:17   16
 *  key   | keys |
 *  15    14    13               12               11       10        9            8:6      5:4        3        2:0
 *  pse | lma | smap_andnot_wp | smep_andnot_wp | cr0_wp | efer_nx | has_4_byte | access | quadrant | direct | level
 * </pre>
 * {@code access} is what all entries above the page grant together, so that one guest table reached through parents
 * with different rights has several shadows. {@code quadrant} is which part of a 1024-entry guest table of 4-byte
 * entries a page of 512 entries covers: 0..1 at level 1, 0..3 at level 2. KVM keeps {@code pse} and {@code lma} only in
 * the role of the whole MMU; here they belong to each page, because they decide how its guest entries are read (4-MiB
 * pages, reserved bits 62:52). {@code keys}: CR4.PKE or CR4.PKS; {@code key} is that of the large guest page above a
 * direct page. KVM has no shadow paging with protection keys.
 */
public final class Role {
  private static final int LEVEL = 7;
  private static final int DIRECT = 1 << 3;
  private static final int QUADRANT_SHIFT = 4;
  private static final int QUADRANT = 3 << QUADRANT_SHIFT;
  private static final int ACCESS_SHIFT = 6;
  private static final int ACCESS = ShadowAccess.ALL << ACCESS_SHIFT;
  private static final int HAS_4_BYTE_GPTE = 1 << 9;
  private static final int EFER_NX = 1 << 10;
  private static final int CR0_WP = 1 << 11;
  private static final int SMEP_ANDNOT_WP = 1 << 12;
  private static final int SMAP_ANDNOT_WP = 1 << 13;
  private static final int EFER_LMA = 1 << 14;
  private static final int CR4_PSE = 1 << 15;
  private static final int CR4_KEYS = 1 << 16;
  private static final int KEY_SHIFT = 17;
  private static final int KEY = 15 << KEY_SHIFT;
  private static final int PLACE = LEVEL | DIRECT | QUADRANT | ACCESS | KEY;

  private Role() {}

  /**
   * Role of a root page of the top shadow level: four-level for long mode, otherwise level 2 under four PDPTE
   * registers.
   */
  static int root(GuestPagingState state) {
    if (!state.paging()) {
      return DIRECT | 2 | ACCESS;
    }
    int role = ACCESS | state.levels();
    role |= state.legacy() ? HAS_4_BYTE_GPTE : 0;
    role |= state.legacy() && state.pse() ? CR4_PSE : 0;
    role |= state.longMode() ? EFER_LMA : 0;
    role |= state.keys() ? CR4_KEYS : 0;
    role |= state.nxe() ? EFER_NX : 0;
    role |= state.wp() ? CR0_WP : 0;
    role |= state.smep() && !state.wp() ? SMEP_ANDNOT_WP : 0;
    role |= state.smap() && !state.wp() ? SMAP_ANDNOT_WP : 0;
    return role;
  }

  /** Role of a table below one of {@code parent}'s role. */
  static int child(int parent, int level, boolean direct, int access, @Gva long gva) {
    int role = parent & ~PLACE | level | (direct ? DIRECT : 0) | access << ACCESS_SHIFT;
    return has4ByteGpte(role) && !direct ? withQuadrant(role, quadrant(gva, level)) : role;
  }

  /** Role of a direct table for a page with a protection key, as in {@link ShadowPte#KEY}. */
  static int withKey(int role, long key) {
    return role | (int) (key >>> ProtectionKeys.ENTRY_SHIFT) << KEY_SHIFT;
  }

  /** Protection key of all pages below a direct page, in its place in an entry. */
  static long key(int role) {
    return (long) ((role & KEY) >>> KEY_SHIFT) << ProtectionKeys.ENTRY_SHIFT;
  }

  public static boolean hasKeys(int role) {
    return (role & CR4_KEYS) != 0;
  }

  static int withQuadrant(int role, int quadrant) {
    return role & ~QUADRANT | quadrant << QUADRANT_SHIFT;
  }

  /** Which part of a 2-level guest's table at that level maps the address: bit 21 at level 1, bits 31:30 at level 2. */
  static int quadrant(@Gva long gva, int level) {
    return level == 1 ? (int) (gva >>> 21) & 1 : (int) (gva >>> 30) & 3;
  }

  public static int level(int role) {
    return role & LEVEL;
  }

  /**
   * The page maps guest-physical addresses in order and shadows no guest table: for paging off and below a large guest
   * page.
   */
  public static boolean direct(int role) {
    return (role & DIRECT) != 0;
  }

  public static int quadrant(int role) {
    return (role & QUADRANT) >>> QUADRANT_SHIFT;
  }

  /** Bits of {@link ShadowAccess}. */
  public static int access(int role) {
    return (role & ACCESS) >>> ACCESS_SHIFT;
  }

  public static boolean has4ByteGpte(int role) {
    return (role & HAS_4_BYTE_GPTE) != 0;
  }

  public static boolean eferNx(int role) {
    return (role & EFER_NX) != 0;
  }

  public static boolean eferLma(int role) {
    return (role & EFER_LMA) != 0;
  }

  public static boolean cr4Pse(int role) {
    return (role & CR4_PSE) != 0;
  }

  public static boolean cr0Wp(int role) {
    return (role & CR0_WP) != 0;
  }

  public static boolean smepAndNotWp(int role) {
    return (role & SMEP_ANDNOT_WP) != 0;
  }

  public static boolean smapAndNotWp(int role) {
    return (role & SMAP_ANDNOT_WP) != 0;
  }

  /** The bits that are the vCPU's, not the page's place in its tree: all but level, direct, quadrant and access. */
  static int vcpuBits(int role) {
    return role & ~PLACE;
  }

  /** KVM's tracepoint form, {@code l1 8-byte q0 direct wux !nxe}. */
  public static String toString(int role) {
    return "l" + level(role) + (has4ByteGpte(role) ? " 4-byte" : " 8-byte") + " q" + quadrant(role)
        + (direct(role) ? " direct" : "") + " "
        + ShadowAccess.toString(access(role)) + (eferNx(role) ? " nxe" : " !nxe") + (cr0Wp(role) ? "" : " !wp")
        + (smepAndNotWp(role) ? " smep_andnot_wp" : "") + (smapAndNotWp(role) ? " smap_andnot_wp" : "");
  }
}
