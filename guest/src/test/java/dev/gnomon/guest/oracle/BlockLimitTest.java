package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * The size of blocks is the interpreter's own affair: random programs run identically with any, wherever they are
 * stopped.
 */
class BlockLimitTest {
  private static final int PROGRAMS = Integer.getInteger("gnomon.blocks.programs", 2000);
  private static final long SEED = Long.getLong("gnomon.blocks.seed", System.nanoTime());
  private static final int[] LIMITS = {1, 2, 8, 64};
  private static final long MOST = 100_000;
  private static final int MOST_STOPS = 6;

  private final ModelProcessor[] processors = new ModelProcessor[LIMITS.length];
  private final SequenceGenerator generator = new SequenceGenerator(InstructionForms.withVectors(), true, 24);

  BlockLimitTest() {
    for (int i = 0; i < LIMITS.length; i++) {
      processors[i] = new ModelProcessor(LIMITS[i]);
    }
  }

  @Test
  void shouldRunIdenticallyWithEveryBlockLimit() {
    for (int program = 0; program < PROGRAMS; program++) {
      OracleCase test = generator.generate(SEED + program);
      MachineState expected = null;
      long retired = 0;
      for (int i = 0; i < LIMITS.length; i++) {
        MachineState end = new MachineState();
        processors[i].load(test);
        processors[i].runTo(MOST);
        processors[i].save(test, end);
        processors[i].clean();
        if (i == 0) {
          expected = end;
          retired = processors[i].retired();
        }
        assertSame(test, program, "limit " + LIMITS[i], expected, end);
        assertThat(processors[i].retired()).as(() -> describe(test)).isEqualTo(retired);
      }
    }
  }

  @Test
  void shouldStopAtTheSameStateAfterAnyNumberOfInstructions() {
    for (int program = 0; program < PROGRAMS; program++) {
      OracleCase test = generator.generate(SEED + program);
      SplittableRandom random = new SplittableRandom(SEED + program);
      processors[0].load(test);
      processors[0].runTo(MOST);
      processors[0].clean();
      long all = processors[0].retired();
      long[] stops = random.longs(random.nextInt(1, MOST_STOPS), 0, all + 1).sorted().toArray();
      MachineState[] expected = new MachineState[stops.length];
      for (int i = 0; i < LIMITS.length; i++) {
        processors[i].load(test);
        for (int stop = 0; stop < stops.length; stop++) {
          processors[i].runTo(stops[stop]);
          MachineState there = new MachineState();
          processors[i].save(test, there);
          if (i == 0) {
            expected[stop] = there;
          }
          assertThat(processors[i].retired()).as(() -> describe(test)).isEqualTo(stops[stop]);
          assertSame(test, program, "limit " + LIMITS[i] + " after " + stops[stop], expected[stop], there);
        }
        processors[i].runTo(MOST);
        assertThat(processors[i].retired()).as(() -> describe(test)).isEqualTo(all);
        processors[i].clean();
      }
    }
  }

  private static void assertSame(OracleCase test, int program, String what, MachineState expected,
      MachineState actual) {
    boolean same = actual.fx.difference(expected.fx, true, true) == null && actual.sameMemory(expected, test.codeLength)
        && actual.dump().equals(expected.dump())
        && actual.vector == expected.vector && actual.error == expected.error;
    if (!same) {
      throw new AssertionError("seed " + SEED + " program " + program + ", " + what + "\n" + describe(test)
          + "limit " + LIMITS[0] + "\n" + expected.differences(actual) + expected.memory(actual)
          + what + "\n" + actual.differences(expected) + actual.memory(expected));
    }
  }

  private static String describe(OracleCase test) {
    return "\n" + Disassembly.of(test) + test.before.dump();
  }
}
