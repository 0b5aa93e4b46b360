package dev.gnomon.guest.mmu;

/**
 * The permission rule of paging (SDM vol. 3A, "Determination of Access Rights"), on rights combined over all levels of
 * a walk. Used by the walker and on every TLB hit. A dash is "either":
 * <pre>
 *  mode        access   U/S  R/W  NX   WP  SMEP  SMAP          allowed
 *  user        any      0    -    -    -   -     -             no
 *  user        read     1    -    -    -   -     -             yes
 *  user        write    1    R/W  -    -   -     -             R/W
 *  user        fetch    1    -    NX   -   -     -             !NX
 *  supervisor  read     0    -    -    -   -     -             yes
 *  supervisor  write    0    R/W  -    WP  -     -             R/W | !WP
 *  supervisor  fetch    0    -    NX   -   -     -             !NX
 *  supervisor  read     1    -    -    -   -     (a)           !(a)
 *  supervisor  write    1    R/W  -    WP  -     (a)           !(a) &amp; (R/W | !WP)
 *  supervisor  fetch    1    -    NX   -   SMEP  -             !SMEP &amp; !NX
 * </pre>
 * (a) CR4.SMAP = 1, and the access is implicit or EFLAGS.AC = 0. NX counts only with EFER.NXE = 1; otherwise it is a
 * reserved bit and EXECUTABLE is set.
 */
public final class Permissions {
  private Permissions() {}

  /**
   * Whether paging allows an access.
   *
   * @param access bits of {@link Access}
   * @param rights WRITABLE, USER and EXECUTABLE of {@link Translation}
   * @param paging WP, SMEP and SMAP in force
   */
  public static boolean allowed(int access, int rights, PagingContext paging) {
    boolean user = (access & Access.USER) != 0;
    if ((rights & Translation.USER) == 0) {
      if (user) {
        return false;
      }
    } else if (!user && ((access & Access.FETCH) != 0 ? paging.smep : paging.smap && !overridesSmap(access))) {
      return false;
    }
    if ((access & Access.FETCH) != 0) {
      return (rights & Translation.EXECUTABLE) != 0;
    }
    return (access & Access.WRITE) == 0 || (rights & Translation.WRITABLE) != 0 || !user && !paging.wp;
  }

  private static boolean overridesSmap(int access) {
    return (access & (Access.SMAP_OVERRIDE | Access.IMPLICIT)) == Access.SMAP_OVERRIDE;
  }

  /**
   * Error code of the #PF that an access raises.
   *
   * @param flags {@link PageFaultCode#P} and {@link PageFaultCode#RSVD} as they apply
   */
  public static int errorCode(int access, int flags, PagingContext paging) {
    int code = flags | access & Access.ERROR_CODE_MASK;
    boolean reportsFetch = paging.smep || paging.nxe && paging.mode >= PagingContext.PAE;
    return reportsFetch ? code : code & ~PageFaultCode.ID;
  }
}
