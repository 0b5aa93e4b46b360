package dev.gnomon.bench.jmh;

import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.shadow.FaultResult;
import dev.gnomon.shadow.ShadowMmu;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
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

/** What the hypervisor does for shadow paging. */
@State(Scope.Thread)
@BenchmarkMode(org.openjdk.jmh.annotations.Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class ShadowBenchmark {
  private static final int FILLS = 512;
  private static final int PAGE_SHIFT = 12;
  private static final int SYNCS = 1000;
  private static final int INSTRUCTIONS_PER_SYNC = 23;

  private ShadowMmu shadow;
  private long firstGfn;
  private Vm churn;

  @Setup
  public void boot() {
    Vm vm = Machines.atRegion(Mode.SHADOW, "gups");
    shadow = vm.shadow();
    String end = shadow.peek(KernelLayout.USER_HEAP).guestEnd();
    firstGfn = Long.decode(end.split(" ")[1]) >>> PAGE_SHIFT;
    churn = Machines.atRegion(Mode.SHADOW, "ptchurn:iterations=1000000000");
  }

  /** A hidden fault: the guest's tables are walked and the entry, zapped before, is made again. */
  @Benchmark
  @OperationsPerInvocation(FILLS)
  public FaultResult shadowFill() {
    FaultResult result = FaultResult.FIXED;
    for (int i = 0; i < FILLS; i++) {
      shadow.zapGfn(firstGfn + i);
      result = shadow.handleFault(KernelLayout.USER_HEAP + ((long) i << PAGE_SHIFT), PageFaultCode.U, 0);
    }
    return result;
  }

  /** The guest rewrites a PTE of an unsynchronised table, does INVLPG, which synchronises, and touches the page. */
  @Benchmark
  @OperationsPerInvocation(SYNCS)
  public RunResult sync() {
    return Machines.run(churn, (long) SYNCS * INSTRUCTIONS_PER_SYNC);
  }
}
