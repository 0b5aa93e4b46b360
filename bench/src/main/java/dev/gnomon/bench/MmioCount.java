package dev.gnomon.bench;

import dev.gnomon.guest.memory.Gpa;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * How often one address of device memory, or of no memory, was accessed.
 *
 * @param gpa guest-physical address
 * @param write write or read
 */
public record MmioCount(@Gpa long gpa, boolean write, long count) {
  private record Place(@Gpa long gpa, boolean write) implements Comparable<Place> {
    @Override
    public int compareTo(Place o) {
      int order = Long.compareUnsigned(gpa, o.gpa);
      return order != 0 ? order : Boolean.compare(write, o.write);
    }
  }

  static List<MmioCount> difference(List<MmioCount> later, List<MmioCount> earlier) {
    Map<Place, Long> counts = new TreeMap<>();
    later.forEach(access -> counts.put(new Place(access.gpa, access.write), access.count));
    earlier.forEach(access -> counts.merge(new Place(access.gpa, access.write), -access.count, Long::sum));
    return counts.entrySet().stream().filter(entry -> entry.getValue() != 0)
        .map(entry -> new MmioCount(entry.getKey().gpa, entry.getKey().write, entry.getValue())).toList();
  }
}
