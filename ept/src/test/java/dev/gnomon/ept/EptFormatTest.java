package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.HostMemory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EptFormatTest {
  private static final EptCapabilities NO_AD = new EptCapabilities(true, false, true, true, true);
  private static final long GOOD = EptPointer.of(HostMemory.TABLES_BASE, false);

  @ParameterizedTest
  @CsvSource({"0,true", "1,false", "2,false", "3,false", "4,false", "5,false", "6,true", "7,false"})
  void shouldAcceptOnlyUncacheableAndWriteBackTables(long type, boolean valid) {
    assertThat(EptPointer.isValid(GOOD & ~7L | type, EptCapabilities.ALL)).isEqualTo(valid);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 2, 3, 4, 5, 6, 7})
  void shouldAcceptOnlyFourLevelsAndFiveIfTheProcessorHasThem(long length) {
    long pointer = GOOD & ~EptPointer.WALK_LENGTH_MASK | length << 3;
    assertThat(EptPointer.isValid(pointer, EptCapabilities.ALL)).isEqualTo(length == 3 || length == 4);
    assertThat(EptPointer.isValid(pointer, EptCapabilities.NEHALEM)).isEqualTo(length == 3);
  }

  @Test
  void shouldAcceptAccessedDirtyOnlyIfTheProcessorHasIt() {
    assertThat(EptPointer.isValid(GOOD | EptPointer.ENABLE_AD, EptCapabilities.ALL)).isTrue();
    assertThat(EptPointer.isValid(GOOD | EptPointer.ENABLE_AD, NO_AD)).isFalse();
    assertThat(EptPointer.invalidReason(GOOD | EptPointer.ENABLE_AD, NO_AD)).contains("bit 6");
  }

  @Test
  void shouldRejectEachReservedBitOfThePointerAndNoAddressBit() {
    for (int bit = 7; bit < 64; bit++) {
      boolean reserved = bit < 12 || bit >= HostMemory.MAXPHYADDR;
      assertThat(EptPointer.isValid(GOOD & ~EptPointer.ADDRESS_MASK | 1L << bit, EptCapabilities.ALL)).as("bit " + bit)
          .isEqualTo(!reserved);
    }
  }

  @Test
  void shouldTagByAddressBitsAlone() {
    assertThat(EptPointer.ep4ta(EptPointer.of(HostMemory.TABLES_BASE, true))).isEqualTo(EptPointer.ep4ta(GOOD))
        .isEqualTo(HostMemory.TABLES_BASE);
    assertThat(EptPointer.root(GOOD)).isEqualTo(HostMemory.TABLES_BASE);
  }

  @Test
  void shouldRefuseToLoadInvalidPointer() {
    EptFixture tables = new EptFixture();
    EptWalker walker = new EptWalker(tables.memory, NO_AD);
    assertThatThrownBy(() -> walker.setEptPointer(GOOD | EptPointer.ENABLE_AD))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("accessed and dirty");
  }

  @Test
  void shouldReportCapabilitiesAsTheMsrDoes() {
    assertThat(EptCapabilities.ALL.msr()).isEqualTo(0xF01_0673_41C1L);
    assertThat(EptCapabilities.NEHALEM.msr()).isEqualTo(0xF01_0611_4140L);
    assertThat(EptCapabilities.ALL.maxPageShift()).isEqualTo(30);
    assertThat(EptCapabilities.NEHALEM.maxPageShift()).isEqualTo(21);
    assertThat(new EptCapabilities(true, true, false, false, true).maxPageShift()).isEqualTo(12);
  }

  @Test
  void shouldPrintQualificationByLinuxNames() {
    assertThat(EptViolation.toString(0)).isEqualTo("0");
    assertThat(EptViolation.toString(0x18A)).isEqualTo("ACC_WRITE|PROT_READ|GVA_IS_VALID|GVA_TRANSLATED");
    assertThat(EptViolation.toString(0x1FFF).split("\\|")).hasSize(13);
  }

  @ParameterizedTest
  @CsvSource({"0x80,true", "0x180,false", "0,false", "0x100,false"})
  void shouldTellTableWalksFromFinalAccesses(String qualification, boolean table) {
    assertThat(EptViolation.isTableWalk(Long.decode(qualification))).isEqualTo(table);
  }

  @Test
  void shouldPrintEntries() {
    assertThat(EptEntry.toString(0, 1)).isEqualTo("not present");
    assertThat(EptEntry.toString(EptEntry.table(0x1000) | EptEntry.ACCESSED, 3)).isEqualTo("0x1000 rwx A");
    long leaf = EptEntry.leaf(0x20_0000, 21, EptFixture.rights("r-x"), EptMemoryType.WB | EptMemoryType.IPAT);
    assertThat(EptEntry.toString(leaf | EptEntry.ACCESSED | EptEntry.DIRTY, 2))
        .isEqualTo("0x200000 r-x WB IPAT PS A D");
    assertThat(EptEntry.toString(leaf & ~EptEntry.PAGE_SIZE | EptEntry.USER_EXECUTE | EptEntry.SUB_PAGE_WRITE, 1))
        .isEqualTo("0x200000 r-x WB IPAT XU SPP");
    assertThat(EptEntry.name(5)).isEqualTo("EPT PML5E");
    assertThat(EptEntry.name(4) + EptEntry.name(3) + EptEntry.name(2) + EptEntry.name(1))
        .isEqualTo("EPT PML4EEPT PDPTEEPT PDEEPT PTE");
  }

  /**
   * Effective type for EPT type (row) and guest PAT type (column), SDM vol. 3A, "Effective Page-Level Memory Types".
   */
  @ParameterizedTest
  @CsvSource({
      "0, UC, UC, WC, UC, UC, UC",
      "1, UC, WC, WC, UC, WC, UC",
      "4, UC, UC, WC, WT, WT, WP",
      "6, UC, UC, WC, WT, WB, WP",
      "5, UC, WC, WC, WT, WP, WP"})
  void shouldCombineWithPatUnlessIgnored(int type, String uc, String ucMinus, String wc, String wt, String wb,
      String wp) {
    int[] pat = {EptMemoryType.UC, EptMemoryType.UC_MINUS, EptMemoryType.WC, EptMemoryType.WT, EptMemoryType.WB,
        EptMemoryType.WP};
    String[] expected = {uc, ucMinus, wc, wt, wb, wp};
    for (int i = 0; i < pat.length; i++) {
      assertThat(EptMemoryType.name(EptMemoryType.combine(type, pat[i]))).isEqualTo(expected[i]);
      assertThat(EptMemoryType.combine(type | EptMemoryType.IPAT, pat[i])).isEqualTo(type);
    }
  }

  @Test
  void shouldKeepPageAndGenerationInMmioMarker() {
    for (int generation : new int[] {0, 1, 255, 256, MmioMarker.GENERATION_MASK}) {
      long marker = MmioMarker.of(0x3FFF_FFFF_F123L, generation);
      assertThat(MmioMarker.isMarker(marker)).isTrue();
      assertThat(MmioMarker.generation(marker)).isEqualTo(generation);
      assertThat(MmioMarker.gpa(marker)).isEqualTo(0x3FFF_FFFF_F000L);
    }
    assertThat(MmioMarker.generation(MmioMarker.of(0, MmioMarker.GENERATION_MASK + 8))).isEqualTo(7);
  }
}
