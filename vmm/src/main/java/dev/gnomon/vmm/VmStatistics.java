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

  private final ExitStatistics exits;
  private final KvmCounters counters;
  /** Null natively; so are both of the following, and one of them otherwise. */
  private final Emulator emulator;
  private final MemorySlots slots;
  private final EptMemory ept;
  private final ShadowPaging shadow;

  VmStatistics(ExitStatistics exits, KvmCounters counters, Emulator emulator, MemorySlots slots, EptMemory ept, ShadowPaging shadow) {
    this.exits = exits;
    this.counters = counters;
    this.emulator = emulator;
    this.slots = slots;
    this.ept = ept;
    this.shadow = shadow;
  }

  Map<String, Long> byName() {
    ShadowStatistics s = shadow == null ? NONE : shadow.mmu.statistics();
    List<EptTables> e = ept == null ? List.of() : ept.views.all();
    Map<String, Long> all = new LinkedHashMap<>();
    all.put("exits", exits.total());
    all.put("io_exits", counters.ioExits);
    all.put("mmio_exits", counters.mmioExits);
    all.put("irq_exits", counters.irqExits);
    all.put("irq_window_exits", counters.irqWindowExits);
    all.put("request_irq_exits", counters.requestIrqExits);
    all.put("halt_exits", counters.haltExits);
    all.put("insn_emulation", emulator == null ? 0 : emulator.emulated);
    all.put("insn_emulation_fail", emulator == null ? 0 : emulator.failed);
    all.put("irq_injections", counters.irqInjections);
    all.put("hypercalls", counters.hypercalls);
    all.put("pf_taken", counters.pfTaken + s.pfTaken);
    all.put("pf_fixed", counters.pfFixed + s.pfFixed);
    all.put("pf_emulate", counters.pfEmulate + s.pfEmulate);
    all.put("pf_spurious", counters.pfSpurious + s.pfSpurious);
    all.put("pf_fast", s.pfFast + sum(e, EptTables::fastFaults));
    all.put("pf_mmio_spte_created", s.pfMmioSpteCreated + sum(e, EptTables::mmioMarkers));
    all.put("pf_guest", s.pfGuest);
    all.put("tlb_flush", s.tlbFlush + (ept == null ? 0 : ept.tlbFlushes));
    all.put("invlpg", s.invlpg);
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
