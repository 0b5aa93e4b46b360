package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Instructions against the host's own processor. The properties {@code gnomon.oracle.cases}, {@code gnomon.oracle.seed}
 * and {@code gnomon.oracle.first} tell how many cases, which, and from which on.
 */
class HostProcessorOracleTest {
  private static final long CASES = Long.getLong("gnomon.oracle.cases", 300_000);
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

  @Test
  void shouldExecuteEveryInstructionAsTheHostDoes() {
    CaseGenerator generator = new CaseGenerator(InstructionForms.all(), intel);
    assertThat(oracle.compare(SEED, FIRST, CASES / 3 * 2, generator::generate)).isNull();
  }

  @Test
  void shouldExecuteEveryVectorInstructionAsTheHostDoes() {
    VectorGenerator generator = new VectorGenerator(VectorForms.all(), intel);
    assertThat(oracle.compare(SEED, FIRST, CASES / 3 * 2, generator::generate)).isNull();
  }

  @Test
  void shouldExecuteEveryExtensionAsTheHostDoes() {
    VectorGenerator vectors = new VectorGenerator(ExtensionForms.vectors(), intel);
    assertThat(oracle.compare(SEED, FIRST, CASES / 3 * 2, vectors::generate)).isNull();
    CaseGenerator general = new CaseGenerator(ExtensionForms.general(), intel);
    assertThat(oracle.compare(SEED, FIRST, CASES / 6, general::generate)).isNull();
  }

  @Test
  void shouldExecuteEveryX87InstructionAsTheHostDoes() {
    X87Generator generator = new X87Generator(X87Forms.all(), intel);
    assertThat(oracle.compare(SEED, FIRST, CASES / 3, generator::generate)).isNull();
  }

  @Test
  void shouldExecuteProgramsAsTheHostDoes() {
    SequenceGenerator generator = new SequenceGenerator(InstructionForms.withVectors(), intel, MOST_UNITS);
    assertThat(oracle.compare(SEED, FIRST, CASES / 6, generator::generate)).isNull();
  }

  @Test
  void shouldTakeRandomBytesForTheInstructionThatTheHostTakesThemFor() {
    RandomCodeGenerator generator = new RandomCodeGenerator(InstructionForms.all());
    assertThat(oracle.compare(SEED, FIRST, CASES / 6, generator::generate)).isNull();
  }
}
