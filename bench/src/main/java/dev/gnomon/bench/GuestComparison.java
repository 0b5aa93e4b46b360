package dev.gnomon.bench;

import java.util.List;
import java.util.Map;

/**
 * One guest in several modes.
 *
 * @param guest its name
 * @param parameters see {@link Guest#parameters}
 * @param scope what the counters cover, in words
 * @param modes in the order asked for
 * @param winner mode with the fewest modelled cycles among those with a hypervisor, or among all if there are not two
 *     of these; {@code tie} if these cost nearly the same
 * @param why one sentence on it, empty if there is nothing to compare
 * @param problems what went wrong, a line each; empty if all modes agree and ended well
 */
public record GuestComparison(String guest, Map<String, String> parameters, String scope, List<ModeResult> modes,
    String winner, String why, List<String> problems) {}
