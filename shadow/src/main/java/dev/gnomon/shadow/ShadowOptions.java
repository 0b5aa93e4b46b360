package dev.gnomon.shadow;

/**
 * Switches of the shadow MMU.
 *
 * @param unsync level-1 guest tables may be written by the guest without an exit until the next INVLPG or TLB flush
 * @param prefetch entries are also made where no access asked for one: beside a fault, after an emulated write of a
 *     guest entry, after INVLPG
 * @param largePages 2M and 1G shadow mappings
 * @param pageLimit most shadow pages that exist at a time, at least {@link #MIN_PAGE_LIMIT}
 * @param audit check all invariants after every operation
 */
public record ShadowOptions(boolean unsync, boolean prefetch, boolean largePages, int pageLimit, boolean audit) {
  /** Four cached roots of four pages each and the pages of one walk. */
  public static final int MIN_PAGE_LIMIT = 32;
  /** Pages of one root at most. */
  public static final int ROOT_PAGES = 4;
  public static final int DEFAULT_PAGE_LIMIT = 4096;

  /** @throws IllegalArgumentException if the page limit is too small */
  public ShadowOptions {
    if (pageLimit < MIN_PAGE_LIMIT) {
      throw new IllegalArgumentException("shadow page limit of " + pageLimit + ": expected at least " + MIN_PAGE_LIMIT);
    }
  }

  /** All on but the audit, as KVM. */
  public static ShadowOptions defaults() {
    return new ShadowOptions(true, true, true, DEFAULT_PAGE_LIMIT, false);
  }

  public ShadowOptions withUnsync(boolean on) {
    return new ShadowOptions(on, prefetch, largePages, pageLimit, audit);
  }

  public ShadowOptions withPrefetch(boolean on) {
    return new ShadowOptions(unsync, on, largePages, pageLimit, audit);
  }

  public ShadowOptions withLargePages(boolean on) {
    return new ShadowOptions(unsync, prefetch, on, pageLimit, audit);
  }

  public ShadowOptions withPageLimit(int pages) {
    return new ShadowOptions(unsync, prefetch, largePages, pages, audit);
  }

  public ShadowOptions withAudit(boolean on) {
    return new ShadowOptions(unsync, prefetch, largePages, pageLimit, on);
  }
}
