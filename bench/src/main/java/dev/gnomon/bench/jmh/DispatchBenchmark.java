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

/** Time of one register instruction in a loop: decoding is over, no memory is touched. */
@State(Scope.Thread)
@BenchmarkMode(org.openjdk.jmh.annotations.Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class DispatchBenchmark {
  private static final int INSTRUCTIONS = 100_000;

  @Param({"false", "true"})
  boolean counted;

  private Vm vm;

  @Setup
  public void boot() {
    vm = Machines.boot(Mode.NATIVE, counted, a -> {
      Label loop = a.here();
      a.add(Reg.RAX, Reg.RBX);
      a.xor(Reg.RBX, Reg.RAX);
      a.lea(Reg.RCX, dev.gnomon.guest.asm.Mem.ptr(Reg.RCX, 3));
      a.jmp(loop);
    });
  }

  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public RunResult instruction() {
    return Machines.run(vm, INSTRUCTIONS);
  }
}
