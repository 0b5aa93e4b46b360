package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class CpuChoiceTest {
  @Test
  void shouldTakeTheFeaturesOfTheLocalApicFromTheModel() {
    CpuChoice choice = CpuChoice.parse("qemu64,+x2apic,-pdpe1gb,+tsc_deadline");
    assertThat(choice.model().name()).isEqualTo("qemu64,-pdpe1gb");
    assertThat(choice.x2Apic()).isTrue();
    assertThat(choice.deadlineTimer()).isTrue();
  }

  @Test
  void shouldHaveNeitherUnlessAskedFor() {
    CpuChoice choice = CpuChoice.parse("Nehalem,+x2apic,-x2apic");
    assertThat(choice.x2Apic()).isFalse();
    assertThat(choice.deadlineTimer()).isFalse();
  }

  @Test
  void shouldNotTakeTheDeadlineTimerAway() {
    assertThatThrownBy(() -> CpuChoice.parse("max,-tsc-deadline")).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("always has its deadline timer");
  }
}
