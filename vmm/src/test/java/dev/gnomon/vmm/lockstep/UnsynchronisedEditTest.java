package dev.gnomon.vmm.lockstep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/**
 * Random guests that edit their own page tables and forget to invalidate: what they see may differ from mode to mode,
 * within what the SDM allows.
 */
class UnsynchronisedEditTest {
  @Property(tries = 25)
  void shouldDoWhatTheManualAllowsWhenTheGuestForgetsInvalidations(
      @ForAll @Size(min = 1, max = 300) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration) {
    List<VmOptions> machines = new ArrayList<>(Lockstep.variants(configuration));
    machines.add(VmOptions.of(Mode.NATIVE));
    machines.add(VmOptions.of(Mode.NATIVE).withTlb(TlbPolicy.STALE));
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      PagingProgram program = new PagingProgram(PagingProgram.Kind.UNSYNCHRONISED, 2, seeds);
      for (VmOptions options : machines) {
        judge(options, program, seeds);
      }
    }
  }

  private static void judge(VmOptions options, PagingProgram program, List<Integer> seeds) {
    StepPort port = new StepPort(PagingProgram.STEP_PORT);
    Vm vm = Lockstep.boot(new VmBuilder(options.withMemoryBytes(Lockstep.MEMORY)).device(port), program);
    UnsynchronisedEditOracle oracle = new UnsynchronisedEditOracle(vm, program.steps());
    port.reached = oracle::stepDone;
    RunResult result = vm.run(Lockstep.BUDGET);
    oracle.ended();
    assertThat(oracle.problem()).as("%s, seeds %s", options, seeds).isEmpty();
    assertThat(result.end()).as("%s", options).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(oracle.stepsJudged()).isEqualTo(program.steps().size());
  }
}
