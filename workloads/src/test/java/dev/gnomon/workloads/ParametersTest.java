package dev.gnomon.workloads;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ParametersTest {
  private static final Workload GUPS = WorkloadCatalog.find("gups");

  @Test
  void shouldKeepDefaultsOfWhatIsNotNamed() {
    assertThat(Parameters.parse(GUPS, "page=2m,size=64M"))
        .hasToString("size=64M,page=2m,updates=200000,seed=1");
    assertThat(Parameters.parse(GUPS, "")).hasToString(Parameters.defaults(GUPS).toString());
  }

  @ParameterizedTest
  @CsvSource({"8192, 8K", "8K, 8K", "8k, 8K", "3M, 3M", "1G, 1G", "1048576, 1M", "4097, 4097"})
  void shouldReadAndWriteSizesInPowersOf1024(String text, String written) {
    assertThat(Parameters.parse(GUPS, "size=" + text).toString()).startsWith("size=" + written + ",");
  }

  @Test
  void shouldReadSeedsInDecimalAndHexadecimal() {
    assertThat(Parameters.parse(GUPS, "seed=-5").number("seed")).isEqualTo(-5);
    assertThat(Parameters.parse(GUPS, "seed=0xff").number("seed")).isEqualTo(255);
  }

  @Test
  void shouldReadBackWhatItWrites() {
    for (Workload workload : WorkloadCatalog.all()) {
      String text = Parameters.defaults(workload).toString();
      assertThat(Parameters.parse(workload, text)).hasToString(text);
    }
  }

  @Test
  void shouldReplaceOneValueForASweep() {
    assertThat(Parameters.defaults(GUPS).with("page", "2m").choice("page")).isEqualTo("2m");
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "pag=2m; workload gups has no parameter \"pag\", did you mean \"page\"?; it takes size, page, updates, seed",
      "xyzzy=2m; workload gups has no parameter \"xyzzy\"; it takes size, page, updates, seed",
      "page=8k; workload gups: page=8k: expected 4k|2m",
      "size=1; workload gups: size=1: expected 4K to 1G",
      "size=9999999999G; workload gups: size=9999999999G: expected 4K to 1G",
      "size=; workload gups: size=: expected 4K to 1G",
      "size=K; workload gups: size=K: expected 4K to 1G",
      "updates=many; workload gups: updates=many: expected 1 to 1000000000",
      "seed=x; workload gups: seed=x: expected a 64-bit number",
      "page; workload gups: \"page\": expected key=value",
      "page=2m,; workload gups: \"\": expected key=value",
      "page=2m,page=4k; workload gups: page is given twice"})
  void shouldNameWhatIsWrongAndWhatWasExpected(String line) {
    int separator = line.indexOf(';');
    String message = line.substring(separator + 1).trim();
    assertThatIllegalArgumentException().isThrownBy(() -> Parameters.parse(GUPS, line.substring(0, separator)))
        .withMessage(message);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "ctxswitch:hz=5|timer of 5 Hz: expected 0 (off) or 19 to 10000",
      "ptchurn:page=2m,frames=600|workload ptchurn: frames=600: expected at most 512 with page=2m",
      "ptrchase:stride=100|workload ptrchase: stride=100: expected a multiple of 8",
      "ptrchase:size=4K,stride=4K|workload ptrchase: stride=4096: expected at most half of the size, 4096"})
  void shouldRefuseValuesThatDoNotFitTogether(String text, String message) {
    assertThatIllegalArgumentException().isThrownBy(() -> WorkloadCatalog.build(text)).withMessage(message);
  }
}
