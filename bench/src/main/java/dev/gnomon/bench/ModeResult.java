package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonInclude;

/**
 * One guest's run in one mode.
 *
 * @param mode native, ept or shadow
 * @param end how the run ended, KVM-like words in upper case
 * @param detail one line more about the end, may be empty
 * @param verdict of the guest on itself, null if it gave none
 * @param counters of the measured region, or of the whole run if the guest marks none
 * @param cycles modelled
 * @param relative cycles over those of the comparison's base, 0 if there is nothing to compare with
 * @param host noisy
 * @param dirtyLog the pages written, null if they were not logged
 */
public record ModeResult(String mode, String end, String detail, Guest.Verdict verdict, Counters counters,
    Cycles cycles, double relative, HostTime host,
    @JsonInclude(JsonInclude.Include.NON_NULL) DirtyPageReport dirtyLog) {
  ModeResult relativeTo(long baseCycles) {
    double ratio = baseCycles == 0 ? 0 : Math.round(1e4 * cycles.total() / baseCycles) / 1e4;
    return new ModeResult(mode, end, detail, verdict, counters, cycles, ratio, host, dirtyLog);
  }
}
