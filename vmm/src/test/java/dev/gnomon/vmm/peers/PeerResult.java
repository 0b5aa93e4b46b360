package dev.gnomon.vmm.peers;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** A case's line, parsed: values by field, and of the tables what changed. */
final class PeerResult {
  /** Name of the difference between what memory holds. */
  static final String MEMORY = "memory";
  private static final Set<String> SELECTORS = Set.of("cs", "ss", "ds", "es", "fs", "gs", "v86es", "v86ds", "v86fs",
      "v86gs", "hss");
  private static final int SELECTOR = 0xFFFF;

  private final String line;
  private final Map<String, Long> fields = new LinkedHashMap<>();
  private final Map<Long, Long> memory = new LinkedHashMap<>();

  PeerResult(String line, List<String> names) {
    this.line = line;
    if (line.equals(PeerMachine.SHUTDOWN)) {
      return;
    }
    String[] words = line.split(" ");
    int next = 0;
    for (String field : names) {
      long value = Long.parseUnsignedLong(words[next++], 16);
      // The upper half of a pushed selector is left open.
      fields.put(field, SELECTORS.contains(field) ? value & SELECTOR : value);
    }
    while (next + 1 < words.length) {
      memory.put(Long.parseUnsignedLong(words[next], 16), Long.parseUnsignedLong(words[next + 1], 16));
      next += 2;
    }
  }

  /** Names of the fields that differ; {@link PeerMachine#SHUTDOWN} alone if only one of the two went on. */
  Set<String> differences(PeerResult other) {
    Set<String> names = new TreeSet<>();
    if (fields.isEmpty() != other.fields.isEmpty()) {
      names.add(PeerMachine.SHUTDOWN);
      return names;
    }
    for (String field : fields.keySet()) {
      if (!fields.get(field).equals(other.fields.get(field))) {
        names.add(field);
      }
    }
    if (!memory.equals(other.memory)) {
      names.add(MEMORY);
    }
    return names;
  }

  /** The bits in which a field differs. */
  long bits(PeerResult other, String field) {
    return fields.getOrDefault(field, 0L) ^ other.fields.getOrDefault(field, 0L);
  }

  /** Whether the handler began on a null stack segment of its ring. */
  boolean isNullStack() {
    return fields.containsKey("hss") && fields.get("hss") == (fields.get("hcs") & 3);
  }

  @Override
  public String toString() {
    return line;
  }
}
