package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.A;
import static dev.gnomon.shadow.TestGuest.ALL;
import static dev.gnomon.shadow.TestGuest.D;
import static dev.gnomon.shadow.TestGuest.NX;
import static dev.gnomon.shadow.TestGuest.P;
import static dev.gnomon.shadow.TestGuest.PS;
import static dev.gnomon.shadow.TestGuest.U;
import static dev.gnomon.shadow.TestGuest.W;
import static dev.gnomon.shadow.TestGuest.everything;
import static dev.gnomon.shadow.TestGuest.fault;
import static dev.gnomon.shadow.TestGuest.plain;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The situations that kvm-unit-tests' {@code access} test knows by name, because shadow MMUs have failed in them, and
 * its table of combinations.
 */
class KvmAccessTest {
  private static final long X = 0x4000_0000;
  private static final long Y = 0x8000_0000L;
  private static final long DATA = 0x40_0000;
  private static final long RESERVED = 1L << 51;
  private static final long USER_WRITE_FAULT = fault(PageFaultCode.P | PageFaultCode.W | PageFaultCode.U);

  static Stream<ShadowOptions> options() {
    return Stream.of(plain(), everything(), everything().withUnsync(false), everything().withLargePages(false),
        everything().withPrefetch(false));
  }

  static Stream<Arguments> sweeps() {
    return Stream.of(plain(), everything()).flatMap(options ->
        Stream.of(true, false).map(large -> Arguments.of(options.withAudit(false), large)));
  }

  private static void setWp(TestGuest guest, boolean on) {
    guest.machine.state.cr0 = on ? guest.machine.state.cr0 | ControlRegister.CR0_WP
        : guest.machine.state.cr0 & ~ControlRegister.CR0_WP;
    guest.machine.load(false);
  }

  private static void edit(TestGuest guest, long gva, int level, long value) {
    guest.machine.foreignWrite(guest.entryGpa(gva, level), 8, value);
    guest.machine.invlpg(gva);
  }

  /** One page directory is reached through entries with different rights: each way needs shadow pages of its own. */
  @ParameterizedTest
  @MethodSource("options")
  void effectiveSpPermissions(ShadowOptions options) {
    TestGuest guest = TestGuest.longMode(options);
    guest.map(X, DATA, ALL);
    guest.map(X + 0x1000, DATA + 0x1000, ALL);
    long directory = guest.entryGpa(X, 2) & -0x1000L;
    guest.machine.poke(guest.entryGpa(Y, 3), 8, directory | P | U);
    guest.machine.poke(guest.entryGpa(3 * X, 3), 8, directory | P | W);
    guest.start();
    assertThat(guest.access(X, Access.USER | Access.WRITE)).isEqualTo(DATA);
    assertThat(guest.access(Y, Access.USER | Access.WRITE)).isEqualTo(USER_WRITE_FAULT);
    assertThat(guest.access(Y, Access.USER)).isEqualTo(DATA);
    assertThat(guest.access(3 * X, Access.USER)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.U));
    assertThat(guest.access(3 * X, Access.WRITE)).isEqualTo(DATA);
    assertThat(guest.access(X + 0x1000, Access.USER | Access.WRITE)).isEqualTo(DATA + 0x1000);
    assertThat(guest.access(Y + 0x1000, Access.WRITE)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
    assertThat(guest.leafPage(X).role()).isNotEqualTo(guest.leafPage(Y).role());
  }

