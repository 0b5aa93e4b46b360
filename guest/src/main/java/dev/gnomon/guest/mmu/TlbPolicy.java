package dev.gnomon.guest.mmu;

/**
 * What the processor keeps of translations. A correct guest runs the same under each; what a guest sees of its own
 * forgotten invalidations differs, always within what the SDM allows. Under every policy a page fault drops the
 * faulting address.
 */
public sealed interface TlbPolicy {
  /** Soft TLBs only: a large direct-mapped cache for host speed. Nothing is counted. The default. */
  TlbPolicy UNCOUNTED = new Uncounted();
  /**
   * Keeps each translation until the SDM says that it must go: no replacement, paging-structure caches included, and an
   * access that a cached entry refuses faults without another walk. Finds guests that forget an invalidation.
   */
  TlbPolicy STALE = new Stale();
  /** Keeps nothing from one access to the next. Finds guests that rely on a stale entry. */
  TlbPolicy FORGETFUL = new Forgetful();

  /**
   * TLBs of a declared geometry with every miss, walk and reference counted; the soft TLBs hold only what the first
   * level holds.
   */
  static TlbPolicy counted(TlbGeometry geometry) {
    return new Counted(geometry, 0);
  }

  /** @param seed of random replacement */
  record Counted(TlbGeometry geometry, long seed) implements TlbPolicy {}

  /** See {@link #UNCOUNTED}. */
  record Uncounted() implements TlbPolicy {}

  /** See {@link #STALE}. */
  record Stale() implements TlbPolicy {}

  /** See {@link #FORGETFUL}. */
  record Forgetful() implements TlbPolicy {}
}
