package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.memory.HostMemory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PageWalkerTest {
  private static final long ALL = PageTables.P | PageTables.RW | PageTables.US;
  private static final long GVA = 0x4060_3123L;
  private static final int RSVD = PageFaultCode.P | PageFaultCode.RSVD;

  private final PagingContext paging = new PagingContext();
  private final Translation out = new Translation();
  private PageTables tables;
  private PageWalker walker;

  private void use(int mode) {
    tables = new PageTables(paging, mode);
    walker = new PageWalker(tables.memory, paging, null);
  }

  private long walk(long gva, int access) {
    return walker.translate(gva, access, out);
  }

  @ParameterizedTest
  @CsvSource({"5,1,12,5", "5,2,21,4", "5,3,30,3", "3,1,12,4", "3,2,21,3", "3,3,30,2", "2,1,12,2", "2,2,21,1",
      "1,1,12,2", "1,2,22,1"})
  void shouldTranslateEveryPageSizeWithItsReferences(int mode, int level, int shift, int references) {
    use(mode);
    long page = 0x1_C000_0000L;
    if (mode == PagingContext.LEGACY) {
      page = 0xC000_0000L;
    }
    tables.map(GVA, page, level, ALL);

    assertThat(walk(GVA, Access.READ)).isEqualTo(page | GVA & (1L << shift) - 1);
    assertThat(out.hpa).isEqualTo(out.gpa).isEqualTo(page | GVA & (1L << shift) - 1);
    assertThat(out.pageShift).isEqualTo(shift);
    assertThat(out.guestPageShift).isEqualTo(shift);
    assertThat(out.references).isEqualTo(references);
    assertThat(out.guestReferences).isEqualTo(references);
  }

  @Test
  void shouldPassLinearAddressesThroughWithoutPaging() {
    use(PagingContext.LONG4);
    paging.mode = PagingContext.NONE;
    assertThat(walk(0xFFFF_F123L, Access.WRITE)).isEqualTo(0xFFFF_F123L);
    assertThat(out.references).isZero();
    int all = Translation.WRITABLE | Translation.DIRTY | Translation.STAGE_WRITABLE | Translation.READABLE;
    assertThat(out.rights & all).isEqualTo(all);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3})
  void shouldNotTakeALargePageForATable(int level) {
    use(PagingContext.LONG4);
    for (int i = 0; i < 512; i++) {
      tables.memory.write64(8 * i, ALL | PageTables.A | PageTables.D);
    }
    tables.map(GVA, 0, level, ALL);
    long expected = GVA & (1L << PageTableEntry.shift(level)) - 1;
    assertThat(walk(GVA, Access.READ)).isEqualTo(expected);
    assertThat(walk(GVA, Access.READ)).as("with A set").isEqualTo(expected);
    tables.set(GVA, 4, tables.get(GVA, 4) | PageTables.PS | PageTables.A);
    assertThat(walk(GVA, Access.READ)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(RSVD);
  }

  @Test
  void shouldWalkTheUpperHalfOfTheAddressSpace() {
    use(PagingContext.LONG4);
    long gva = 0xFFFF_8000_0020_1000L;
    tables.map(gva, 0x7000, ALL);
    assertThat(walk(gva + 5, Access.READ)).isEqualTo(0x7005);
  }

  @Test
  void shouldTakeHighAddressBitsOfALarge32BitPage() {
    use(PagingContext.LEGACY);
    tables.map(GVA, 0, 2, ALL | 0x80_0000L | 0xABL << 13 | PageTableEntry.PAT_LARGE);
    assertThat(walk(GVA, Access.READ)).isEqualTo(0xAB_0080_0000L | GVA & 0x3F_FFFF);
  }

  @Test
  void shouldFaultOnBit21OfALarge32BitPage() {
    use(PagingContext.LEGACY);
    tables.map(GVA, 0, 2, ALL | 1L << 21);
    assertThat(walk(GVA, Access.READ)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(RSVD);
  }

  @Test
  void shouldIgnorePageSizeBitOf32BitPagingWithoutPse() {
    use(PagingContext.LEGACY);
    tables.map(GVA, 0x9000, ALL);
    tables.set(GVA, 2, tables.get(GVA, 2) | PageTables.PS);
    paging.pse = false;
    assertThat(walk(GVA, Access.READ)).isEqualTo(0x9123);
  }

  @ParameterizedTest
  @CsvSource({"3,4,false", "3,3,false", "3,2,false", "3,1,true", "3,2,true", "3,3,true", "2,2,false", "2,1,true",
      "2,2,true"})
  void shouldFaultOnEachReservedBitAndNoOther(int mode, int level, boolean leaf) {
    use(mode);
    long page = 0x1_4000_0000L;
    int leafLevel = leaf ? level : 1;
    for (int bit = 1; bit < 63; bit++) {
      if (bit == 7 && level > 1 && level < 4 && !leaf) {
        continue;
      }
      boolean reserved = bit >= HostMemory.MAXPHYADDR && bit < 52 || bit >= 52 && mode == PagingContext.PAE
          || level == 4 && bit == 7 || leaf && level == 2 && bit >= 13 && bit < 21
          || leaf && level == 3 && bit >= 13 && bit < 30;
      boolean address = bit >= 12 && bit < HostMemory.MAXPHYADDR && !reserved;
      if (address) {
        continue;
      }
      use(mode);
      tables.map(GVA, page, leafLevel, ALL);
      tables.set(GVA, level, tables.get(GVA, level) | 1L << bit);
      long result = walk(GVA, Access.READ);
      assertThat(result < 0).as("bit " + bit).isEqualTo(reserved);
      if (reserved) {
        assertThat(out.errorCode).as("bit " + bit).isEqualTo(RSVD);
      }
    }
  }

  @Test
  void shouldTreatPageSizeBitOfPdpteAsReservedWithout1gPages() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0, 3, ALL);
    paging.pages1g = false;
    assertThat(walk(GVA, Access.READ)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(RSVD);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4})
  void shouldTreatNxAsReservedUntilEnabled(int level) {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000, ALL);
    tables.set(GVA, level, tables.get(GVA, level) | PageTables.NX);
    paging.nxe = false;
    assertThat(walk(GVA, Access.WRITE)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(RSVD | PageFaultCode.W);
    paging.nxe = true;
    assertThat(walk(GVA, Access.WRITE)).isEqualTo(0x5123);
    assertThat(walk(GVA, Access.FETCH)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(PageFaultCode.P | PageFaultCode.ID);
  }

  @Test
  void shouldIgnoreReservedBitsOfAnAbsentEntry() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000, ALL);
    tables.set(GVA, 1, 0x5000 | 1L << 50 | PageTables.RW);
    assertThat(walk(GVA, Access.WRITE)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(PageFaultCode.W);
  }

  @Test
  void shouldReportTheUpperLevelFirst() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000 | 1L << 50, ALL);
    tables.set(GVA, 2, tables.get(GVA, 2) & ~PageTables.P);
    assertThat(walk(GVA, Access.READ)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isZero();
  }

  @ParameterizedTest
  @CsvSource({"3,1", "3,2", "3,3", "2,1", "2,2", "1,1", "1,2"})
  void shouldSetAccessedInEachEntryAndDirtyOnlyInTheLeafOnWrite(int mode, int level) {
    use(mode);
    tables.map(GVA, 0x4000_0000L, level, ALL);

    walk(GVA, Access.READ);
    for (int l = tables.topLevel(); l >= level; l--) {
      assertThat(tables.get(GVA, l) & (PageTables.A | PageTables.D)).as("level " + l).isEqualTo(PageTables.A);
    }
    assertThat(out.rights & Translation.DIRTY).isZero();

    walk(GVA, Access.WRITE);
    for (int l = tables.topLevel(); l >= level; l--) {
      assertThat(tables.get(GVA, l) & PageTables.D).as("level " + l).isEqualTo(l == level ? PageTables.D : 0);
    }
    assertThat(out.rights & Translation.DIRTY).isNotZero();
  }

  @Test
  void shouldSetNoFlagInAWalkThatFaults() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000, PageTables.P | PageTables.US);
    assertThat(walk(GVA, Access.WRITE | Access.USER)).isEqualTo(Status.FAULT);
    for (int level = 4; level >= 1; level--) {
      assertThat(tables.get(GVA, level) & (PageTables.A | PageTables.D)).isZero();
    }
  }

  @Test
  void shouldWalkAgainWhenAnEntryChangesUnderneath() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000, ALL);
    long pte = tables.entryAddress(GVA, 1);
    int frame = tables.memory.offset(pte) >>> 12;
    int[] changes = {0};
    tables.memory.setWriteListener((offset, size) -> {
      if (changes[0]++ == 0) {
        tables.memory.store(tables.memory.offset(pte), 8, 0x8000 | ALL);
      }
    });
    tables.memory.setFrameFlags(frame, HostMemory.FRAME_WATCHED);

    assertThat(walk(GVA, Access.WRITE)).isEqualTo(0x8123);
    assertThat(tables.get(GVA, 1)).isEqualTo(0x8000 | ALL | PageTables.A | PageTables.D);
  }

  @Test
  void shouldFaultWhenTheEntryVanishesUnderneath() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000, ALL);
    long pte = tables.entryAddress(GVA, 1);
    tables.memory.setWriteListener((offset, size) -> tables.memory.store(tables.memory.offset(pte), 8, 0));
    tables.memory.setFrameFlags(tables.memory.offset(pte) >>> 12, HostMemory.FRAME_WATCHED);
    assertThat(walk(GVA, Access.READ)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isZero();
    assertThat(tables.get(GVA, 1)).isZero();
  }

  @Test
  void shouldReadAllOnesFromTablesThatAreNotBacked() {
    use(PagingContext.LONG4);
    paging.root = 1L << 40;
    assertThat(walk(GVA, Access.READ)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(RSVD);

    use(PagingContext.LEGACY);
    paging.root = 0xF000_0000L;
    paging.pse = false;
    assertThat(walk(GVA, Access.WRITE)).isEqualTo(0xFFFF_F123L);
  }

  @Test
  void shouldCombineRightsOverAllLevels() {
    use(PagingContext.LONG4);
    for (int level = 1; level <= 4; level++) {
      tables.map(GVA, 0x5000, ALL);
      long entry = tables.get(GVA, level);
      tables.set(GVA, level, entry & ~PageTables.RW);
      assertThat(walk(GVA, Access.WRITE)).isEqualTo(Status.FAULT);
      assertThat(out.errorCode).isEqualTo(PageFaultCode.P | PageFaultCode.W);
      tables.set(GVA, level, entry & ~PageTables.US);
      assertThat(walk(GVA, Access.USER)).isEqualTo(Status.FAULT);
      tables.set(GVA, level, entry);
    }
  }

  @Test
  void shouldReportGlobalOnlyForLeafAndWithPge() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000, ALL | PageTables.G);
    walk(GVA, Access.READ);
    assertThat(out.rights & Translation.GLOBAL).isNotZero();
    paging.pge = false;
    walk(GVA, Access.READ);
    assertThat(out.rights & Translation.GLOBAL).isZero();
    paging.pge = true;
    tables.set(GVA, 1, 0x5000 | ALL);
    tables.set(GVA, 2, tables.get(GVA, 2) | PageTables.G);
    walk(GVA, Access.READ);
    assertThat(out.rights & Translation.GLOBAL).isZero();
  }

  @ParameterizedTest
  @CsvSource({"0x5000,1,6", "0x5008,1,4", "0x5010,1,7", "0x5018,1,0", "0x5080,1,6", "0x5098,1,0", "0x0008,2,4",
      "0x1018,2,0"})
  void shouldTakeTheMemoryTypeFromThePat(String leaf, int level, int type) {
    use(PagingContext.LONG4);
    tables.map(GVA, Long.decode(leaf), level, ALL);
    walk(GVA, Access.READ);
    assertThat(out.memoryType).isEqualTo(type);
  }

  @Test
  void shouldFaultOnAnAbsentPdpteRegister() {
    use(PagingContext.PAE);
    tables.map(GVA, 0x5000, ALL);
    paging.pdpte[1] = 0;
    assertThat(walk(GVA, Access.WRITE)).isEqualTo(Status.FAULT);
    assertThat(out.errorCode).isEqualTo(PageFaultCode.W);
    assertThat(out.references).isZero();
  }

  @Test
  void shouldRefuseEachReservedBitOfAPresentPdpteAndLoadNone() {
    use(PagingContext.PAE);
    long cr3 = 0x3000 | 0x20 | 0x18;
    for (int bit = 0; bit < 64; bit++) {
      boolean reserved = bit == 1 || bit == 2 || bit >= 5 && bit <= 8 || bit >= HostMemory.MAXPHYADDR;
      tables.memory.write64(0x3020, 0x1001);
      tables.memory.write64(0x3038, 0x2001 | 1L << bit);
      long[] registers = {7, 7, 7, 7};
      int status = walker.loadPdptes(cr3, registers, out);
      assertThat(status).as("bit " + bit).isEqualTo(reserved ? Status.FAULT : Status.OK);
      long[] loaded = {0x1001, 0, 0, 0x2001 | 1L << bit};
      assertThat(registers).as("bit " + bit).isEqualTo(reserved ? new long[] {7, 7, 7, 7} : loaded);
    }
    tables.memory.write64(0x3038, 0x2006);
    assertThat(walker.loadPdptes(cr3, paging.pdpte, out)).isEqualTo(Status.OK);
  }

  @Test
  void shouldPeekEachStepWithoutAnyEffect() {
    use(PagingContext.LONG4);
    tables.map(GVA, 0x5000, ALL);
    List<String> steps = new ArrayList<>();
    Translation peeked = new Translation();
    long result = walker.peek(GVA, Access.WRITE, peeked,
        (dimension, level, gpa, hpa, entry) -> steps.add(
            dimension + " " + level + " " + (hpa == tables.entryAddress(GVA, level)) + " " + (entry & 0x67)));
    assertThat(result).isEqualTo(0x5123);
    assertThat(steps).containsExactly("GUEST 4 true 7", "GUEST 3 true 7", "GUEST 2 true 7", "GUEST 1 true 7");
    assertThat(peeked.references).isEqualTo(4);
    for (int level = 1; level <= 4; level++) {
      assertThat(tables.get(GVA, level) & (PageTables.A | PageTables.D)).isZero();
    }
    assertThat(walker.peek(GVA + 0x1000, Access.READ, peeked, null)).isEqualTo(Status.FAULT);
  }
}
