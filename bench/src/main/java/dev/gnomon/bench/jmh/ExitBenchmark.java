package dev.gnomon.bench.jmh;

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
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** A round trip from the guest to the hypervisor and back, for a port read; natively the device answers at once. */
@State(Scope.Thread)
@BenchmarkMode(org.openjdk.jmh.annotations.Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class ExitBenchmark {
  private static final int ROUND_TRIPS = 10_000;
  private static final int INSTRUCTIONS_PER_ROUND_TRIP = 2;

  @Param({"NATIVE", "EPT", "SHADOW"})
  Mode mode;

  private Vm vm;

  @Setup
  public void boot() {
    vm = Machines.boot(mode, false, a -> {
      Label loop = a.here();
      a.in(Reg.AL, 0x80);
      a.jmp(loop);
    });
  }

  @Benchmark
  @OperationsPerInvocation(ROUND_TRIPS)
  public RunResult roundTrip() {
    return Machines.run(vm, (long) ROUND_TRIPS * INSTRUCTIONS_PER_ROUND_TRIP);
  }
}
