package dev.gnomon.guest.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class CpuModelTest {
  /** Model, EAX of leaf 1, and a feature that it has and one that it lacks. */
  @ParameterizedTest
  @CsvSource({"minimal, 6fb, , CX16", "default, 6fb, SMAP, SSE3", "max, 6fb, SSE4_2, ",
      "qemu64, 60fb1, SSE3, SSSE3", "Conroe, 6f3, SSSE3, SSE4_1",
      "Penryn, 10673, SSE4_1, SSE4_2", "Nehalem, 106a3, POPCNT, RDTSCP", "Westmere, 206c1, SSE4_2, RDTSCP",
      "SandyBridge, 206a1, RDTSCP, SMEP",
      "IvyBridge, 306a9, FSGSBASE, PCID", "Haswell, 306c4, INVPCID, SMAP", "Broadwell, 306d2, RDSEED, CLFLUSHOPT",
      "Skylake-Client, 506e3, SMAP, CLWB",
      "Skylake-Server, 50654, CLWB, UMIP", "Icelake-Server, 606a0, RDPID, "})
  void shouldKnowModelsByTheirSignatures(String name, String signature, Feature has, Feature lacks) {
    Cpuid cpuid = new Cpuid();
    cpuid.select(CpuModel.parse(name));
    assertThat(Integer.toHexString(cpuid.query(1, 0)[Cpuid.EAX])).isEqualTo(signature);
    assertThat(has == null || cpuid.offers(has)).isTrue();
    assertThat(lacks != null && cpuid.offers(lacks)).isFalse();
  }

  @ParameterizedTest
  @EnumSource(Feature.class)
  void shouldAddAndRemoveFeatures(Feature feature) {
    Cpuid cpuid = new Cpuid();
    cpuid.select(CpuModel.parse("max"));
    assertThat(cpuid.offers(feature)).isTrue();
    boolean needed = false;
    for (Feature other : Feature.values()) {
      needed |= other.needed().contains(feature);
    }
    if (needed) {
      assertThatIllegalArgumentException().isThrownBy(() -> CpuModel.parse("max,-" + feature))
          .withMessageContaining("needs " + feature);
    } else {
      cpuid.select(CpuModel.parse("max,-" + feature));
      assertThat(cpuid.offers(feature)).isFalse();
      cpuid.select(CpuModel.parse("max,-" + feature + ",+" + feature));
      assertThat(cpuid.offers(feature)).isTrue();
    }
  }

  @Test
  void shouldOfferTheSameAsEverByDefault() {
    Cpuid cpuid = new Cpuid();
    assertThat(cpuid.query(1, 0)).containsExactly(0x6FB, 0x1_0800, 1 << 13 | 1 << 17, 0x078B_A97D);
    assertThat(cpuid.query(7, 0)).containsExactly(0, 1 << 7 | 1 << 10 | 1 << 13 | 1 << 20, 0, 0);
    assertThat(cpuid.query(0x8000_0001, 0)).containsExactly(0, 0, 1, 1 << 11 | 1 << 20 | 1 << 26 | 1 << 27 | 1 << 29);
    assertThat(cpuid.cr4Bits() & (ControlRegister.CR4_UMIP | ControlRegister.CR4_FSGSBASE)).isZero();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"i486 | processor 'i486': expected minimal, default",
      "max,+avx | processor feature 'avx': expected one of sse3",
      "minimal,+sse4.1 | sse4.1 needs ssse3", "Nehalem,-ssse3 | needs ssse3", 
      "Nehalem,popcnt | expected MODEL, then +FEATURE", "'' | expected minimal"})
  void shouldRefuseInOneLine(String text, String message) {
    assertThatIllegalArgumentException().isThrownBy(() -> CpuModel.parse(text)).withMessageContaining(message)
        .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n"));
  }

  @Test
  void shouldTakeTheSpellingsOfQemuAndLinux() {
    assertThat(CpuModel.parse("minimal,+pni,+ssse3,+sse4_1,+sse4-2,+lahf_lm").features())
        .contains(Feature.SSE3, Feature.SSSE3, Feature.SSE4_1, Feature.SSE4_2, Feature.LAHF_LM);
  }
}
