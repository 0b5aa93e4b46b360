package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.A;
import static dev.gnomon.shadow.TestGuest.ALL;
import static dev.gnomon.shadow.TestGuest.D;
import static dev.gnomon.shadow.TestGuest.P;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.shadow.ShadowAudit.Invariant;
import dev.gnomon.shadow.ShadowAudit.Violation;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each invariant is broken by hand, and the audit must name it. */
class ShadowAuditTest {
  private static final long X = 0x40_0000;
  private static final long DATA = 0x40_0000;
  private static final long DEVICE_X = X + 0x1000;
  private static final long DEVICE = 0x100_0000;
  private static final long TABLE_X = X + 0x2000;
  private static final long CLEAN_X = X + 0x3000;
  private static final long LARGE_X = 0x4000_0000;
  private static final long SUPERVISOR_X = X + 0x4000;

  private TestGuest guest;
  private ShadowAudit audit;

  @BeforeEach
  void fillSomeEntries() {
    guest = TestGuest.longMode(new ShadowOptions(true, false, true, 128, false));
    guest.map(X, DATA, ALL | D);
    guest.map(DEVICE_X, DEVICE, ALL);
    guest.map(TABLE_X, guest.entryGpa(X, 1) & -0x1000L, ALL);
    guest.map(CLEAN_X, DATA + 0x3000, ALL);
    guest.map(SUPERVISOR_X, DATA + 0x4000, P);
    guest.mapLarge(LARGE_X, DATA, ALL);
    guest.start();
    for (long gva : new long[] {X, DEVICE_X, LARGE_X}) {
      guest.write(gva);
    }
    for (long gva : new long[] {TABLE_X, CLEAN_X, SUPERVISOR_X}) {
      guest.read(gva);
    }
    audit = new ShadowAudit(guest.machine.pages);
    assertThat(audit.check()).isEmpty();
  }

  private void change(long gva, LongUnaryOperator edit) {
    ShadowPage page = guest.leafPage(gva);
    int index = ShadowPte.index(gva, page.level());
    guest.machine.pages.write(page, index, edit.applyAsLong(guest.machine.pages.read(page, index)));
  }

  private void assertNamed(Invariant invariant) {
    assertThat(audit.check()).map(Violation::invariant).contains(invariant);
  }

  @Test
  void shouldNameAWritableMappingOfASynchronisedTable() {
    change(TABLE_X, spte -> spte | ShadowPte.W | ShadowPte.MMU_WRITABLE | ShadowPte.D);
    assertNamed(Invariant.I1);
    assertThat(audit.check().orElseThrow().toString())
        .contains("I1 broken at entry 2 of sp gen 0", "MMU_WRITABLE", "no write right");
  }

  @Test
  void shouldNameARightThatTheGuestDoesNotGrant() {
    change(SUPERVISOR_X, spte -> spte | ShadowPte.U);
    assertNamed(Invariant.I2);
  }

  @Test
  void shouldNameAMappingOfTheWrongFrame() {
    change(X, spte -> spte + HostMemory.FRAME_SIZE);
    assertNamed(Invariant.I2);
  }

  @Test
  void shouldNameALinkToATableWithMoreRights() {
    long pde = guest.entryGpa(X, 2);
    guest.machine.poke(pde, 8, guest.machine.read(pde, 8) & ~TestGuest.U);
    assertNamed(Invariant.I2);
  }

  @Test
  void shouldNameAnEntryWithoutAccessedFlag() {
    long pte = guest.entryGpa(CLEAN_X, 1);
    guest.machine.poke(pte, 8, guest.machine.read(pte, 8) & ~A);
    assertNamed(Invariant.I3);
  }

  @Test
  void shouldNameAWritableEntryOfACleanPage() {
    change(CLEAN_X, spte -> spte | ShadowPte.W | ShadowPte.MMU_WRITABLE);
    assertNamed(Invariant.I3);
  }

  @Test
  void shouldNameAnUnsynchronisedPageOfAHigherLevel() {
    guest.leafPage(LARGE_X).unsync = true;
    assertNamed(Invariant.I4);
  }

