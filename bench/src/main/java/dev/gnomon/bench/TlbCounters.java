package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import dev.gnomon.guest.mmu.TlbStatistics;

/**
 * Events of the modelled TLBs and page walker; see {@link TlbStatistics} for each. Misses, walks and references are 0
 * if counting was off.
 *
 * @param loadMisses data reads that missed both levels
 * @param storeMisses data writes that missed both levels
 * @param fetchMisses instruction fetches that missed both levels
 * @param secondLevelHits accesses that missed the first level and hit the second
 * @param guestReferences entries read of the tables that CR3 names, which under shadow paging are the shadow tables
 * @param eptReferences entries read of EPT tables
 * @param structureCacheHits walks that began at a paging-structure cache entry
 * @param invlpg translations dropped one address at a time
 * @param flushes of one PCID, of all, or of all but global pages
 * @param flushEpt INVVPID and INVEPT
 */
@JsonPropertyOrder({"misses", "references", "referencesPerMiss"})
public record TlbCounters(long loadMisses, long storeMisses, long fetchMisses, long secondLevelHits,
    long walksCompleted, long walksFaulted,
    long walksExited, long guestReferences, long eptReferences, long structureCacheHits, long invlpg, long flushes,
    long flushEpt) {
  static TlbCounters of(TlbStatistics s) {
    return new TlbCounters(s.dtlbLoadMisses, s.dtlbStoreMisses, s.itlbMisses, s.dtlbLoadL2Hits + s.dtlbStoreL2Hits
        + s.itlbL2Hits, s.walksCompleted, s.walksFaulted, s.walksExited, s.guestReferences, s.eptReferences,
        s.structureCacheHits, s.invlpg, s.flushPcid + s.flushNonGlobal + s.flushAll, s.invvpid + s.invept);
  }

  TlbCounters minus(TlbCounters o) {
    return new TlbCounters(loadMisses - o.loadMisses, storeMisses - o.storeMisses, fetchMisses - o.fetchMisses,
        secondLevelHits - o.secondLevelHits, walksCompleted - o.walksCompleted, walksFaulted - o.walksFaulted,
        walksExited - o.walksExited, guestReferences - o.guestReferences, eptReferences - o.eptReferences,
        structureCacheHits - o.structureCacheHits, invlpg - o.invlpg, flushes - o.flushes, flushEpt - o.flushEpt);
  }

  /** Misses of both levels: walks begun. */
  @JsonProperty
  public long misses() {
    return loadMisses + storeMisses + fetchMisses;
  }

  /** Paging-structure entries read. */
  @JsonProperty
  public long references() {
    return guestReferences + eptReferences;
  }

  /** References of a miss on average, 0 if there was none. */
  @JsonProperty
  public double referencesPerMiss() {
    return misses() == 0 ? 0 : (double) references() / misses();
  }
}