  /**
   * A supervisor write with WP = 0 makes a user page a supervisor page for a while; SMEP must forbid fetching from it
   * all the same.
   */
  @ParameterizedTest
  @MethodSource("options")
  void smepAndNotWp(ShadowOptions options) {
    TestGuest guest = TestGuest.longMode(options);
    guest.map(X, DATA, P | U);
    guest.start();
    setWp(guest, false);
    assertThat(guest.write(X)).isEqualTo(DATA);
    assertThat(guest.access(X, Access.FETCH)).as("no SMEP yet").isEqualTo(DATA);
    guest.machine.state.cr4 |= ControlRegister.CR4_SMEP;
    guest.machine.load(true);
    assertThat(guest.access(X, Access.FETCH)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.ID));
    assertThat(guest.write(X)).isEqualTo(DATA);
    assertThat(guest.access(X, Access.FETCH)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.ID));
    assertThat(guest.access(X, Access.USER | Access.FETCH)).isEqualTo(DATA);
    assertThat(guest.access(X, Access.USER | Access.WRITE)).isEqualTo(USER_WRITE_FAULT);
    assertThat(guest.write(X)).isEqualTo(DATA);
    guest.machine.state.cr4 &= ~ControlRegister.CR4_SMEP;
    guest.machine.load(true);
    assertThat(guest.access(X, Access.FETCH)).isEqualTo(DATA);
  }

  /** The same with SMAP, which no entry can express together with the write: the write is emulated. */
  @ParameterizedTest
  @MethodSource("options")
  void smapAndNotWp(ShadowOptions options) {
    TestGuest guest = TestGuest.longMode(options);
    guest.map(X, DATA, P | U);
    guest.start();
    setWp(guest, false);
    guest.machine.state.cr4 |= ControlRegister.CR4_SMAP;
    guest.machine.load(true);
    assertThat(guest.access(X, Access.WRITE | Access.SMAP_OVERRIDE)).isEqualTo(DATA);
    assertThat(guest.machine.mmu.fault.reason).isEqualTo(FaultInfo.Reason.WP_SMAP);
    assertThat(guest.access(X, Access.WRITE)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
    assertThat(guest.access(X, Access.IMPLICIT | Access.SMAP_OVERRIDE)).isEqualTo(fault(PageFaultCode.P));
    assertThat(guest.access(X, Access.READ)).isEqualTo(fault(PageFaultCode.P));
    assertThat(guest.access(X, Access.SMAP_OVERRIDE)).isEqualTo(DATA);
  }

  /**
   * Two large entries name one page; writing through one with WP = 0 must not hide the first write through the other.
   */
  @ParameterizedTest
  @MethodSource("options")
  void largePteDirtyForNowp(ShadowOptions options) {
    TestGuest guest = TestGuest.longMode(options);
    guest.mapLarge(X, DATA, P | U);
    guest.mapLarge(Y, DATA, ALL);
    guest.start();
    setWp(guest, false);
    guest.read(X);
    guest.write(X);
    assertThat(guest.entry(X, 2) & D).isNotZero();
    guest.read(Y);
    assertThat(guest.entry(Y, 2) & D).isZero();
    guest.write(Y);
    assertThat(guest.entry(Y, 2) & D).isNotZero();
  }

  /** A neighbour of a fault has a reserved bit: prefetching must not change the code that its own access gives. */
  @ParameterizedTest
  @MethodSource("options")
  void pfecOnPrefetchPte(ShadowOptions options) {
    TestGuest guest = TestGuest.longMode(options);
    guest.map(X, DATA, ALL | A);
    guest.map(X + 0x1000, DATA + 0x1000, ALL | A | NX);
    guest.machine.state.efer &= ~ControlRegister.EFER_NXE;
    guest.start();
    guest.read(X);
    assertThat(guest.userRead(X + 0x1000)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.U | PageFaultCode.RSVD));
    guest.machine.state.efer |= ControlRegister.EFER_NXE;
    guest.start();
    guest.read(X);
    assertThat(guest.userRead(X + 0x1000)).isEqualTo(DATA + 0x1000);
    assertThat(guest.access(X + 0x1000, Access.FETCH)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.ID));
  }

  /** A large page is first used read-only under WP = 1, then written with WP = 0 through two addresses in turn. */
  @ParameterizedTest
  @MethodSource("options")
  void corruptHugepageTrigger(ShadowOptions options) {
    TestGuest guest = TestGuest.longMode(options);
    guest.mapLarge(X, DATA, P | U);
    guest.mapLarge(Y, DATA, P | U | W);
    guest.start();
    guest.read(X);
    assertThat(guest.write(X)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
    guest.write(Y);
    setWp(guest, false);
    for (int i = 0; i < 3; i++) {
      assertThat(guest.write(X + 0x3000)).isEqualTo(DATA + 0x3000);
      assertThat(guest.userRead(X + 0x3000)).isEqualTo(DATA + 0x3000);
      assertThat(guest.write(Y + 0x3000)).isEqualTo(DATA + 0x3000);
      assertThat(guest.access(X + 0x3000, Access.USER | Access.WRITE)).isEqualTo(USER_WRITE_FAULT);
    }
    setWp(guest, true);
    assertThat(guest.write(X + 0x3000)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
    assertThat(guest.write(Y + 0x3000)).isEqualTo(DATA + 0x3000);
  }

  @ParameterizedTest
  @MethodSource("options")
  void toggleCr0Wp(ShadowOptions options) {
    TestGuest guest = TestGuest.longMode(options);
    guest.map(X, DATA, P | U);
    guest.start();
    for (int i = 0; i < 4; i++) {
      setWp(guest, false);
      assertThat(guest.write(X)).isEqualTo(DATA);
      setWp(guest, true);
      assertThat(guest.write(X)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
      assertThat(guest.userRead(X)).isEqualTo(DATA);
    }
    assertThat(guest.statistics().mmuCacheMiss).as("two roles, each made once").isLessThanOrEqualTo(10);
  }

  /**
   * Bits of the leaf and of the entry above, kinds of access, and WP, SMEP, SMAP, NXE: every combination, each from an
   * empty entry and once more.
   */
  @ParameterizedTest
  @MethodSource("sweeps")
  void everyCombinationOfBitsAccessesAndRegisters(ShadowOptions options, boolean large) {
    TestGuest guest = TestGuest.longMode(options);
    guest.map(X, DATA, ALL);
    guest.start();
    long[] leafBits = {P, W, U, A, D, NX, RESERVED};
    long[] upperBits = {W, U, NX, A};
    long link = guest.entry(X, 2) & -0x1000L & ~NX;
    int[] accesses = {0, Access.WRITE, Access.FETCH, Access.USER, Access.USER | Access.WRITE, Access.USER
        | Access.FETCH,
        Access.SMAP_OVERRIDE, Access.SMAP_OVERRIDE | Access.WRITE, Access.IMPLICIT | Access.WRITE};
    GuestPagingState state = guest.machine.state;
    for (int registers = 0; registers < 16; registers++) {
      state.cr0 = state.cr0 & ~ControlRegister.CR0_WP | ((registers & 1) != 0 ? ControlRegister.CR0_WP : 0);
      state.cr4 = ControlRegister.CR4_PAE | ((registers & 2) != 0 ? ControlRegister.CR4_SMEP : 0)
          | ((registers & 4) != 0 ? ControlRegister.CR4_SMAP : 0);
      state.efer = state.efer & ~ControlRegister.EFER_NXE | ((registers & 8) != 0 ? ControlRegister.EFER_NXE : 0);
      guest.machine.load(true);
      for (int upper = 0; upper < 1 << upperBits.length; upper++) {
        long upperEntry = P | select(upper, upperBits);
        for (int leaf = 0; leaf < 1 << leafBits.length; leaf++) {
          long leafEntry = DATA | select(leaf, leafBits);
          int level = large ? 2 : 1;
          long first = large ? leafEntry | PS : leafEntry;
          if (!large) {
            guest.machine.foreignWrite(guest.entryGpa(X, 2), 8, link | upperEntry);
          } else {
            guest.machine.foreignWrite(guest.entryGpa(X, 3), 8,
                guest.machine.read(guest.entryGpa(X, 3), 8) & -0x1000L & ~NX | upperEntry);
          }
          for (int access : accesses) {
            edit(guest, X, level, first);
            check(guest, access, first);
            check(guest, access, first);
          }
          for (int access : accesses) {
            check(guest, access, first);
          }
          if (!large) {
            guest.machine.foreignWrite(guest.entryGpa(X, 2), 8, link | ALL);
          }
        }
      }
    }
  }

  private static long select(int chosen, long[] bits) {
    long value = 0;
    for (int i = 0; i < bits.length; i++) {
      value |= (chosen >> i & 1) != 0 ? bits[i] : 0;
    }
    return value;
  }

  private static void check(TestGuest guest, int access, long leafEntry) {
    long expected = guest.machine.nativeAccess(X, access);
    long found = guest.machine.shadowAccess(X, access);
    if (expected != found || !sameEntries(guest)) {
      throw new AssertionError("access 0x" + Integer.toHexString(access) + " leaf 0x" + Long.toHexString(leafEntry)
          + ": native 0x"
          + Long.toHexString(expected) + ", shadow 0x" + Long.toHexString(found) + "\n" + guest.machine.mmu.peek(X));
    }
  }

  private static boolean sameEntries(TestGuest guest) {
    for (int level = 2; level <= 3; level++) {
      long gpa = guest.entryGpa(X, level);
      if (guest.machine.read(gpa, 8) != guest.machine.nativeMemory.read64(gpa)) {
        return false;
      }
    }
    long leaf = TestGuest.FIRST_TABLE + 3 * 0x1000 + ((X >>> 12 & 511) << 3);
    return guest.machine.read(leaf, 8) == guest.machine.nativeMemory.read64(leaf);
  }
}
