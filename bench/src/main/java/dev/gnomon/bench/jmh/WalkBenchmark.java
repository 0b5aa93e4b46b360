package dev.gnomon.bench.jmh;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.Translator;
import dev.gnomon.vmm.Mode;
import dev.gnomon.workloads.kernel.KernelLayout;
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

/** Page walks over the 4K pages of a 16 MiB heap, in an order that no prefetcher guesses, past every TLB. */
@State(Scope.Thread)
@BenchmarkMode(org.openjdk.jmh.annotations.Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class WalkBenchmark {
  private static final int WALKS = 4096;
  private static final int STRIDE = 1237;
  private static final int PAGE_SHIFT = 12;

  private final Translation out = new Translation();
  private Translator native1d;
  private Translator ept2d;

  @Setup
  public void boot() {
    native1d = Machines.atRegion(Mode.NATIVE, "gups").cpu().mmu.translator();
    ept2d = Machines.atRegion(Mode.EPT, "gups:seed=2").cpu().mmu.translator();
  }

  @Benchmark
  @OperationsPerInvocation(WALKS)
  public long oneDimensional() {
    return walk(native1d);
  }

  @Benchmark
  @OperationsPerInvocation(WALKS)
  public long twoDimensional() {
    return walk(ept2d);
  }

  private long walk(Translator translator) {
    long sum = 0;
    for (int i = 0; i < WALKS; i++) {
      long page = (long) i * STRIDE & WALKS - 1;
      long hpa = translator.translate(KernelLayout.USER_HEAP + (page << PAGE_SHIFT), Access.USER, out);
      if (hpa < 0) {
        throw new IllegalStateException("page " + page + " is not mapped");
      }
      sum += Addresses.bits(hpa);
    }
    return sum;
  }
}
