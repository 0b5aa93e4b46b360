package dev.gnomon.bench.jmh;

import static dev.gnomon.guest.asm.Mem.ptr;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** Memory where nothing has to be walked. */
@State(Scope.Thread)
@BenchmarkMode(org.openjdk.jmh.annotations.Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class MemoryBenchmark {
  private static final int LOADS = 50_000;
  private static final int INSTRUCTIONS_PER_LOAD = 2;
  private static final int RAM_ACCESSES = 1024;

  private Vm vm;
  private long address;

  @Setup
  public void boot() {
    vm = Machines.boot(Mode.NATIVE, false, a -> {
      a.mov(Reg.RDI, Machines.DATA);
      Label loop = a.here();
      a.mov(Reg.RAX, ptr(Reg.RDI));
      a.jmp(loop);
    });
    address = Machines.DATA;
  }

  /** Load and store of the modelled host memory, by host-physical address. */
  @Benchmark
  @OperationsPerInvocation(RAM_ACCESSES)
  public long ramAccess() {
    long sum = 0;
    for (int i = 0; i < RAM_ACCESSES; i++) {
      long hpa = address + 8L * i;
      sum += vm.memory().read64(hpa);
      vm.memory().write64(hpa, sum);
    }
    return sum;
  }

  /** A guest's load that hits the soft TLB, and the jump behind it. */
  @Benchmark
  @OperationsPerInvocation(LOADS)
  public RunResult softTlbHit() {
    return Machines.run(vm, (long) LOADS * INSTRUCTIONS_PER_LOAD);
  }
}
