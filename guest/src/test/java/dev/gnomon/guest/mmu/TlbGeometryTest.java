package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TlbGeometryTest {
  @ParameterizedTest
  @ValueSource(strings = {"skylake", "nehalem", "haswell", "icelake", "zen2", "none"})
  void shouldFindEachProfileByName(String name) {
    assertThat(TlbGeometry.named(name).name()).isEqualTo(name);
  }

  @Test
  void shouldNameTheProfilesWhenOneIsUnknown() {
    assertThatThrownBy(() -> TlbGeometry.named("p4")).isInstanceOf(IllegalArgumentException.class)
        .hasMessage("TLB profile 'p4' is unknown: expected one of skylake, nehalem, haswell, icelake, zen2, none");
  }

  @ParameterizedTest
  @CsvSource({"0,4,4", "8,4,4", "1,0,1", "1,12,4", "1,5,2", "1,4,8"})
  void shouldRefuseArraysThatCannotBeBuilt(int sizes, int entries, int ways) {
    assertThatThrownBy(() -> new TlbGeometry.Array(sizes, entries, ways)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("power of two");
  }

  @Test
  void shouldRefuseTwoArraysForOneSizeAndAFirstLevelWithout4k() {
    List<TlbGeometry.Array> twice = List.of(new TlbGeometry.Array(3, 4, 4), new TlbGeometry.Array(2, 4, 4));
    assertThatThrownBy(() -> geometry(twice)).isInstanceOf(IllegalArgumentException.class);
    List<TlbGeometry.Array> only2m = List.of(new TlbGeometry.Array(2, 4, 4));
    assertThatThrownBy(() -> geometry(only2m)).isInstanceOf(IllegalArgumentException.class);
  }

  private static TlbGeometry geometry(List<TlbGeometry.Array> data) {
    return new TlbGeometry("x", data, List.of(), List.of(), List.of(), TlbGeometry.Structures.NONE,
        TlbGeometry.Replacement.FIFO);
  }
}
