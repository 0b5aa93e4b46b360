package dev.gnomon.bench;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a result was made with, enough to make it again.
 *
 * @param version of Gnomon
 * @param command the command's name
 * @param options machine options by name, those that every mode shares
 * @param costs the cost table
 */
public record Provenance(String version, String command, Map<String, String> options, CostModel costs) {
  public Provenance {
    options = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(options));
  }
}
