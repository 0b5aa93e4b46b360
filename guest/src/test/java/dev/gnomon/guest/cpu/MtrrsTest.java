package dev.gnomon.guest.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MtrrsTest {
  private final Mtrrs mtrrs = new Mtrrs(46);

  @ParameterizedTest
  @ValueSource(ints = {0xFD, 0xFF, 0x1FF, 0x210, 0x24F, 0x251, 0x257, 0x25A, 0x267, 0x270, 0x2FE, 0x300})
  void shouldLeaveOtherRegistersAlone(int msr) {
    assertThat(Mtrrs.is(msr)).isFalse();
  }

  /** Register, value, whether it is taken. */
  @ParameterizedTest
  @CsvSource({"FE,508,false", "2FF,C06,true", "2FF,C02,false", "2FF,C07,false", "2FF,1C06,false", "200,C0000000,true",
      "200,C0000006,true", "200,C0000003,false",
      "200,C0000100,false", "200,400000000000,false", "201,3FFFC0000800,true", "201,3FFFC0000801,false", "20E,6,true",
      "20F,800,true",
      "250,606060606060606,true", "259,0,true", "26F,505050505050505,true", "268,600000000000002,false"})
  void shouldTakeLegalValuesOnly(String register, String text, boolean legal) {
    int msr = Integer.parseInt(register, 16);
    long value = Long.parseLong(text, 16);
    assertThat(Mtrrs.is(msr)).isTrue();
    long before = mtrrs.read(msr);
    assertThat(mtrrs.write(msr, value)).isEqualTo(legal);
    assertThat(mtrrs.read(msr)).isEqualTo(legal ? value : before);
  }

  @Test
  void shouldBeLeftByFirmwareAsOnAPc() {
    assertThat(mtrrs.read(Mtrrs.CAP)).isEqualTo(0x508);
    assertThat(mtrrs.read(Mtrrs.DEF_TYPE)).isZero();
    mtrrs.setAsFirmware(0xC000_0000L);
    assertThat(mtrrs.read(Mtrrs.DEF_TYPE)).isEqualTo(0xC06);
    assertThat(mtrrs.read(0x200)).isEqualTo(0xC000_0000L);
    assertThat(mtrrs.read(0x201)).isEqualTo(0x3FFF_C000_0800L);
    assertThat(mtrrs.read(Mtrrs.FIX_64K)).isEqualTo(0x0606060606060606L);
    assertThat(mtrrs.read(0x259)).as("A0000 to BFFFF").isZero();
  }
}
