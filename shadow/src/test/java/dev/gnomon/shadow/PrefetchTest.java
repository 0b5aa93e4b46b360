package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.A;
import static dev.gnomon.shadow.TestGuest.ALL;
import static dev.gnomon.shadow.TestGuest.D;
import static dev.gnomon.shadow.TestGuest.P;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PrefetchTest {
  private static final long X = 0x40_0000;
  private static final long DATA = 0x40_0000;
  private static final ShadowOptions PREFETCH = new ShadowOptions(true, true, false, 128, true);

  private static TestGuest neighbours(ShadowOptions options, long flags) {
    TestGuest guest = TestGuest.longMode(options);
    for (int i = 0; i < 16; i++) {
      guest.map(X + 0x1000L * i, DATA + 0x1000L * i, flags);
    }
    return guest.start();
  }

  @Test
  void shouldFillTheAlignedGroupOfEightWithAccessedNeighbours() {
    TestGuest guest = neighbours(PREFETCH, ALL | A);
    guest.read(X + 0x3000);
    assertThat(guest.statistics().pages4k()).isEqualTo(8);
    assertThat(guest.spte(X) & ShadowPte.A).as("the processor sets A when it uses the entry").isZero();
    guest.read(X);
    assertThat(guest.machine.exits).isZero();
    assertThat(guest.spte(X) & ShadowPte.A).isNotZero();
    guest.read(X + 0x8000);
    assertThat(guest.machine.exits).isEqualTo(1);
  }

  @Test
  void shouldLeaveNeighboursAloneThatWereNeverAccessed() {
    TestGuest guest = neighbours(PREFETCH, ALL);
    guest.read(X + 0x3000);
    assertThat(guest.statistics().pages4k()).isEqualTo(1);
  }

  @Test
  void shouldPrefetchNothingWhenOff() {
    TestGuest guest = neighbours(PREFETCH.withPrefetch(false), ALL | A);
    guest.read(X + 0x3000);
    assertThat(guest.statistics().pages4k()).isEqualTo(1);
  }

  @Test
  void shouldPrefetchCleanPagesReadOnly() {
    TestGuest guest = neighbours(PREFETCH, ALL | A);
    guest.read(X);
    assertThat(ShadowPte.isWritable(guest.spte(X + 0x1000))).isFalse();
    guest = neighbours(PREFETCH, ALL | A | D);
    guest.read(X);
    assertThat(ShadowPte.isWritable(guest.spte(X + 0x1000))).isTrue();
  }

  @Test
  void shouldNotUnprotectATableForAPrefetch() {
    TestGuest guest = TestGuest.longMode(PREFETCH);
    long table = guest.entryGpa(X, 1) & -0x1000L;
    guest.map(X, DATA, ALL | A | D);
    guest.map(X + 0x1000, table, ALL | A | D);
    guest.start();
    guest.read(X);
    assertThat(ShadowPte.isPresent(guest.spte(X + 0x1000))).isTrue();
    assertThat(ShadowPte.isWritable(guest.spte(X + 0x1000))).isFalse();
    assertThat(guest.statistics().mmuUnsync).isZero();
  }

  @Test
  void shouldMakeTheEntryAgainAfterAnEmulatedWriteAndAfterInvlpg() {
    TestGuest guest = neighbours(PREFETCH, ALL | A);
    guest.read(X);
    guest.machine.foreignWrite(guest.entryGpa(X, 1), 8, DATA + 0x5000 | P | A);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x5000);
    assertThat(guest.machine.exits).isZero();
    guest.map(X + (8L << 21), guest.entryGpa(X, 1) & -0x1000L, ALL);
    guest.store(X + (8L << 21) + (guest.entryGpa(X, 1) & 0xFFF), DATA + 0x6000 | P | A);
    guest.machine.invlpg(X);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x6000);
    assertThat(guest.machine.exits).isZero();
  }

  @Test
  void shouldNotTouchBackingThatNobodyUsed() {
    ShadowMachine machine = new ShadowMachine(PREFETCH, false, 3);
    machine.noPaging();
    machine.load(true);
    machine.shadowAccess(DATA, 0);
    assertThat(machine.pages.statistics.pages4k()).isEqualTo(1);
  }
}
