package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.ALL;
import static dev.gnomon.shadow.TestGuest.P;
import static dev.gnomon.shadow.TestGuest.fault;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.mmu.PageFaultCode;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Leaf tables that the guest writes without exits. Address X is mapped by the table that the window shows. */
class UnsyncTest {
  private static final long X = 0x40_0000;
  private static final long DATA = 0x40_0000;
  /** Under another PML4 entry, so that it shares no table with X. */
  private static final long WINDOW = 1L << 39;
  private static final long ENTRY = (X >>> 12 & 511) << 3;

  private TestGuest guest;
  private long table;

  @BeforeEach
  void mapTableAndWindow() {
    guest = TestGuest.longMode(new ShadowOptions(true, false, false, 128, true));
    guest.map(X, DATA, ALL);
    guest.map(X + 0x3000, DATA + 0x3000, ALL);
    table = guest.entryGpa(X, 1) & -0x1000L;
    guest.map(WINDOW, table, ALL);
    guest.start();
    guest.write(X);
  }

  private void remap(long gpa) {
    guest.store(WINDOW + ENTRY, gpa | ALL);
  }

  @Test
  void shouldTakeOneExitForManyWritesToALeafTable() {
    remap(DATA + 0x1000);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.FIXED);
    assertThat(guest.statistics().mmuUnsync).isEqualTo(1);
    for (int i = 0; i < 10; i++) {
      guest.machine.store(WINDOW + ENTRY + 8, 0, 8, i);
      assertThat(guest.machine.exits).isZero();
    }
    assertThat(guest.statistics().mmuPteWrite).isZero();
  }

  @Test
  void shouldKeepTheOldTranslationUntilInvlpg() {
    remap(DATA + 0x1000);
    assertThat(guest.machine.shadowAccess(X, 0)).isEqualTo(DATA);
    guest.machine.invlpg(X);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x1000);
    assertThat(guest.statistics().mmuUnsync).as("INVLPG brings one entry up to date, not the page").isEqualTo(1);
  }

  @Test
  void shouldSyncAndProtectTheTableAgainAtCr3Load() {
    remap(DATA + 0x1000);
    guest.start();
    assertThat(guest.statistics().mmuUnsync).isZero();
    assertThat(guest.read(X)).isEqualTo(DATA + 0x1000);
    remap(DATA + 0x2000);
    assertThat(guest.machine.exits).as("the table is protected again").isEqualTo(1);
  }

  @Test
  void shouldDropRightsThatTheGuestTookAwayAtSync() {
    guest.store(WINDOW + ENTRY, DATA | P | TestGuest.A | TestGuest.D);
    guest.start();
    assertThat(guest.machine.exits).isEqualTo(1);
    assertThat(guest.write(X)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
  }

  @Test
  void shouldBringATableUpToDateWhenItIsLinkedElsewhere() {
    guest.read(X + 0x3000);
    guest.machine.foreignWrite(guest.entryGpa(X, 2), 8, 0);
    guest.machine.invlpg(X);
    guest.machine.invlpg(X + 0x3000);
    // Nothing maps through the table now, so that editing it needs no invalidation, nor does linking it anew.
    guest.store(WINDOW + ENTRY + 24, DATA + 0x1000 | ALL);
    guest.machine.foreignWrite(guest.entryGpa(1L << 30, 2), 8, table | ALL);
    guest.read(1L << 30);
    assertThat(guest.read((1L << 30) + 0x3000)).isEqualTo(DATA + 0x1000);
  }

  @Test
  void shouldBringTablesBelowUpToDateBeforeLinkingAHigherOne() {
    long directory = guest.entryGpa(X, 2) & -0x1000L;
    remap(DATA + 0x1000);
    guest.machine.invlpg(X);
    guest.read(X);
    guest.read(X + 0x3000);
    guest.machine.foreignWrite(guest.entryGpa(X, 3), 8, 0);
    guest.machine.invlpg(X);
    guest.machine.invlpg(X + 0x3000);
    guest.store(WINDOW + ENTRY + 24, DATA + 0x2000 | ALL);
    assertThat(guest.machine.exits).as("the write is hidden").isZero();
    guest.machine.foreignWrite(guest.entryGpa(X, 3) + 8, 8, directory | ALL);
    guest.read(X + (1L << 30));
    assertThat(guest.read(X + (1L << 30) + 0x3000)).isEqualTo(DATA + 0x2000);
  }

  @Test
  void shouldSyncACachedRootOfAnotherRoleWhateverTheGuestAsked() {
    GuestPagingState state = guest.machine.state;
    state.cr0 ^= ControlRegister.CR0_WP;
    guest.machine.load(false);
    guest.read(X);
    state.cr0 ^= ControlRegister.CR0_WP;
    guest.machine.load(false);
    remap(DATA + 0x1000);
    guest.start();
    state.cr0 ^= ControlRegister.CR0_WP;
    guest.machine.load(false);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x1000);
  }

  @Test
  void shouldInvalidateAnAddressInPreviousRootsToo() {
    GuestPagingState state = guest.machine.state;
    state.cr4 |= ControlRegister.CR4_PCIDE;
    guest.start();
    guest.read(X);
    remap(DATA + 0x1000);
    long first = state.cr3;
    state.cr3 = guest.newTable() | 1;
    guest.machine.poke(state.cr3 & -0x1000L, 8, guest.machine.read(first, 8));
    guest.machine.poke((state.cr3 & -0x1000L) + 8, 8, guest.machine.read(first + 8, 8));
    guest.machine.load(true);
    guest.machine.invpcid(X, 0);
    state.cr3 = first;
    guest.machine.load(false);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x1000);
  }

  @Test
  void shouldForgetAPreviousRootOfAnInvalidatedPcid() {
    GuestPagingState state = guest.machine.state;
    state.cr4 |= ControlRegister.CR4_PCIDE;
    guest.start();
    guest.read(X);
    remap(DATA + 0x1000);
    long first = state.cr3;
    state.cr3 = guest.newTable() | 1;
    guest.machine.load(true);
    guest.machine.mmu.invpcidContext(0);
    guest.machine.flushAll();
    state.cr3 = first;
    guest.machine.load(false);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x1000);
  }

  @Test
  void shouldFlushOnInvlpgOnlyIfAnotherAddressCanUseTheEntry() {
    remap(DATA + 0x1000);
    int before = guest.machine.flushes;
    guest.machine.invlpg(X);
    assertThat(guest.machine.flushes).isEqualTo(before);
    guest.read(X);
    guest.machine.foreignWrite(guest.entryGpa(1L << 30, 2), 8, table | ALL);
    guest.read((1L << 30) + (X & 0x1F_FFFF));
    remap(DATA + 0x2000);
    before = guest.machine.flushes;
    guest.machine.invlpg(X);
    assertThat(guest.machine.flushes).isEqualTo(before + 1);
  }

  @Test
  void shouldFlushWhenAWritableFrameBecomesATable() {
    long fresh = guest.newTable();
    guest.machine.poke(fresh + ENTRY, 8, DATA + 0x3000 | ALL);
    guest.machine.foreignWrite(guest.entryGpa(WINDOW + 0x5000, 1), 8, fresh | ALL);
    guest.store(WINDOW + 0x5800, 0);
    guest.machine.foreignWrite(guest.entryGpa(1L << 30, 2), 8, fresh | ALL);
    int before = guest.machine.flushes;
    assertThat(guest.read((1L << 30) + (X & 0x1F_FFFF))).isEqualTo(DATA + 0x3000);
    assertThat(guest.machine.flushes).isEqualTo(before + 1);
    guest.store(WINDOW + 0x5000 + ENTRY, DATA + 0x4000 | ALL);
    guest.machine.invlpg((1L << 30) + (X & 0x1F_FFFF));
    assertThat(guest.read((1L << 30) + (X & 0x1F_FFFF))).isEqualTo(DATA + 0x4000);
  }

  @Test
  void shouldNotLetATableThatIsAlsoShadowedHigherGoOutOfStep() {
    // The page directory is reached as a leaf table too, through an entry that names it.
    long directory = guest.entryGpa(X, 2) & -0x1000L;
    guest.machine.poke(guest.entryGpa(1L << 30, 2), 8, directory | ALL);
    guest.map(WINDOW + 0x1000, directory, ALL);
    guest.start();
    guest.read((1L << 30) + 0x2000);
    guest.store(WINDOW + 0x1000 + 64, 0);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
  }

  @Test
  void shouldThrowUnsynchronisedPagesAwayWithTheirParent() {
    remap(DATA + 0x1000);
    guest.machine.mmu.unprotect(guest.entryGpa(X, 2) >>> 12);
    assertThat(guest.statistics().mmuUnsync).isZero();
    guest.machine.invlpg(X);
    assertThat(guest.read(X)).isEqualTo(DATA + 0x1000);
  }
}
