package dev.gnomon.vmm;

import dev.gnomon.ept.EptTables;
import dev.gnomon.shadow.ShadowStatistics;
import dev.gnomon.vmm.memory.MemorySlots;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToLongFunction;

/** Gathers the counters of a machine under the names that KVM gives them in its statistics. */
final class VmStatistics {
  private static final ShadowStatistics NONE = new ShadowStatistics();

  private final List<Vcpu> vcpus;
  private final MemorySlots slots;
  private final RemoteFlushes remote;

  VmStatistics(List<Vcpu> vcpus, MemorySlots slots, RemoteFlushes remote) {
    this.vcpus = vcpus;
    this.slots = slots;
    this.remote = remote;
  }

  private long sum(ToLongFunction<Vcpu> counter) {
    return vcpus.stream().mapToLong(counter).sum();
  }

  Map<String, Long> byName() {
    Vcpu first = vcpus.get(0);
    ShadowStatistics s = first.shadow == null ? NONE : first.shadow.mmu.statistics();
    List<EptTables> e = first.ept == null ? List.of() : first.ept.views.all();
    Map<String, Long> all = new LinkedHashMap<>();
    all.put("exits", sum(vcpu -> vcpu.exits.total()));
    all.put("io_exits", sum(vcpu -> vcpu.counters.ioExits));
    all.put("mmio_exits", sum(vcpu -> vcpu.counters.mmioExits));
    all.put("irq_exits", sum(vcpu -> vcpu.counters.irqExits));
    all.put("irq_window_exits", sum(vcpu -> vcpu.counters.irqWindowExits));
    all.put("request_irq_exits", sum(vcpu -> vcpu.counters.requestIrqExits));
    all.put("halt_exits", sum(vcpu -> vcpu.counters.haltExits));
    all.put("insn_emulation", sum(vcpu -> vcpu.emulator == null ? 0 : vcpu.emulator.emulated));
    all.put("insn_emulation_fail", sum(vcpu -> vcpu.emulator == null ? 0 : vcpu.emulator.failed));
    all.put("irq_injections", sum(vcpu -> vcpu.counters.irqInjections));
    all.put("hypercalls", sum(vcpu -> vcpu.counters.hypercalls));
    all.put("pf_taken", sum(vcpu -> vcpu.counters.pfTaken) + s.pfTaken);
    all.put("pf_fixed", sum(vcpu -> vcpu.counters.pfFixed) + s.pfFixed);
    all.put("pf_emulate", sum(vcpu -> vcpu.counters.pfEmulate) + s.pfEmulate);
    all.put("pf_spurious", sum(vcpu -> vcpu.counters.pfSpurious) + s.pfSpurious);
    all.put("pf_fast", s.pfFast + sum(e, EptTables::fastFaults));
    all.put("pf_mmio_spte_created", s.pfMmioSpteCreated + sum(e, EptTables::mmioMarkers));
    all.put("pf_guest", s.pfGuest);
    all.put("tlb_flush", s.tlbFlush + sum(vcpu -> vcpu.ept == null ? 0 : vcpu.ept.tlbFlushes));
    all.put("invlpg", s.invlpg);
    all.put("remote_tlb_flush", remote.interrupting);
    all.put("remote_tlb_flush_requests", s.remoteTlbFlushRequests + remote.requests);
    all.put("mmu_shadow_zapped", s.mmuShadowZapped);
    all.put("mmu_pte_write", s.mmuPteWrite);
    all.put("mmu_pde_zapped", s.mmuPdeZapped);
    all.put("mmu_flooded", s.mmuFlooded);
    all.put("mmu_recycled", s.mmuRecycled);
    all.put("mmu_cache_miss", s.mmuCacheMiss);
    all.put("mmu_unsync", s.mmuUnsync);
    all.put("pages_4k", s.pages4k() + sum(e, EptTables::pages4k));
    all.put("pages_2m", s.pages2m() + sum(e, EptTables::pages2m));
    all.put("pages_1g", s.pages1g() + sum(e, EptTables::pages1g));
    all.put("max_mmu_rmap_size", s.maxMmuRmapSize);
    all.put("resident_frames", (long) slots.residentFrames());
    return all;
  }

  private static long sum(List<EptTables> views, ToLongFunction<EptTables> counter) {
    return views.stream().mapToLong(counter).sum();
  }
}
