package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.A;
import static dev.gnomon.shadow.TestGuest.ALL;
import static dev.gnomon.shadow.TestGuest.D;
import static dev.gnomon.shadow.TestGuest.P;
import static dev.gnomon.shadow.TestGuest.U;
import static dev.gnomon.shadow.TestGuest.fault;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.PageFaultCode;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Faults and INVLPGs that follow one INVLPG on an address whose table the guest writes without exits. */
class RecentLeafTest {
  private static final long X = 0x40_0000;
  private static final long DATA = 0x40_0000;
  private static final long WINDOW = 1L << 39;
  private static final long ENTRY = (X >>> 12 & 511) << 3;

  private TestGuest guest;

  private static TestGuest unsynchronised() {
    TestGuest guest = TestGuest.longMode(new ShadowOptions(true, true, false, 128, true));
    guest.map(X, DATA, ALL);
    guest.map(WINDOW, guest.entryGpa(X, 1) & -0x1000L, ALL);
    guest.start();
    guest.write(X);
    return guest;
  }

  @BeforeEach
  void start() {
    guest = unsynchronised();
  }

  private static void remap(TestGuest guest, long pte) {
    guest.store(WINDOW + ENTRY, pte);
    guest.machine.invlpg(X);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldCountAndMarkAsTheWholeWalkDoes(boolean write) {
    TestGuest walking = unsynchronised();
    // Whoever listens hears every step of the walk, so it is taken.
    walking.machine.mmu.setObserver(new ShadowObserver() { });
    for (TestGuest each : new TestGuest[] {guest, walking}) {
      remap(each, DATA + 0x1000 | ALL);
      assertThat(write ? each.write(X) : each.read(X)).isEqualTo(DATA + 0x1000);
      assertThat(each.lastResult()).isEqualTo(FaultResult.FIXED);
      assertThat(each.entry(X, 1)).isEqualTo(DATA + 0x1000 | ALL | A | (write ? D : 0));
    }
    assertThat(guest.spte(X)).isEqualTo(walking.spte(X));
    assertThat(guest.statistics()).usingRecursiveComparison().isEqualTo(walking.statistics());
    assertThat(guest.machine.mmu.fault.gpa).isEqualTo(DATA + 0x1000);
  }

  @Test
  void shouldCountAndMarkAsTheWholeWalkDoesElsewhereInTheSame2Mib() {
    TestGuest walking = unsynchronised();
    walking.machine.mmu.setObserver(new ShadowObserver() { });
    for (TestGuest each : new TestGuest[] {guest, walking}) {
      remap(each, DATA + 0x1000 | ALL);
      each.store(WINDOW + ENTRY + 16, DATA + 0x2000 | ALL);
      assertThat(each.read(X + 0x2000)).isEqualTo(DATA + 0x2000);
      each.store(WINDOW + ENTRY + 16, DATA + 0x3000 | ALL);
      each.machine.invlpg(X + 0x2000);
      assertThat(each.write(X + 0x2000)).isEqualTo(DATA + 0x3000);
      assertThat(each.entry(X + 0x2000, 1)).isEqualTo(DATA + 0x3000 | ALL | A | D);
    }
    assertThat(guest.spte(X + 0x2000)).isEqualTo(walking.spte(X + 0x2000));
    assertThat(guest.statistics()).usingRecursiveComparison().isEqualTo(walking.statistics());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldFollowTheTablesOfAnotherRoot(boolean known) {
    GuestPagingState state = guest.machine.state;
    long first = state.cr3;
    long second = guest.newTable();
    guest.machine.poke(guest.entryGpa(second, X, 1), 8, DATA + 0x4000 | ALL);
    if (known) {
      state.cr3 = second;
      guest.start();
      guest.read(X);
      state.cr3 = first;
      guest.start();
      guest.write(X);
    }
    remap(guest, DATA + 0x1000 | ALL);
    state.cr3 = second;
    guest.start();
    assertThat(guest.read(X)).isEqualTo(DATA + 0x4000);
    guest.machine.foreignWrite(guest.entryGpa(second, X, 1), 8, DATA + 0x5000 | ALL);
    guest.machine.invlpg(X);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x5000);
  }

  @Test
  void shouldFaultWhenAnUpperEntryGoesBetweenInvlpgAndTheAccess() {
    remap(guest, DATA + 0x1000 | ALL);
    guest.machine.foreignWrite(guest.entryGpa(X, 2), 8, 0);
    assertThat(guest.read(X)).isEqualTo(fault(0));
  }

  @Test
  void shouldObeyAnUpperEntryThatLosesARightBetweenInvlpgAndTheAccess() {
    long directory = guest.entryGpa(X, 2);
    remap(guest, DATA + 0x1000 | ALL);
    guest.machine.foreignWrite(directory, 8, guest.machine.read(directory, 8) & ~TestGuest.W);
    assertThat(guest.write(X)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
  }

  @Test
  void shouldInjectTheGuestsOwnFaultOnTheNewEntry() {
    remap(guest, DATA | P | U);
    assertThat(guest.write(X)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
    remap(guest, 0);
    assertThat(guest.read(X)).isEqualTo(fault(0));
    remap(guest, DATA + 0x2000 | P | U);
    assertThat(guest.userRead(X)).isEqualTo(DATA + 0x2000);
  }

  @Test
  void shouldEmulateAWriteToATableThatTheNewEntryMaps() {
    remap(guest, guest.entryGpa(X, 2) & -0x1000L | ALL);
    guest.write(X);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
  }

  @Test
  void shouldForgetTheEntryWhenTheNextInvlpgFindsNothingOutOfStep() {
    long window = 0x8000_0000L;
    TestGuest legacy = TestGuest.legacy(new ShadowOptions(true, true, false, 128, true));
    legacy.map(X, DATA, ALL);
    legacy.map(window, legacy.entryGpa(X, 1) & -0x1000L, ALL);
    legacy.start();
    legacy.write(X);
    legacy.store(window + (X >>> 12 & 1023) * 4, DATA + 0x1000 | ALL);
    legacy.machine.invlpg(X);
    legacy.machine.foreignWrite(legacy.entryGpa(X, 2), 4, 0);
    legacy.machine.invlpg(0xC000_0000L);
    assertThat(legacy.read(X)).isEqualTo(fault(0));
  }

  @Test
  void shouldForgetTheFloodOfTheTablesAbove() {
    long unused = guest.entryGpa(X + (5L << 21), 2);
    for (int i = 0; i < 6; i++) {
      guest.machine.foreignWrite(unused, 8, 0);
      remap(guest, DATA + 0x1000L * i | ALL);
      assertThat(guest.read(X)).isEqualTo(DATA + 0x1000L * i);
    }
    assertThat(guest.statistics().mmuFlooded).isZero();
  }
}
