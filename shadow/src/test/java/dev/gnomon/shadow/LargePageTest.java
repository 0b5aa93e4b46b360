package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.A;
import static dev.gnomon.shadow.TestGuest.ALL;
import static dev.gnomon.shadow.TestGuest.D;
import static dev.gnomon.shadow.TestGuest.P;
import static dev.gnomon.shadow.TestGuest.PS;
import static dev.gnomon.shadow.TestGuest.W;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class LargePageTest {
  private static final long X = 0x4000_0000;
  private static final long DATA = 0x40_0000;
  private static final ShadowOptions LARGE = new ShadowOptions(true, false, true, 128, true);

  @Test
  void shouldMapALargeGuestPageByOneLargeEntry() {
    TestGuest guest = TestGuest.longMode(LARGE);
    guest.mapLarge(X, DATA, ALL);
    guest.start();
    assertThat(guest.write(X + 0x12345)).isEqualTo(DATA + 0x12345);
    assertThat(guest.write(X + 0x1F_0000)).isEqualTo(DATA + 0x1F_0000);
    assertThat(guest.machine.exits).isZero();
    assertThat(guest.statistics().pages2m()).isEqualTo(1);
  }

  @Test
  void shouldSplinterALargeGuestPageWhenTheOptionIsOff() {
    TestGuest guest = TestGuest.longMode(LARGE.withLargePages(false));
    guest.mapLarge(X, DATA, ALL);
    guest.start();
    guest.write(X);
    guest.write(X + 0x1000);
    assertThat(guest.statistics().pages2m()).isZero();
    assertThat(guest.statistics().pages4k()).isEqualTo(2);
    assertThat(guest.leafPage(X).direct()).isTrue();
  }

  @Test
  void shouldGiveTheDirectPageTheRightsOfTheGuestsLargeEntry() {
    TestGuest guest = TestGuest.longMode(LARGE.withLargePages(false));
    guest.mapLarge(X, DATA, P | W);
    guest.start();
    guest.read(X);
    assertThat(ShadowAccess.toString(Role.access(guest.leafPage(X).role()))).as("clean, so not writable")
        .isEqualTo("--x");
    guest.write(X);
    assertThat(ShadowAccess.toString(Role.access(guest.leafPage(X).role()))).isEqualTo("w-x");
  }

  @Test
  void shouldUse4KEntriesOverAShadowedTable() {
    TestGuest guest = TestGuest.longMode(LARGE);
    guest.mapLarge(X, 0, ALL);
    guest.start();
    guest.write(X + TestGuest.FIRST_TABLE + 0x8_0000);
    assertThat(guest.statistics().pages2m()).as("the tables lie in that large page").isZero();
    guest.store(X + (guest.entryGpa(X, 2) & -0x1000L) + 8, 0);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
  }

  @Test
  void shouldTakeTheWriteRightFromALargeEntryWhenATableAppearsInside() {
    TestGuest guest = TestGuest.longMode(LARGE);
    guest.mapLarge(X, DATA, ALL);
    guest.start();
    guest.write(X);
    assertThat(guest.statistics().pages2m()).isEqualTo(1);
    long table = DATA + 0x3000;
    guest.machine.poke(table, 8, DATA + 0x9000 | ALL);
    guest.machine.foreignWrite(guest.entryGpa(1L << 21, 2), 8, table | ALL);
    assertThat(guest.read(1L << 21)).isEqualTo(DATA + 0x9000);
    guest.write(X + 0x1000);
    assertThat(guest.statistics().pages2m()).isZero();
    assertThat(guest.leafPage(X + 0x1000).direct()).isTrue();
    guest.store(X + 0x3000, DATA + 0xA000 | ALL);
    guest.machine.invlpg(1L << 21);
    assertThat(guest.read(1L << 21)).isEqualTo(DATA + 0xA000);
  }

  @Test
  void shouldUse4KEntriesWhereTheBackingIsScattered() {
    ShadowMachine machine = new ShadowMachine(LARGE, false, 5);
    machine.noPaging();
    machine.load(true);
    assertThat(machine.shadowAccess(DATA, 0)).isEqualTo(DATA);
    assertThat(machine.pages.statistics.pages2m()).isZero();
    ShadowMachine large = new ShadowMachine(LARGE, true, 5);
    large.noPaging();
    large.load(true);
    assertThat(large.shadowAccess(DATA, 0)).isEqualTo(DATA);
    assertThat(large.pages.statistics.pages2m()).isEqualTo(1);
  }

  @Test
  void shouldMapPartsOfAGibibytePageBy2MEntriesAndDevicesBy4KMarkers() {
    TestGuest guest = TestGuest.longMode(LARGE);
    guest.machine.poke(guest.entryGpa(X, 3), 8, ALL | PS);
    guest.start();
    assertThat(guest.write(X + DATA + 0x123)).isEqualTo(DATA + 0x123);
    assertThat(guest.statistics().pages2m()).isEqualTo(1);
    assertThat(guest.write(X + 0x2000_0000)).isEqualTo(0x2000_0000);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
    guest.machine.foreignWrite(guest.entryGpa(X, 3), 8, 0);
    guest.machine.invlpg(X);
    assertThat(guest.statistics().pages2m()).as("the direct page stays, unlinked, for reuse").isEqualTo(1);
    guest.read(X);
  }

  @Test
  void shouldReplaceALargeEntryWhenTheGuestSplitsItsPage() {
    TestGuest guest = TestGuest.longMode(LARGE);
    guest.mapLarge(X, DATA, ALL | A | D);
    guest.start();
    guest.write(X);
    long table = guest.newTable();
    for (int i = 0; i < 512; i++) {
      guest.machine.poke(table + 8 * i, 8, DATA + 0x1000L * i | ALL | A | D);
    }
    guest.machine.foreignWrite(guest.entryGpa(X, 2), 8, table | ALL);
    guest.machine.invlpg(X);
    assertThat(guest.write(X + 0x5000)).isEqualTo(DATA + 0x5000);
    assertThat(guest.statistics().pages2m()).isZero();
    guest.machine.foreignWrite(guest.entryGpa(X, 2), 8, DATA | ALL | PS);
    guest.machine.invlpg(X);
    assertThat(guest.write(X + 0x5000)).isEqualTo(DATA + 0x5000);
    assertThat(guest.statistics().pages2m()).isEqualTo(1);
  }
}
