package dev.gnomon.bench;

import dev.gnomon.vmm.Vcpu;
import java.util.ArrayList;
import java.util.List;

/**
 * What one virtual processor of several counted.
 *
 * @param vcpu its number
 * @param instructions retired
 * @param exits by reason and cause, most frequent first
 */
public record VcpuCounters(int vcpu, long instructions, List<ExitCount> exits) {
  /** Of all processors of a machine; empty if there is one, whose counts are the machine's. */
  static List<VcpuCounters> of(List<Vcpu> vcpus) {
    return vcpus.size() == 1 ? List.of()
        : vcpus.stream()
            .map(vcpu -> new VcpuCounters(vcpu.index(), vcpu.cpu().retired, ExitCount.of(vcpu.exits()))).toList();
  }

  static List<VcpuCounters> difference(List<VcpuCounters> later, List<VcpuCounters> earlier) {
    List<VcpuCounters> difference = new ArrayList<>();
    for (int i = 0; i < later.size(); i++) {
      VcpuCounters a = later.get(i);
      VcpuCounters b = earlier.get(i);
      difference.add(new VcpuCounters(a.vcpu, a.instructions - b.instructions, ExitCount.difference(a.exits, b.exits)));
    }
    return difference;
  }

  VcpuCounters without(String reason, String cause) {
    return new VcpuCounters(vcpu, instructions, exits.stream().filter(exit -> !exit.is(reason, cause)).toList());
  }

  long count(ExitCount like) {
    return exits.stream().filter(exit -> exit.is(like.reason(), like.cause())).mapToLong(ExitCount::count).sum();
  }

  long exitTotal() {
    return exits.stream().mapToLong(ExitCount::count).sum();
  }
}