  @Test
  void shouldNameAMissingMarkAboveAnUnsynchronisedPage() {
    guest.leafPage(X).unsync = true;
    assertNamed(Invariant.I4);
  }

  @Test
  void shouldNameAWriteRightWithoutItsSoftwareBits() {
    change(X, spte -> spte & ~ShadowPte.MMU_WRITABLE);
    assertNamed(Invariant.I5);
    change(X, spte -> (spte | ShadowPte.MMU_WRITABLE) & ~ShadowPte.HOST_WRITABLE);
    assertNamed(Invariant.I5);
  }

  @Test
  void shouldNameALeafThatIsNotInTheReverseMap() {
    ShadowPage page = guest.leafPage(X);
    guest.machine.pages.rmap.remove(page, ShadowPte.index(X, 1), DATA >>> 12);
    assertNamed(Invariant.I6);
  }

  @Test
  void shouldNameAReverseMapEntryWithoutALeaf() {
    change(X, spte -> 0);
    assertNamed(Invariant.I6);
  }

  @Test
  void shouldNameALinkThatItsChildDoesNotKnow() {
    ShadowPage child = guest.leafPage(X);
    child.parents = ShadowPage.NONE;
    assertNamed(Invariant.I6);
  }

  @Test
  void shouldNameALargeMappingOfATable() {
    change(LARGE_X, spte -> spte & ~(ShadowPte.W | ShadowPte.MMU_WRITABLE));
    assertThat(audit.check()).isEmpty();
    change(LARGE_X, spte -> spte | ShadowPte.W | ShadowPte.MMU_WRITABLE);
    guest.machine.pages.getPage(DATA + 0x8000 >>> 12, Role.child(guest.machine.mmu.roots[0].role, 1, false,
        ShadowAccess.ALL, X));
    assertThat(audit.check()).as("making the table took the right away").isEmpty();
    change(LARGE_X, spte -> spte | ShadowPte.W | ShadowPte.MMU_WRITABLE);
    // The table's own frame is written through the large mapping as well, so that only an unsynchronised table leaves
    // I7 alone broken.
    guest.machine.pages.first(DATA + 0x8000 >>> 12).unsync = true;
    assertNamed(Invariant.I7);
  }

  @Test
  void shouldNameALargeMappingAcrossSlots() {
    guest.machine.slots.remove((DATA >>> 12) + 9);
    assertNamed(Invariant.I7);
  }

  @Test
  void shouldNameAPageOfAnotherRole() {
    guest.machine.mmu.state.cr0 ^= ControlRegister.CR0_WP;
    assertNamed(Invariant.I8);
  }

  @Test
  void shouldNameACurrentMarkerOverMemory() {
    change(DEVICE_X, spte -> ShadowPte.mmio(DATA >>> 12, ShadowAccess.ALL, guest.machine.slots.generation));
    assertNamed(Invariant.I9);
    change(DEVICE_X, spte -> ShadowPte.mmio(DATA >>> 12, ShadowAccess.ALL, guest.machine.slots.generation - 1));
    assertThat(audit.check()).as("a stale marker means nothing").isEmpty();
  }

  @Test
  void shouldNameACurrentMarkerThatTheGuestDoesNotMap() {
    change(DEVICE_X, spte -> ShadowPte.mmio((DEVICE >>> 12) + 1, ShadowAccess.ALL, guest.machine.slots.generation));
    assertNamed(Invariant.I9);
  }

  @Test
  void shouldRunAfterEveryOperationWhenAskedFor() {
    TestGuest audited = TestGuest.longMode(TestGuest.plain());
    audited.map(X, DATA, ALL);
    audited.start();
    audited.read(X);
    ShadowPage page = audited.leafPage(X);
    audited.machine.pages.write(page, ShadowPte.index(X, 1), audited.spte(X) | ShadowPte.W);
    assertThatIllegalStateException().isThrownBy(() -> audited.machine.mmu.invlpg(0))
        .withMessageStartingWith("shadow audit: I3 broken at entry");
  }
}
