package dev.gnomon.bench;

import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.memory.MemorySlot;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Logs the pages that a guest writes in all of its RAM, period by period: in the measured region if the guest marks
 * one, else from the first instruction on. Between runs of the machine it is told to {@link #look}.
 */
final class DirtyPages {
  private final Vm vm;
  private final DirtyLogPlan plan;
  private final String scope;
  private final List<DirtyPageReport.Period> periods = new ArrayList<>();
  /** All pages written by slot; empty until the log begins. */
  private final Map<String, BitSet> written = new LinkedHashMap<>();
  private long periodBegin;
  private boolean logging;
  private boolean beginWanted;
  private boolean endWanted;

  DirtyPages(Vm vm, DirtyLogPlan plan, boolean byRegion, Region region) {
    this.vm = vm;
    this.plan = plan;
    scope = byRegion ? "measured region" : "whole run";
    if (!byRegion) {
      begin();
      return;
    }
    region.at(true, () -> {
      beginWanted = true;
      vm.requestStop();
    });
    region.at(false, () -> {
      endWanted = true;
      vm.requestStop();
    });
  }

  private void begin() {
    for (MemorySlot slot : vm.slots().layout().slots()) {
      if (slot.kind() == MemorySlot.Kind.RAM) {
        vm.dirtyLog().start(slot.name(), plan.method());
        written.put(slot.name(), new BitSet());
      }
    }
    periodBegin = vm.retired();
    logging = true;
  }

  /** Instructions after which it wants to look, at the latest. */
  long next() {
    return logging && plan.period() != 0 ? periodBegin + plan.period() : Long.MAX_VALUE;
  }

  /** Fetches the log if its time has come; begins or ends it at the marks of the region. */
  void look() {
    if (endWanted && logging) {
      end();
    }
    if (logging && vm.retired() >= next()) {
      fetch();
    }
    if (beginWanted) {
      restart();
    }
    endWanted = false;
    beginWanted = false;
  }

  /** A region entered once more counts alone. */
  private void restart() {
    if (logging) {
      end();
    }
    periods.clear();
    written.clear();
    begin();
  }

  private void end() {
    if (vm.retired() > periodBegin || periods.isEmpty()) {
      fetch();
    }
    written.keySet().forEach(vm.dirtyLog()::stop);
    logging = false;
  }

  private void fetch() {
    long pages = 0;
    long first = 0;
    for (Map.Entry<String, BitSet> slot : written.entrySet()) {
      BitSet log = BitSet.valueOf(vm.dirtyLog().fetchAndClear(slot.getKey()));
      pages += log.cardinality();
      long before = slot.getValue().cardinality();
      slot.getValue().or(log);
      first += slot.getValue().cardinality() - before;
    }
    periods.add(new DirtyPageReport.Period(periodBegin, vm.retired(), pages, first));
    periodBegin = vm.retired();
  }

  /** What was logged; ends the log. */
  DirtyPageReport report() {
    if (logging) {
      end();
    }
    List<DirtyPageReport.Slot> slots = new ArrayList<>();
    for (MemorySlot slot : vm.slots().layout().slots()) {
      if (written.containsKey(slot.name())) {
        slots.add(new DirtyPageReport.Slot(slot.name(), slot.size() / DirtyPageReport.PAGE_BYTES,
            written.get(slot.name()).cardinality()));
      }
    }
    return new DirtyPageReport(DirtyLogPlan.name(plan.method()), scope, plan.period(), slots, List.copyOf(periods));
  }
}
