package dev.gnomon.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CostModelTest {
  private final CostModel model = CostModel.cascadeLake();

  @ParameterizedTest
  @CsvSource({
      "EPT_VIOLATION, fill, 3100",
      "EPT_VIOLATION, mmio, 6800",
      "EXCEPTION_NMI, guest fault (reflected), 3000",
      "EXCEPTION_NMI, hidden (shadow fill), 2500",
      "EXCEPTION_NMI, hidden (device page) 0x8000000, 2500",
      "EXCEPTION_NMI, pt write (emulated), 4000",
      "EXCEPTION_NMI, exception 6 (reflected), 4150",
      "IO_INSTRUCTION, in 0x3f8, 1350",
      "CR_ACCESS, cr3 read, 1350",
      "CR_ACCESS, cr3 write, 2350",
      "HLT, '', 1150"})
  void shouldPriceAnExitByItsCause(String reason, String cause, double cycles) {
    assertThat(model.exitCost(new ExitCount(reason, cause, 1))).isEqualTo(cycles);
  }

  @Test
  void shouldPreferTheMostSpecificKey() {
    ExitCount read = new ExitCount("IO_INSTRUCTION", "in 0x3f8", 1);
    CostModel ins = model.with("exit.IO_INSTRUCTION/in", 10);
    assertThat(ins.exitCost(read)).isEqualTo(10);
    assertThat(ins.with("exit.IO_INSTRUCTION/in-0x3f8", 20).exitCost(read)).isEqualTo(20);
    assertThat(ins.exitCost(new ExitCount("IO_INSTRUCTION", "out 0x3f8", 1))).isEqualTo(1350);
    assertThat(ins.exitCost(new ExitCount("IO_INSTRUCTION", "ins 0x1f0", 1))).isEqualTo(1350);
  }

  @Test
  void shouldPriceARecordedRunAgain() {
    TlbCounters tlb = new TlbCounters(10, 5, 1, 4, 16, 0, 0, 32, 64, 0, 7, 3, 0);
    Counters counters = new Counters(1000, 1000, tlb, new GuestEvents(2, 0, 1, 0),
        List.of(new ExitCount("CPUID", "", 2), new ExitCount("EPT_VIOLATION", "fill", 1)), 4, List.of(), Map.of());
    Cycles cycles = model.price(counters, false);
    assertThat(cycles).isEqualTo(new Cycles(1000 + 4 * 7, 96 * 42, 3 * 150, 3 * 300 + 7 * 200, 2 * 1350 + 3100,
        4 * 2500));
    assertThat(model.price(counters, true).flushes()).isZero();
    assertThat(model.with("walk.ept-reference", 0).price(counters, false).walks()).isEqualTo(32 * 42);
    assertThat(cycles.total()).isEqualTo(1028 + 4032 + 450 + 2300 + 5800 + 10000);
  }

  @Test
  void shouldGiveADemandZeroPageUnderShadowThePublishedExtraCost() {
    double extra = model.cost("exit.EXCEPTION_NMI/guest-fault") + model.cost("exit.EXCEPTION_NMI/pt-write")
        + model.cost("exit.EXCEPTION_NMI/hidden");
    assertThat(extra).isBetween(0.8 * 9500, 1.2 * 9500);
  }

  @Test
  void shouldShiftAllExitsByAProfilesLatency() {
    CostModel nehalem = CostModel.named("nehalem");
    assertThat(nehalem.cost("exit.CPUID") - model.cost("exit.CPUID")).isEqualTo(1009 - 525);
    assertThat(nehalem.cost("walk.ept-reference")).isEqualTo(model.cost("walk.ept-reference"));
    assertThatThrownBy(() -> CostModel.named("z80")).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("clx-2.5GHz, prescott");
  }

  @Test
  void shouldRefuseKeysThatNameNothing() {
    assertThatThrownBy(() -> model.with("exit.", 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> model.with("exit.CPUID/", 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> model.with("exit.REASON_5", 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> model.with("instruction", Double.NaN)).isInstanceOf(IllegalArgumentException.class);
    assertThat(model.with("exit.HLT", 7).cost("exit.HLT")).isEqualTo(7);
  }
}
