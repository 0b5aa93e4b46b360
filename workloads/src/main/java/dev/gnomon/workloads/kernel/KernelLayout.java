package dev.gnomon.workloads.kernel;

/**
 * Where things lie in the guest's address spaces.
 * <pre>
 *  guest-physical
 *  200000           the image: code, tables, variables; one 2M page
 *  behind it        reference counts and the free list, sized by the memory; then 4K frames, handed out upwards
 *  end of RAM       2M frames, handed out downwards
 *
 *  linear, canonical
 *  0000000000400000 user text
 *  0000000100000000 user heap
 *  00007FFFFFF00000 user stack, growing down from here
 *  FFFF800000000000 direct map of all RAM, 2M pages
 *  FFFFA00000000000 windows of kernel-mode programs
 *  FFFFFFFF80000000 + physical: the image, one 2M page; its entry part under isolation also in the user's tables, by 4K
 *  FFFFFFFFC0000000 device pages, 4K, uncached
 * </pre>
 */
public final class KernelLayout {
  /** Guest-physical address at which the image is loaded. */
  public static final long LOAD_ADDRESS = 0x20_0000;
  /** The image with all its variables stays within one 2M page. */
  public static final long IMAGE_LIMIT = 0x20_0000;
  /** Linear address of guest-physical 0 as the kernel's own code is linked. */
  public static final long IMAGE_BASE = 0xFFFF_FFFF_8000_0000L;
  public static final long DIRECT_MAP = 0xFFFF_8000_0000_0000L;
  /** First linear address that kernel-mode programs may map as they like, PML4 slot {@link #WINDOW_SLOT}. */
  public static final long WINDOW = 0xFFFF_A000_0000_0000L;
  public static final long DEVICE_WINDOW = 0xFFFF_FFFF_C000_0000L;
  public static final long USER_TEXT = 0x40_0000;
  /** First address of the user heap; a multiple of 2M. */
  public static final long USER_HEAP = 0x1_0000_0000L;
  public static final long USER_STACK_TOP = 0x7FFF_FFF0_0000L;
  public static final long USER_STACK_BYTES = 0x1_0000;

  static final int PAGE = 4096;
  static final int PAGE_2M = 1 << 21;
  static final int TABLE_ENTRIES = 512;
  /** User slots of a PML4: the lower canonical half. */
  static final int USER_SLOTS = 256;
  static final int DIRECT_SLOT = 256;
  static final int WINDOW_SLOT = 320;
  static final int IMAGE_SLOT = 511;
  /** PDPT slots under {@link #IMAGE_SLOT}. */
  static final int IMAGE_PDPT_SLOT = 510;
  static final int DEVICE_PDPT_SLOT = 511;
  /** The direct map reaches 2 GiB. */
  static final int DIRECT_TABLES = 2;

  private KernelLayout() {}
}
