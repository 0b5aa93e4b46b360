package dev.gnomon.workloads.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LinuxWorkloadTest {
  static List<LinuxWorkload> all() {
    return LinuxWorkload.all();
  }

  @ParameterizedTest
  @MethodSource("all")
  void shouldMarkItsRegionOnceAndReportItsStatus(LinuxWorkload workload) {
    List<String> lines = new String(workload.script(), StandardCharsets.US_ASCII).lines().toList();
    assertThat(lines.stream().filter("begin"::equals)).hasSize(workload.measuresFromStart() ? 0 : 1);
    assertThat(lines.stream().filter("end"::equals)).hasSize(1);
    assertThat(lines).contains("  devmem 0xfede1000 8 1", "  devmem 0xfede1000 8 2");
    assertThat(lines.get(lines.size() - 1)).isEqualTo("devmem 0xfede0000 8 $status");
    assertThat(String.join("\n", lines)).doesNotContain("@");
  }

  @Test
  void shouldTakeACount() {
    LinuxWorkload workload = LinuxWorkload.parse("linux:fork,count=17");
    assertThat(new String(workload.script(), StandardCharsets.US_ASCII)).contains("-lt 17 ]");
    assertThat(workload.repetitions()).isEqualTo(17);
    assertThat(LinuxWorkload.parse("linux:fork").repetitions()).isEqualTo(200);
  }

  @Test
  void shouldRefuseOthers() {
    for (String bad : new String[] {"linux:", "linux:forks", "linux:fork,count=", "linux:fork,count=99999999",
        "linux:fork,n=1", "linux:boot,count=1"}) {
      assertThatThrownBy(() -> LinuxWorkload.parse(bad)).as(bad).isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(bad).hasMessageContaining("expected");
    }
  }
}
