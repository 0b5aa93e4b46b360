package dev.gnomon.vmm.harness;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The classic litmus tests of x86 (SDM vol. 3A, "Examples Illustrating the Memory-Ordering Principles"), all outcomes
 * of all schedules.
 */
class LitmusTest {
  private static final long X = 0x100;
  private static final long Y = 0x200;

  private static int register(DriverPort port, long at) {
    return port.u32(at);
  }

  /** All that two or more drivers can come to read. */
  private static Set<String> outcomes(MemoryModel model, Strategy strategy, BiConsumer<Rig, int[]> test) {
    Set<String> seen = new TreeSet<>();
    Report report = Exploration.of("litmus").withModel(model).withStrategy(strategy).withStoreBuffer(2)
        .withSchedules(200_000).run(rig -> {
      int[] r = new int[4];
      test.accept(rig, r);
      rig.run().assertFinished();
      StringBuilder text = new StringBuilder();
      for (int value : r) {
        text.append(value);
      }
      seen.add(text.toString());
    });
    assertThat(report.isClean()).isTrue();
    assertThat(report.complete()).isEqualTo(strategy == Strategy.EXHAUSTIVE);
    return seen;
  }

  private static void storeBuffering(Rig rig, int[] r, boolean fences) {
    rig.driver("p0", port -> {
      port.put32(X, 1);
      if (fences) {
        port.fence();
      }
      r[0] = register(port, Y);
    });
    rig.driver("p1", port -> {
      port.put32(Y, 1);
      if (fences) {
        port.fence();
      }
      r[1] = register(port, X);
    });
  }

  private static void messagePassing(Rig rig, int[] r) {
    rig.driver("p0", port -> {
      port.put32(X, 1);
      port.put32(Y, 1);
    });
    rig.driver("p1", port -> {
      r[0] = register(port, Y);
      r[1] = register(port, X);
    });
  }

  /** A store is not passed by an earlier load. */
  private static void loadBuffering(Rig rig, int[] r) {
    rig.driver("p0", port -> {
      r[0] = register(port, X);
      port.put32(Y, 1);
    });
    rig.driver("p1", port -> {
      r[1] = register(port, Y);
      port.put32(X, 1);
    });
  }

  /** Each sees its own store before the other does. */
  private static void forwarding(Rig rig, int[] r) {
    rig.driver("p0", port -> {
      port.put32(X, 1);
      r[0] = register(port, X);
      r[1] = register(port, Y);
    });
    rig.driver("p1", port -> {
      port.put32(Y, 1);
      r[2] = register(port, Y);
      r[3] = register(port, X);
    });
  }

  /** Stores are seen in one order by all others. */
  private static void independentReads(Rig rig, int[] r) {
    rig.driver("p0", port -> port.put32(X, 1));
    rig.driver("p1", port -> port.put32(Y, 1));
    rig.driver("p2", port -> {
      r[0] = register(port, X);
      r[1] = register(port, Y);
    });
    rig.driver("p3", port -> {
      r[2] = register(port, Y);
      r[3] = register(port, X);
    });
  }

  /** LOCK CMPXCHG is a fence. */
  private static void locked(Rig rig, int[] r) {
    rig.driver("p0", port -> {
      port.cas32(X, 0, 1);
      r[0] = register(port, Y);
    });
    rig.driver("p1", port -> {
      port.cas32(Y, 0, 1);
      r[1] = register(port, X);
    });
  }

  @ParameterizedTest
  @CsvSource({"SC, EXHAUSTIVE", "TSO, EXHAUSTIVE", "SC, RANDOM", "TSO, RANDOM"})
  void shouldComeToWhatTheModelAllowsAndNothingElse(MemoryModel model, Strategy strategy) {
    boolean tso = model == MemoryModel.TSO;
    assertThat(outcomes(model, strategy, (rig, r) -> storeBuffering(rig, r, false)))
        .isEqualTo(tso ? Set.of("0000", "0100", "1000", "1100") : Set.of("0100", "1000", "1100"));
    assertThat(outcomes(model, strategy, (rig, r) -> storeBuffering(rig, r, true)))
        .isEqualTo(Set.of("0100", "1000", "1100"));
    assertThat(outcomes(model, strategy, LitmusTest::messagePassing)).isEqualTo(Set.of("0000", "0100", "1100"));
    assertThat(outcomes(model, strategy, LitmusTest::loadBuffering)).isEqualTo(Set.of("0000", "0100", "1000"));
    assertThat(outcomes(model, strategy, LitmusTest::forwarding))
        .isEqualTo(tso ? Set.of("1010", "1011", "1110", "1111") : Set.of("1011", "1110", "1111"));
    assertThat(outcomes(model, strategy, LitmusTest::locked)).isEqualTo(Set.of("0100", "1000", "1100"));
    Set<String> reads = outcomes(model, strategy, LitmusTest::independentReads);
    assertThat(reads).hasSize(15).doesNotContain("1010");
  }
}
