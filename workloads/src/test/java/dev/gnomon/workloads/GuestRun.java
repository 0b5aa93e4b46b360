package dev.gnomon.workloads;

import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.guest.mmu.TlbStatistics;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.util.Map;

/** Boots a guest program on a machine of the hypervisor, keeps what it prints, and counts over its measured region. */
final class GuestRun implements RegionMarker.Listener {
  /** Far more than any test's guest takes. */
  static final long BUDGET = 100_000_000;
  static final long POLL_PERIOD_NS = 1_000;

  final Vm vm;
  final StringBuilder output = new StringBuilder();
  final StringBuilder serial = new StringBuilder();
  int regionsBegun;
  int regionsEnded;
  /** Counters at the region's two ends. */
  final TlbStatistics tlbBefore = new TlbStatistics();
  final TlbStatistics tlbAfter = new TlbStatistics();
  Map<String, Long> countersBefore;
  Map<String, Long> countersAfter;
  long retiredBefore;
  long retiredAfter;
  RunResult result;

  GuestRun(byte[] image, VmOptions options, boolean requestDevices) {
    VmBuilder builder = new VmBuilder(options).debugConsole(value -> output.append((char) value))
        .console(value -> serial.append((char) value)).device(new RegionMarker(this));
    if (requestDevices) {
      builder.requestDevices(POLL_PERIOD_NS);
    }
    vm = builder.build();
    vm.boot(GuestImages.recognize(BootRequest.of("guest", image)));
  }

  static GuestRun of(GuestProgram program, Mode mode, TlbPolicy tlb) {
    VmOptions options = VmOptions.of(mode).withMemoryBytes(program.memoryBytes()).withTlb(tlb);
    return new GuestRun(program.image(), options, program.requestDevices());
  }

  static GuestRun of(String workload, Mode mode) {
    return of(WorkloadCatalog.build(workload), mode, TlbPolicy.UNCOUNTED);
  }

  GuestRun run() {
    result = vm.run(BUDGET);
    return this;
  }

  /** How much a counter of the hypervisor grew within the region. */
  long counted(String name) {
    return countersAfter.getOrDefault(name, 0L) - countersBefore.getOrDefault(name, 0L);
  }

  @Override
  public void regionBegin() {
    regionsBegun++;
    tlbBefore.copyFrom(vm.cpu().mmu.statistics);
    countersBefore = vm.statistics();
    retiredBefore = vm.cpu().retired;
  }

  @Override
  public void regionEnd() {
    regionsEnded++;
    tlbAfter.copyFrom(vm.cpu().mmu.statistics);
    countersAfter = vm.statistics();
    retiredAfter = vm.cpu().retired;
  }
}
