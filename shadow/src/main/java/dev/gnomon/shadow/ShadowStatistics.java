package dev.gnomon.shadow;

/**
 * Counts of the shadow MMU, KVM's names in camel case. {@code mmuUnsync} and {@code pages} are gauges,
 * {@code maxMmuRmapSize} is a peak; all others only grow.
 */
public final class ShadowStatistics {
  /** Shadow pages thrown away. */
  public long mmuShadowZapped;
  /** Emulated or foreign writes to guest tables that have shadows. */
  public long mmuPteWrite;
  /** Shadow entries above level 1 that such writes dropped. */
  public long mmuPdeZapped;
  /** Shadow pages thrown away because their guest frame looked like no table any more. */
  public long mmuFlooded;
  /** Shadow pages thrown away to stay under the page limit. */
  public long mmuRecycled;
  /** Shadow pages made. */
  public long mmuCacheMiss;
  /** Shadow pages that are out of sync now. */
  public long mmuUnsync;
  /** Mappings by size that are installed now: index 1 is 4K, 2 is 2M, 3 is 1G. */
  public final long[] pages = new long[4];
  /** Longest chain of mappings of one guest frame. */
  public long maxMmuRmapSize;
  /** Page faults that reached the shadow MMU. */
  public long pfTaken;
  /** … that a new or wider shadow entry repaired. */
  public long pfFixed;
  /** … whose instruction must be emulated. */
  public long pfEmulate;
  /** … that found the shadow entry already right. */
  public long pfSpurious;
  /** … repaired by setting W alone, without a walk. */
  public long pfFast;
  /** MMIO markers installed. */
  public long pfMmioSpteCreated;
  /** … that belong to the guest and were injected. */
  public long pfGuest;
  /** Flushes of the processor's TLB that the shadow MMU asked for. */
  public long tlbFlush;
  /** Times that all vCPUs were asked to drop their translations. */
  public long remoteTlbFlushRequests;
  /** Guest INVLPGs. */
  public long invlpg;

  public long pages4k() {
    return pages[1];
  }

  public long pages2m() {
    return pages[2];
  }

  public long pages1g() {
    return pages[3];
  }
}
