package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Everything that one run, or the measured region of one, counted. It depends on guest and options alone, so two runs
 * have equal ones.
 *
 * @param instructions retired
 * @param virtualNs virtual time in nanoseconds, the jumps of HLT included
 * @param tlb modelled TLBs and page walks
 * @param guestEvents what reached the guest through its IDT
 * @param exits by reason and cause, most frequent first; empty natively
 * @param backedPieces pieces of host memory given out on first touch, of the backing's size; 0 natively
 * @param mmio accesses to device memory by address, if these were watched
 * @param kvm counters and gauges by the names of KVM's statistics; of a region, gauges and peaks ({@link #GAUGES}) are
 *     those at its end
 * @param vcpus of each virtual processor, if there are several
 */
@JsonPropertyOrder({"instructions", "virtualNs", "exitTotal", "injectedFaults"})
public record Counters(long instructions, long virtualNs, TlbCounters tlb, GuestEvents guestEvents,
    List<ExitCount> exits,
    long backedPieces, List<MmioCount> mmio, Map<String, Long> kvm,
    @JsonInclude(JsonInclude.Include.NON_EMPTY) List<VcpuCounters> vcpus) {
  /** Names in {@link #kvm} that do not grow with events. */
  public static final List<String> GAUGES = List.of("mmu_unsync", "pages_4k", "pages_2m", "pages_1g",
      "max_mmu_rmap_size");
  /** Page faults that the hypervisor, not the processor, delivered to the guest. */
  private static final String INJECTED = "pf_guest";

  /** Of a machine with one processor. */
  public Counters(long instructions, long virtualNs, TlbCounters tlb, GuestEvents guestEvents, List<ExitCount> exits,
      long backedPieces, List<MmioCount> mmio, Map<String, Long> kvm) {
    this(instructions, virtualNs, tlb, guestEvents, exits, backedPieces, mmio, kvm, List.of());
  }

  Counters minus(Counters o) {
    Map<String, Long> difference = new LinkedHashMap<>();
    kvm.forEach((name, value) -> difference.put(name, GAUGES.contains(name) ? value
        : value - o.kvm.getOrDefault(name, 0L)));
    return new Counters(instructions - o.instructions, virtualNs - o.virtualNs, tlb.minus(o.tlb),
        guestEvents.minus(o.guestEvents), ExitCount.difference(exits, o.exits), backedPieces - o.backedPieces,
        MmioCount.difference(mmio, o.mmio), difference, VcpuCounters.difference(vcpus, o.vcpus));
  }

  /** These without the exits of one reason and cause, which are port instructions. */
  Counters withoutPortExits(String reason, String cause) {
    long gone = exits.stream().filter(exit -> exit.is(reason, cause))
        .mapToLong(ExitCount::count).sum();
    Map<String, Long> rest = new LinkedHashMap<>(kvm);
    rest.replaceAll((name, value) -> name.equals("exits") || name.equals("io_exits") ? value - gone : value);
    return new Counters(instructions, virtualNs, tlb, guestEvents,
        exits.stream().filter(exit -> !exit.is(reason, cause)).toList(), backedPieces, mmio, rest,
        vcpus.stream().map(vcpu -> vcpu.without(reason, cause)).toList());
  }

  /** All exits. */
  @JsonProperty
  public long exitTotal() {
    return exits.stream().mapToLong(ExitCount::count).sum();
  }

  /** Page faults that the hypervisor injected. */
  @JsonProperty
  public long injectedFaults() {
    return kvm.getOrDefault(INJECTED, 0L);
  }

  /** Exits of a reason, whatever the cause. */
  public long exitsOf(String reason) {
    return exits.stream().filter(exit -> exit.reason().equals(reason)).mapToLong(ExitCount::count).sum();
  }
}
