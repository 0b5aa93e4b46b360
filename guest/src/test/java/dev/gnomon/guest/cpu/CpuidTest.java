package dev.gnomon.guest.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CpuidTest {
  private final Cpuid cpuid = new Cpuid();

  private static String text(int... words) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * words.length).order(ByteOrder.LITTLE_ENDIAN);
    for (int word : words) {
      bytes.putInt(word);
    }
    return new String(bytes.array(), StandardCharsets.US_ASCII).replace("\0", "");
  }

  @Test
  void shouldNameVendorAndBrand() {
    int[] vendor = cpuid.query(0, 0);
    assertThat(text(vendor[Cpuid.EBX], vendor[Cpuid.EDX], vendor[Cpuid.ECX])).isEqualTo("GenuineIntel");
    assertThat(vendor[Cpuid.EAX]).isEqualTo(0xB);
    assertThat(text(cpuid.query(0x8000_0002, 0)) + text(cpuid.query(0x8000_0003, 0))
        + text(cpuid.query(0x8000_0004, 0)))
        .isEqualTo("Gnomon virtual processor");
  }

  /** Feature bits: leaf, register, bit, offered. What is not offered does not work, and the other way round. */
  @ParameterizedTest
  @CsvSource({"1, 3, 0, true", "1, 3, 2, true", "1, 3, 3, true", "1, 3, 4, true", "1, 3, 5, true", "1, 3, 6, true",
      "1, 3, 7, false", "1, 3, 8, true",
      "1, 3, 9, false", "1, 3, 11, true", "1, 3, 12, false", "1, 3, 13, true", "1, 3, 15, true", "1, 3, 16, true",
      "1, 3, 19, true", "1, 3, 23, true",
      "1, 3, 24, true", "1, 3, 25, true", "1, 3, 26, true", "1, 2, 0, false", "1, 2, 9, false", "7, 1, 13, true",
      "1, 2, 5, false", "1, 2, 13, true", "1, 2, 17, true", "1, 2, 26, false", "1, 2, 31, false",
      "7, 1, 0, false", "7, 1, 7, true", "7, 1, 10, true", "7, 1, 20, true", "80000001, 3, 11, true",
      "80000001, 3, 20, true", "80000001, 3, 26, true",
      "80000001, 3, 27, true", "80000001, 3, 29, true", "80000001, 2, 0, true"})
  void shouldOfferWhatWorks(String leaf, int register, int bit, boolean offered) {
    assertThat((cpuid.query(Integer.parseUnsignedInt(leaf, 16), 0)[register] >>> bit & 1) != 0).isEqualTo(offered);
  }

  @Test
  void shouldGiveAddressWidthsAndCaches() {
    assertThat(cpuid.query(0x8000_0008, 0)[Cpuid.EAX]).isEqualTo(48 << 8 | 46);
    assertThat(cpuid.query(4, 0)[Cpuid.EAX] & 0x1F).isEqualTo(1);
    assertThat(cpuid.query(4, 4)[Cpuid.EAX] & 0x1F).as("no fifth cache").isZero();
    assertThat(cpuid.query(0xB, 1)[Cpuid.ECX]).isEqualTo(0x201);
    assertThat(cpuid.query(0xB, 99)[Cpuid.EAX]).isZero();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 15, 16, 17, 0x7F, 0xFF, 0x100, 0x1234, -1})
  void shouldEchoSubleafOfTopology(int subleaf) {
    int[] registers = cpuid.query(0xB, subleaf);
    int type = subleaf == 0 || subleaf == 1 ? subleaf + 1 : 0;
    assertThat(registers[Cpuid.ECX]).isEqualTo(type << 8 | subleaf & 0xFF);
    assertThat(registers[Cpuid.EBX] != 0).isEqualTo(type != 0);
    assertThat(registers[Cpuid.EDX]).isEqualTo(cpuid.query(0xB, 0)[Cpuid.EDX]);
  }

  @Test
  void shouldGiveHighestBasicLeafForUnknownOnes() {
    int[] highest = cpuid.query(0xB, 0);
    assertThat(cpuid.query(0xC, 0)).isEqualTo(highest);
    assertThat(cpuid.query(0x4000_0000, 0)).isEqualTo(highest);
    assertThat(cpuid.query(0x8000_0009, 0)).isEqualTo(highest);
    assertThat(cpuid.query(-1, -1)).isNotNull();
  }

  @Test
  void shouldReplaceLeafAndRefuseUnknownOne() {
    cpuid.set(7, 0, 1, 2, 3, 4);
    assertThat(cpuid.query(7, 0)).containsExactly(1, 2, 3, 4);
    assertThat(cpuid.offers(Feature.SMAP)).isFalse();
    assertThat(cpuid.cr4Bits() & ControlRegister.CR4_SMAP).isZero();
    assertThatThrownBy(() -> cpuid.set(0x40, 0, 0, 0, 0,
        0)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("40H");
  }

  /**
   * Processors and number of one: EBX and EDX.HTT of leaf 1, core IDs of leaf 4, its first and last cache's sharing,
   * and leaf BH.
   */
  @ParameterizedTest
  @CsvSource({"1, 0, 00010800, false, 0, 0, 0", "2, 1, 01020800, true, 1, 1, 1", "3, 2, 02030800, true, 3, 3, 2",
      "4, 0, 00040800, true, 3, 3, 2",
      "64, 63, 3f400800, true, 63, 63, 6"})
  void shouldTellTheTopology(int processors, int number, String ebx, boolean htt, int lastCore, int lastSharing,
      int shift) {
    cpuid.setTopology(number, processors);
    assertThat(cpuid.query(1, 0)[Cpuid.EBX]).isEqualTo(Integer.parseInt(ebx, 16));
    assertThat((cpuid.query(1, 0)[Cpuid.EDX] >>> 28 & 1) != 0).isEqualTo(htt);
    assertThat(cpuid.severalProcessors()).isEqualTo(htt);
    assertThat(cpuid.query(4, 0)[Cpuid.EAX] >>> 26).isEqualTo(lastCore);
    assertThat(cpuid.query(4, 0)[Cpuid.EAX] >>> 14 & 0xFFF).isZero();
    assertThat(cpuid.query(4, 3)[Cpuid.EAX] >>> 14 & 0xFFF).isEqualTo(lastSharing);
    assertThat(cpuid.query(4, 4)[Cpuid.EAX]).isZero();
    assertThat(cpuid.query(0xB, 0)).containsExactly(0, 1, 1 << 8, number);
    assertThat(cpuid.query(0xB, 1)).containsExactly(shift, processors, 2 << 8 | 1, number);
    assertThat(cpuid.query(0xB, 2)).containsExactly(0, 0, 2, number);
  }
}
