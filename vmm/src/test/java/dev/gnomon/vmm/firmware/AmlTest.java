package dev.gnomon.vmm.firmware;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Encodings as iasl gives them. */
class AmlTest {
  private static String hex(byte[] bytes) {
    return HexFormat.of().withUpperCase().formatHex(bytes);
  }

  @ParameterizedTest
  @CsvSource({"0,00", "1,01", "2,0A02", "255,0AFF", "256,0B0001", "65535,0BFFFF", "65536,0C00000100",
      "4294967295,0CFFFFFFFF", "4294967296,0E0000000001000000"})
  void shouldEncodeIntegers(long value, String bytes) {
    assertThat(hex(Aml.integer(value))).isEqualTo(bytes);
  }

  @ParameterizedTest
  @CsvSource({"PNP0A03,0C41D00A03", "PNP0B00,0C41D00B00", "PNP0501,0C41D00501", "PNP0C02,0C41D00C02",
      "INT33BB,0C25D433BB"})
  void shouldCompressEisaIdentifiers(String id, String bytes) {
    assertThat(hex(Aml.eisaId(id))).isEqualTo(bytes);
  }

  @ParameterizedTest
  @CsvSource({"PICF,50494346", "_S5,5F53355F", "\\_SB,5C5F53425F", "\\,5C00", "\\_SB.PCI0,5C2E5F53425F50434930",
      "A.B.C,2F03415F5F5F425F5F5F435F5F5F"})
  void shouldEncodePaths(String path, String bytes) {
    assertThat(hex(Aml.path(path))).isEqualTo(bytes);
  }

  /** Bytes in a buffer, the encoding's first ones: lengths at the borders of one, two and three bytes. */
  @ParameterizedTest
  @CsvSource({"60,113F0A3C", "61,1141040A3D", "4090,114FFF0BFA0F", "4091,118100010BFB0F", "5000,118E38010B8813"})
  void shouldEncodeLengths(int count, String start) {
    assertThat(hex(Aml.buffer(new byte[count]))).startsWith(start);
  }

  @Test
  void shouldEncodeTerms() {
    assertThat(hex(Aml.name("PICF", Aml.integer(0)))).isEqualTo("085049434600");
    assertThat(hex(Aml.method("_PIC", 1, Aml.store(Aml.argument0(), Aml.path("PICF")))))
        .isEqualTo("140C5F50494301706850494346");
    assertThat(hex(Aml.packageOf(Aml.integer(5), Aml.integer(0)))).isEqualTo("1205020A0500");
    assertThat(hex(Aml.string("AB"))).isEqualTo("0D414200");
    assertThat(hex(Aml.device("CPU0"))).isEqualTo("5B820543505530");
    assertThat(hex(Aml.scope("\\_SB"))).isEqualTo("10065C5F53425F");
    assertThat(hex(Aml.ifTrue(Aml.path("PICF"), Aml.returnValue(Aml.integer(1))))).isEqualTo("A00750494346A401");
  }

  @Test
  void shouldEncodeResources() {
    assertThat(hex(new Resources().ports(0x3F8, 8).irq(4).toAml())).isEqualTo("11100A0D4701F803F80301082210007900");
    assertThat(hex(new Resources().memory(0xFEC00000L, 0x1000).toAml()))
        .isEqualTo("11110A0E8609000100 00C0FE 00100000 7900".replace(" ", ""));
  }
}
