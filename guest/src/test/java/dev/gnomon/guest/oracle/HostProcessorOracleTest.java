package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Instructions against the host's own processor. The properties {@code gnomon.oracle.cases}, {@code gnomon.oracle.seed}
 * and {@code gnomon.oracle.first} tell how many cases in all, which, and from which on. Maven gives a million, and ten
 * with the profile {@code oracle}.
 */
class HostProcessorOracleTest {
  private static final long CASES = Long.getLong("gnomon.oracle.cases", 1_000_000);
  private static final long SEED = Long.getLong("gnomon.oracle.seed", System.nanoTime());
  private static final int MOST_UNITS = 8;
  private static final long FIRST = Long.getLong("gnomon.oracle.first", 0);

  private static Oracle oracle;
  private static boolean intel;

  @BeforeAll
  static void startHelper() throws IOException {
    Assumptions.assumeTrue(System.getProperty("os.name").equals("Linux"), "the helper is a Linux program");
    Assumptions.assumeTrue(System.getProperty("os.arch").equals("amd64"), "the host's processor is no x86-64");
    intel = Files.readString(Path.of("/proc/cpuinfo")).contains("GenuineIntel");
    oracle = new Oracle();
  }

  @AfterAll
  static void stopHelper() {
    if (oracle != null) {
      oracle.close();
    }
  }

  private static void compare(int percent, LongFunction<OracleCase> generator) {
    assertThat(oracle.compare(SEED, FIRST, CASES * percent / 100, generator)).isNull();
  }

  @Test
  void shouldExecuteEveryInstructionAsTheHostDoes() {
    compare(20, new CaseGenerator(InstructionForms.all(), intel)::generate);
  }

  @Test
  void shouldExecuteEveryVectorInstructionAsTheHostDoes() {
    compare(21, new VectorGenerator(VectorForms.all(), intel)::generate);
  }

  @Test
  void shouldExecuteEveryExtensionAsTheHostDoes() {
    compare(18, new VectorGenerator(ExtensionForms.vectors(), intel)::generate);
    compare(3, new CaseGenerator(ExtensionForms.general(), intel)::generate);
    List<InstructionForm> states = ExtensionForms.states();
    compare(states.isEmpty() ? 0 : 2, new VectorGenerator(states, intel)::generate);
  }

  @Test
  void shouldExecuteEveryX87InstructionAsTheHostDoes() {
    compare(12, new X87Generator(X87Forms.all(), intel)::generate);
  }

  @Test
  void shouldExecute16BitCodeAsTheHostDoes() {
    try (Oracle small = new Oracle(true)) {
      Assumptions.assumeTrue(small.works(), "the host's kernel gives no 16-bit segments (modify_ldt)");
      assertThat(small.compare(SEED, FIRST, CASES * 8 / 100,
          new CaseGenerator(InstructionForms.all(), intel).in16()::generate)).isNull();
      assertThat(small.compare(SEED, FIRST, CASES * 2 / 100,
          new VectorGenerator(VectorForms.all(), intel).in16()::generate)).isNull();
      assertThat(small.compare(SEED, FIRST, CASES / 100, new X87Generator(X87Forms.all(), intel).in16()::generate))
          .isNull();
    }
  }

  @Test
  void shouldExecuteProgramsAsTheHostDoes() {
    compare(6, new SequenceGenerator(InstructionForms.withVectors(), intel, MOST_UNITS)::generate);
  }

  @Test
  void shouldTakeRandomBytesForTheInstructionThatTheHostTakesThemFor() {
    compare(7, new RandomCodeGenerator(InstructionForms.all())::generate);
  }
}
