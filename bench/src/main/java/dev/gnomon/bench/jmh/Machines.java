package dev.gnomon.bench.jmh;

import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.Interruption;
import dev.gnomon.bench.WorkloadGuest;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.device.ByteSink;
import java.util.function.Consumer;

/** Machines for benchmarks. */
final class Machines {
  static final long CODE = 1 << 20;
  static final long DATA = 4 << 20;
  private static final long MEMORY = 64L << 20;
  private static final long STACK = 0x90000;

  private Machines() {}

  /** A machine at the first instruction of 64-bit code that maps the first 4 GiB to themselves and never ends. */
  static Vm boot(Mode mode, boolean counted, Consumer<Assembler> code) {
    Assembler a = new Assembler(64);
    a.mov(Reg.RSP, STACK);
    code.accept(a);
    Vm vm = new VmBuilder(options(mode, counted).withMemoryBytes(MEMORY)).build();
    vm.boot(GuestImages.flat(BootRequest.of("benchmark", a.assemble(CODE)).withLoadAddress(CODE)
        .withEntry(BootRequest.Entry.LONG)));
    return vm;
  }

  /** A machine in which a workload stands at the begin of its measured region. */
  static Vm atRegion(Mode mode, String workload) {
    GuestRun run = new GuestRun(WorkloadGuest.parse(workload, null), options(mode, false), false, ByteSink.DISCARD,
        new Interruption());
    run.runToRegion(true, Long.MAX_VALUE);
    return run.vm();
  }

  /** Runs on and checks that the guest did not end. */
  static RunResult run(Vm vm, long instructions) {
    RunResult result = vm.run(instructions);
    if (result.end() != RunResult.End.BUDGET) {
      throw new IllegalStateException("the guest ended: " + result.detail());
    }
    return result;
  }

  private static VmOptions options(Mode mode, boolean counted) {
    return VmOptions.of(mode).withTlb(counted ? TlbPolicy.counted(TlbGeometry.SKYLAKE) : TlbPolicy.UNCOUNTED);
  }
}
