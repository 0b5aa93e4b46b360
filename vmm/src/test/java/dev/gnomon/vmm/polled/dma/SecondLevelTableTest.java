package dev.gnomon.vmm.polled.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.polled.dma.DmaFault.Reason;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SecondLevelTableTest {
  private static final long RW = SecondLevelEntry.RIGHTS;
  private static final long R = SecondLevelEntry.READ;
  private static final long W = SecondLevelEntry.WRITE;
  private static final long HOST = 1L << 32;

  private final DeviceFrames frames = new DeviceFrames(64);
  private final SecondLevelTable table = new SecondLevelTable(frames);

  @Test
  void shouldDenyWhatWasNotMapped() {
    assertThat(table.translate(0x1000, false)).isEqualTo(-1);
    assertThat(table.reason()).isEqualTo(Reason.NO_READ);
    assertThat(table.translate(0x1000, true)).isEqualTo(-1);
    assertThat(table.reason()).isEqualTo(Reason.NO_WRITE);
  }

  @ParameterizedTest
  @CsvSource({"0x1000, 0x1000, 12", "0x200000, 0x200000, 21", "0x40000000, 0x40000000, 30", "0x201000, 0x200000, 12"})
  void shouldMapByTheLargestPageThatFits(String iova, String length, int shift) {
    long at = Long.decode(iova);
    assertThat(table.map(at, HOST + at, Long.decode(length), RW)).isTrue();
    assertThat(table.translate(at + 0x123, true)).isEqualTo(HOST + at + 0x123);
    assertThat(table.pageShift()).isEqualTo(shift);
  }

  @Test
  void shouldGrantEachRightByItself() {
    table.map(0x1000, HOST, 4096, R);
    table.map(0x2000, HOST, 4096, W);
    assertThat(table.rights(0x1000)).isEqualTo(R);
    assertThat(table.rights(0x2000)).isEqualTo(W);
  }

  @Test
  void shouldSplitLargePagesThatLoseAPart() {
    table.map(1L << 30, 1L << 30, 1L << 30, R);
    assertThat(table.unmap((1L << 30) + 0x5000, 0x1000)).isTrue();
    assertThat(table.translate((1L << 30) + 0x5000, false)).isEqualTo(-1);
    assertThat(table.translate((1L << 30) + 0x4FFF, false)).isEqualTo((1L << 30) + 0x4FFF);
    assertThat(table.rights((1L << 30) + 0x6000)).isEqualTo(R);
    assertThat(table.translate((1L << 31) - 1, false)).isEqualTo((1L << 31) - 1);
  }

  @Test
  void shouldUnmapAllOfAPageThatItCannotSplit() {
    DeviceFrames few = new DeviceFrames(2);
    SecondLevelTable small = new SecondLevelTable(few);
    assertThat(small.map(0, 1L << 30, 1L << 30, RW)).isTrue();
    assertThat(small.unmap(0x1000, 0x1000)).isFalse();
    assertThat(small.rights(0x2000)).as("denied rather than left").isZero();
    assertThat(small.map(0x1000, HOST, 4096, RW)).isFalse();
    assertThatThrownBy(() -> new SecondLevelTable(few)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("no frame");
  }

  @ParameterizedTest
  @CsvSource({"0x1000000000000, BEYOND_WIDTH", "-1, BEYOND_WIDTH", "0x7fffffffffffffff, BEYOND_WIDTH"})
  void shouldRefuseAddressesBeyondItsWidth(String iova, Reason reason) {
    assertThat(table.translate(Long.decode(iova), false)).isEqualTo(-1);
    assertThat(table.reason()).isEqualTo(reason);
  }

  @Test
  void shouldRefuseReservedBitsAndTablesWithoutMemory() {
    frames.memory().write64(table.root(), SecondLevelEntry.table(1L << 45));
    assertThat(table.translate(0, false)).isEqualTo(-1);
    assertThat(table.reason()).isEqualTo(Reason.TABLE_UNREACHABLE);
    frames.memory().write64(table.root(), SecondLevelEntry.RIGHTS | 1L << 46);
    assertThat(table.translate(0, false)).isEqualTo(-1);
    assertThat(table.reason()).isEqualTo(Reason.RESERVED_BIT);
    frames.memory().write64(table.root(), SecondLevelEntry.RIGHTS | SecondLevelEntry.PAGE_SIZE);
    assertThat(table.translate(0, true)).isEqualTo(-1);
    assertThat(table.reason()).as("no pages of 512G").isEqualTo(Reason.RESERVED_BIT);
  }

  @Test
  void shouldGiveItsFramesBack() {
    int before = frames.available();
    table.map(0x1000, HOST, 0x400000, RW);
    table.map(1L << 40, HOST, 4096, RW);
    assertThat(frames.available()).isLessThan(before);
    table.clear();
    assertThat(frames.available()).isEqualTo(before);
    assertThat(table.rights(0x1000)).isZero();
  }

  /** Random edits against a map of pages; also that large pages over tables and under them come out alike. */
  @Property(tries = 200)
  void shouldTranslateLikeAMapOfPages(@ForAll long seed) {
    Random random = new Random(seed);
    SecondLevelTable tested = new SecondLevelTable(new DeviceFrames(64));
    Map<Long, Long> pages = new HashMap<>();
    for (int i = 0; i < 20; i++) {
      long size = random.nextInt(4) == 0 ? 512 : 1 + random.nextInt(8);
      long first = size == 512 ? 512L * random.nextInt(4) : random.nextInt(2048 - 8);
      if (random.nextInt(3) == 0) {
        tested.unmap(first << 12, size << 12);
        for (long page = first; page < first + size; page++) {
          pages.remove(page);
        }
      } else {
        long host = size == 512 ? HOST + (512L * random.nextInt(8) << 12) : HOST + ((long) random.nextInt(4096) << 12);
        long rights = 1 + random.nextInt(3);
        assertThat(tested.map(first << 12, host, size << 12, rights)).isTrue();
        for (long page = 0; page < size; page++) {
          pages.put(first + page, host + (page << 12) | rights);
        }
      }
    }
    for (long page = 0; page < 2048; page++) {
      long expected = pages.getOrDefault(page, 0L);
      assertThat(tested.rights(page << 12)).isEqualTo(expected & 3);
      if ((expected & R) != 0) {
        assertThat(tested.translate((page << 12) + 5, false)).isEqualTo((expected & -4096) + 5);
      }
    }
  }
}
