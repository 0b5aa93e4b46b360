package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.ALL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.PagingContext;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Two vCPUs of one guest, which share the shadow pages. */
class ManyProcessorsTest {
  private static final long X = 0x40_0000;
  private static final long DATA = 0x40_0000;

  private final PagingContext otherHardware = new PagingContext();
  private TestGuest guest;
  private ShadowMmu other;
  private int otherFlushes;

  @BeforeEach
  void startTwo() {
    guest = TestGuest.longMode(TestGuest.everything());
    guest.map(X, DATA, ALL);
    guest.start();
    other = new ShadowMmu(guest.machine.pages, otherHardware, () -> otherFlushes++);
    other.loadRoot(guest.machine.state, true);
    otherFlushes = 0;
  }

  @Test
  void shouldShareTheRoot() {
    assertThat(otherHardware.root).isEqualTo(guest.machine.hardware.root);
  }

  @Test
  void shouldFlushAllWhenAnEntryLosesRights() {
    guest.write(X);
    guest.machine.mmu.writeProtect(DATA >>> 12);
    assertThat(otherFlushes).isEqualTo(1);
  }

  @Test
  void shouldLoadTheRootAgainForAllWhenItIsThrownAway() {
    guest.write(X);
    guest.machine.mmu.unprotect(guest.machine.state.cr3 >>> 12);
    assertThat(otherHardware.root).isEqualTo(guest.machine.hardware.root);
    assertThat(otherFlushes).isEqualTo(1);
    guest.write(X);
    assertThat(guest.machine.pages.inUse()).isEqualTo(4);
  }

  @Test
  void shouldFlushTheOthersOnInvlpgOfAnUnsynchronisedEntry() {
    guest.map(1L << 39, guest.entryGpa(X, 1) & -0x1000L, ALL);
    guest.write(X);
    guest.store((1L << 39) + (guest.entryGpa(X, 1) & 0xFFF), DATA + 0x1000 | ALL);
    otherFlushes = 0;
    guest.machine.invlpg(X);
    assertThat(otherFlushes).isEqualTo(1);
  }
}
