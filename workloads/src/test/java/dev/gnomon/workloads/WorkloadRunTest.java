package dev.gnomon.workloads;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class WorkloadRunTest {
  static Stream<String> small() {
    return SmallWorkloads.all();
  }

  static Stream<String> byDefault() {
    return WorkloadCatalog.all().stream().map(Workload::name);
  }

  private static void assertSucceeded(GuestRun run, GuestProgram program) {
    String expected = String.format("%s: result 0x%016x ok\n", program.name(), program.expected());
    assertThat(run.output.toString()).isEqualTo(expected);
    assertThat(run.serial.toString()).isEqualTo(expected);
    assertThat(run.result.end()).isEqualTo(RunResult.End.GUEST_EXIT);
    assertThat(run.result.status()).isEqualTo(GuestProgram.SUCCESS);
  }

  @ParameterizedTest
  @MethodSource("small")
  void shouldGiveTheExpectedResultAtTheSameInstructionInEveryMode(String text) {
    GuestProgram program = WorkloadCatalog.build(text);
    long retired = 0;
    for (Mode mode : Mode.values()) {
      GuestRun run = GuestRun.of(program, mode, TlbPolicy.UNCOUNTED).run();
      assertSucceeded(run, program);
      assertThat(run.regionsBegun).isEqualTo(1);
      assertThat(run.regionsEnded).isEqualTo(1);
      assertThat(run.retiredAfter).isGreaterThan(run.retiredBefore);
      if (retired == 0) {
        retired = run.vm.cpu().retired;
      }
      assertThat(run.vm.cpu().retired).as("instructions in mode " + mode).isEqualTo(retired);
    }
  }

  @ParameterizedTest
  @MethodSource("small")
  void shouldRunAlikeWhetherTheProcessorForgetsAllTranslationsOrKeepsThemAsLongAsItMay(String text) {
    GuestProgram program = WorkloadCatalog.build(text);
    for (TlbPolicy tlb : new TlbPolicy[] {TlbPolicy.STALE, TlbPolicy.FORGETFUL}) {
      assertSucceeded(GuestRun.of(program, Mode.NATIVE, tlb).run(), program);
      assertSucceeded(GuestRun.of(program, Mode.SHADOW, tlb).run(), program);
    }
  }

  @ParameterizedTest
  @MethodSource("byDefault")
  void shouldTakeAModerateNumberOfInstructionsByDefault(String name) {
    GuestProgram program = WorkloadCatalog.find(name).build();
    GuestRun run = GuestRun.of(program, Mode.NATIVE, TlbPolicy.UNCOUNTED).run();
    assertSucceeded(run, program);
    assertThat(run.vm.cpu().retired).isBetween(200_000L, 6_000_000L);
  }
}
