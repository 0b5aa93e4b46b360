package dev.gnomon.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ExplanationTest {
  private static final CostModel COSTS = CostModel.cascadeLake();

  private static ModeResult mode(String name, long misses, long references, long exits) {
    TlbCounters tlb = new TlbCounters(misses, 0, 0, 0, misses, 0, 0, references, 0, 0, 0, 0, 0);
    List<ExitCount> list = exits == 0 ? List.of() : List.of(new ExitCount("INVLPG", "", exits));
    Counters counters = new Counters(1000, 1000, tlb, new GuestEvents(0, 0, 0, 0), list, 0, List.of(), Map.of());
    return new ModeResult(name, "GUEST_EXIT", "", Guest.Verdict.SUCCESS, counters, COSTS.price(counters, false), 0,
        new HostTime(0, 0), null);
  }

  @Test
  void shouldBlameWalks() {
    List<ModeResult> modes = List.of(mode("native", 100, 400, 0), mode("ept", 100, 2400, 0),
        mode("shadow", 100, 400, 1));
    assertThat(Explanation.why(modes, COSTS)).startsWith("shadow beats ept by ")
        .contains("ept pays 24.0 references a TLB miss instead of 4.0")
        .contains("having fewer exits (0 instead of 1) does not make up for that");
    assertThat(Explanation.verdict(modes)).isEqualTo("shadow");
  }

  @Test
  void shouldBlameExits() {
    List<ModeResult> modes = List.of(mode("ept", 100, 2400, 0), mode("shadow", 100, 400, 1000));
    assertThat(Explanation.why(modes, COSTS)).startsWith("ept beats shadow by ")
        .contains("shadow leaves the guest 1,000 times instead of 0").contains("INVLPG")
        .contains("cheaper walks (4.0 references a miss instead of 24.0)");
    assertThat(Explanation.verdict(modes)).isEqualTo("ept");
  }

  @Test
  void shouldCallEqualsEqual() {
    List<ModeResult> modes = List.of(mode("native", 0, 0, 0), mode("ept", 0, 0, 0), mode("shadow", 0, 0, 0));
    assertThat(Explanation.why(modes, COSTS)).startsWith("ept and shadow cost the same");
    assertThat(Explanation.verdict(modes)).isEqualTo("tie");
  }

  @Test
  void shouldCompareWithNativeIfThereIsOnlyOneHypervisor() {
    List<ModeResult> modes = List.of(mode("native", 100, 400, 0), mode("ept", 100, 2400, 0));
    assertThat(Explanation.why(modes, COSTS)).startsWith("native beats ept by ");
  }

  @Test
  void shouldSayNothingOfOneMode() {
    assertThat(Explanation.why(List.of(mode("ept", 1, 1, 1)), COSTS)).isEmpty();
    assertThat(Explanation.verdict(List.of(mode("ept", 1, 1, 1)))).isEmpty();
  }
}
