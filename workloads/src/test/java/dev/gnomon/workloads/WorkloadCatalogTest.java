package dev.gnomon.workloads;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class WorkloadCatalogTest {
  @Test
  void shouldHoldEachWorkloadOnce() {
    assertThat(WorkloadCatalog.all()).extracting(Workload::name).containsExactlyInAnyOrder("walkprobe", "gups",
        "ptrchase", "touchall", "pfloop", "ptchurn", "ctxswitch", "forkcow", "protect", "mmap", "syscall", "kpti",
        "phases", "polled");
  }

  @Test
  void shouldDescribeEachInOneLine() {
    for (Workload workload : WorkloadCatalog.all()) {
      assertThat(workload.description()).isNotBlank().hasSizeLessThan(80).doesNotContain("\n");
      assertThat(workload.parameters()).allSatisfy(parameter -> {
        assertThat(parameter.description()).isNotBlank();
        assertThat(parameter.defaultValue()).isBetween(parameter.min(), parameter.max());
      });
    }
  }

  @Test
  void shouldSuggestTheNameThatWasMeant() {
    assertThatIllegalArgumentException().isThrownBy(() -> WorkloadCatalog.build("gpus"))
        .withMessageStartingWith("no workload \"gpus\", did you mean \"gups\"?; there are walkprobe, gups, ");
    assertThatIllegalArgumentException().isThrownBy(() -> WorkloadCatalog.find("touch"))
        .withMessageContaining("did you mean \"touchall\"?");
    assertThatIllegalArgumentException().isThrownBy(() -> WorkloadCatalog.find("linpack"))
        .withMessageStartingWith("no workload \"linpack\"; there are ");
  }
}
