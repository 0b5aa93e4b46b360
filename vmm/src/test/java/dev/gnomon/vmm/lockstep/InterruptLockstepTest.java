package dev.gnomon.vmm.lockstep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.shadow.ShadowOptions;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import java.util.List;
import java.util.SplittableRandom;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/**
 * Interrupts reach a random guest at the same instruction in every mode, whatever the length of blocks and however the
 * run is cut into slices.
 */
class InterruptLockstepTest {
  private static final int[] BLOCK_LIMITS = {1, 8, 64};
  private static final long[] NS_PER_INSTRUCTION = {20, 97, 150};
  private static final int MAX_SLICE = 10_000;

  @Property(tries = 30)
  void shouldInterruptAtTheSameInstructionInAllModes(
      @ForAll @Size(min = 1, max = 150) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = 2) int speed, @ForAll boolean counted) {
    requireTheSame(steps, speed, counted);
  }

  /** The serial port's interrupt comes at the very instruction at which the timer's, which is more urgent, does. */
  @Example
  void shouldTakeTheMoreUrgentOfTwoInterruptsThatComeAtOnce() {
    requireTheSame(List.of(0, 1198, 0, 0, 58), 1, false);
  }

  private static void requireTheSame(List<Integer> steps, int speed, boolean counted) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      InterruptProgram program = new InterruptProgram(seeds);
      Lockstep.Outcome reference = null;
      for (Mode mode : Mode.values()) {
        VmOptions options = VmOptions.of(mode).withNsPerInstruction(NS_PER_INSTRUCTION[speed])
            .withShadow(ShadowOptions.defaults().withAudit(true))
            .withTlb(counted ? TlbPolicy.counted(TlbGeometry.SKYLAKE) : TlbPolicy.UNCOUNTED);
        for (int limit : BLOCK_LIMITS) {
          Lockstep.Outcome whole = Lockstep.run(options.withBlockLimit(limit), program);
          assertThat(whole.end()).as("%s", options).isEqualTo(RunResult.End.GUEST_EXIT);
          reference = reference == null ? whole : reference;
          assertThat(whole).as("%s", options.withBlockLimit(limit)).isEqualTo(reference);
        }
        assertThat(runInSlices(options, program, seeds.hashCode())).as("in slices: %s", options).isEqualTo(reference);
      }
    }
  }

  private static Lockstep.Outcome runInSlices(VmOptions options, InterruptProgram program, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Vm vm = Lockstep.boot(new VmBuilder(options.withMemoryBytes(Lockstep.MEMORY)), program);
    RunResult result;
    do {
      // Short slices as often as long ones.
      result = vm.run(1 + random.nextInt(1 + random.nextInt(MAX_SLICE)));
    } while (result.end() == RunResult.End.BUDGET && vm.cpu().retired < Lockstep.BUDGET);
    return Lockstep.outcome(vm, result);
  }
}
