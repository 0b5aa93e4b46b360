package dev.gnomon.shadow;

import static dev.gnomon.shadow.TestGuest.A;
import static dev.gnomon.shadow.TestGuest.ALL;
import static dev.gnomon.shadow.TestGuest.D;
import static dev.gnomon.shadow.TestGuest.P;
import static dev.gnomon.shadow.TestGuest.U;
import static dev.gnomon.shadow.TestGuest.W;
import static dev.gnomon.shadow.TestGuest.everything;
import static dev.gnomon.shadow.TestGuest.fault;
import static dev.gnomon.shadow.TestGuest.plain;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.TableFrames;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PagingContext;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ShadowMmuTest {
  private static final long GVA = 0x40_0000;
  private static final long DATA = 0x40_0000;
  private static final long DEVICE = 0x100_0000;
  private static final long WINDOW = 0x60_0000;

  private static TestGuest mapped(ShadowOptions options, long flags) {
    TestGuest guest = TestGuest.longMode(options);
    guest.map(GVA, DATA, flags);
    return guest.start();
  }

  @Test
  void shouldFillOneEntryOnFirstReadAndSetAccessed() {
    TestGuest guest = mapped(plain(), ALL);
    assertThat(guest.read(GVA + 8)).isEqualTo(DATA + 8);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.FIXED);
    assertThat(guest.entry(GVA, 1)).isEqualTo(DATA | ALL | A);
    assertThat(ShadowPte.isWritable(guest.spte(GVA))).as("a clean page stays read-only").isFalse();
    assertThat(guest.statistics().pfFixed).isEqualTo(1);
    assertThat(guest.statistics().pages4k()).isEqualTo(1);
    assertThat(guest.statistics().mmuCacheMiss).isEqualTo(4);
  }

  @Test
  void shouldWidenTheEntryAndSetDirtyOnFirstWrite() {
    TestGuest guest = mapped(plain(), ALL);
    guest.read(GVA);
    guest.write(GVA);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.FIXED);
    assertThat(guest.entry(GVA, 1)).isEqualTo(DATA | ALL | A | D);
    assertThat(ShadowPte.isWritable(guest.spte(GVA))).isTrue();
    assertThat(guest.statistics().pages4k()).isEqualTo(1);
  }

  @Test
  void shouldTakeNoExitOnceTheEntryFits() {
    TestGuest guest = mapped(plain(), ALL);
    guest.write(GVA);
    guest.machine.flushAll();
    guest.write(GVA);
    assertThat(guest.machine.exits).isZero();
  }

  @Test
  void shouldInjectTheGuestsOwnFaultsWithTheProcessorsCode() {
    TestGuest guest = mapped(plain(), P);
    assertThat(guest.access(GVA, Access.WRITE | Access.USER)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W
        | PageFaultCode.U));
    assertThat(guest.access(GVA + 0x1000, Access.FETCH)).isEqualTo(fault(PageFaultCode.ID));
    assertThat(guest.statistics().pfGuest).isEqualTo(2);
    assertThat(guest.entry(GVA, 1)).as("a walk that faults sets no A").isEqualTo(DATA | P);
  }

  @Test
  void shouldReportASpuriousFaultWhenTheEntryIsRightAlready() {
    TestGuest guest = mapped(plain(), ALL);
    guest.write(GVA);
    assertThat(guest.machine.mmu.handleFault(GVA, PageFaultCode.P | PageFaultCode.W,
        0)).isEqualTo(FaultResult.SPURIOUS);
    assertThat(guest.statistics().pfSpurious).isEqualTo(1);
  }

  @Test
  void shouldInstallAnMmioMarkerAndThenEmulateWithoutAWalk() {
    TestGuest guest = TestGuest.longMode(plain());
    guest.map(GVA, DEVICE, ALL);
    guest.start();
    assertThat(guest.write(GVA + 4)).isEqualTo(DEVICE + 4);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
    assertThat(guest.machine.mmu.fault.reason).isEqualTo(FaultInfo.Reason.MMIO);
    assertThat(ShadowPte.isMmio(guest.spte(GVA))).isTrue();
    assertThat(guest.write(GVA + 8)).isEqualTo(DEVICE + 8);
    assertThat(guest.machine.exits).isEqualTo(1);
    assertThat(guest.statistics().pfMmioSpteCreated).isEqualTo(1);
    assertThat(guest.statistics().pfEmulate).isEqualTo(2);
  }

  @Test
  void shouldRefuseUserAccessToADevicePageThatAMarkerStandsFor() {
    TestGuest guest = TestGuest.longMode(plain());
    guest.map(GVA, DEVICE, P | W);
    guest.start();
    guest.write(GVA);
    assertThat(guest.userRead(GVA)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.U));
  }

  @Test
  void shouldDropStaleMarkersWhenTheSlotsChange() {
    TestGuest guest = mapped(plain(), ALL);
    guest.machine.slots.remove(DATA >>> 12);
    guest.machine.mmu.zapGfn(DATA >>> 12);
    guest.machine.mmu.slotsChanged();
    guest.write(GVA);
    assertThat(ShadowPte.isMmio(guest.spte(GVA))).isTrue();
    guest.machine.slots.restore(DATA >>> 12);
    guest.machine.mmu.slotsChanged();
    guest.write(GVA);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.FIXED);
    assertThat(ShadowPte.isPresent(guest.spte(GVA))).isTrue();
  }

  @Test
  void shouldThrowEverythingAwayWhenTheGenerationInTheMarkersWraps() {
    TestGuest guest = mapped(plain(), ALL);
    guest.write(GVA);
    guest.machine.slots.generation = 1 << ShadowPte.GENERATION_BITS;
    guest.machine.mmu.slotsChanged();
    assertThat(guest.statistics().pages4k()).isZero();
    guest.write(GVA);
  }

  @Test
  void shouldEmulateWritesToAReadOnlySlotAndReadItDirectly() {
    TestGuest guest = TestGuest.longMode(plain());
    guest.map(GVA, TestSlots.RAM_BYTES, ALL);
    guest.start();
    guest.read(GVA);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.FIXED);
    guest.write(GVA);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
    assertThat(guest.machine.mmu.fault.reason).isEqualTo(FaultInfo.Reason.READ_ONLY_SLOT);
    guest.machine.flushAll();
    guest.read(GVA);
    assertThat(guest.machine.exits).isZero();
  }

  @Test
  void shouldInjectNotPresentWhenATableLiesOutsideMemory() {
    TestGuest guest = TestGuest.longMode(plain());
    guest.machine.poke(guest.entryGpa(GVA, 3), 8, DEVICE | ALL);
    guest.start();
    assertThat(guest.machine.shadowAccess(GVA, Access.WRITE)).isEqualTo(fault(PageFaultCode.W));
    guest.machine.state.cr3 = DEVICE;
    guest.machine.load(true);
    assertThat(guest.machine.shadowAccess(GVA, Access.USER)).isEqualTo(fault(PageFaultCode.U));
  }

  @Test
  void shouldLoadTheRootAgainWhenItsTableBecomesMemory() {
    TestGuest guest = mapped(plain(), ALL);
    long root = guest.machine.state.cr3 >>> 12;
    guest.machine.slots.remove(root);
    guest.machine.mmu.zapGfn(root);
    assertThat(guest.machine.shadowAccess(GVA, Access.READ)).isEqualTo(fault(0));
    guest.machine.slots.restore(root);
    guest.machine.mmu.slotsChanged();
    guest.read(GVA);
  }

  @Test
  void shouldEmulateAWriteToAnUpperTableAndDropItsEntry() {
    TestGuest guest = TestGuest.longMode(everything());
    guest.map(GVA, DATA, ALL);
    guest.map(WINDOW, guest.entryGpa(GVA, 2) & -0x1000L, ALL);
    guest.start();
    guest.read(GVA);
    long table = guest.newTable();
    guest.machine.poke(table + ((GVA >>> 12 & 511) << 3), 8, DATA + 0x5000 | ALL);
    guest.store(WINDOW + (guest.entryGpa(GVA, 2) & 0xFFF), table | ALL);
    assertThat(guest.machine.mmu.fault.reason).isEqualTo(FaultInfo.Reason.PAGE_TABLE);
    assertThat(guest.statistics().mmuPteWrite).isEqualTo(1);
    assertThat(guest.statistics().mmuPdeZapped).isEqualTo(1);
    guest.machine.invlpg(GVA);
    assertThat(guest.read(GVA)).isEqualTo(DATA + 0x5000);
  }

  @Test
  void shouldEmulateAWriteToALeafTableWithoutUnsync() {
    TestGuest guest = TestGuest.longMode(plain());
    guest.map(GVA, DATA, ALL);
    guest.map(WINDOW, guest.entryGpa(GVA, 1) & -0x1000L, ALL);
    guest.start();
    guest.write(GVA);
    guest.store(WINDOW + (guest.entryGpa(GVA, 1) & 0xFFF), DATA + 0x1000 | ALL);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
    assertThat(guest.machine.mmu.fault.writesOwnTable).isFalse();
    guest.machine.invlpg(GVA);
    assertThat(guest.write(GVA)).isEqualTo(DATA + 0x1000);
  }

  @Test
  void shouldTellWhenAWriteHitsATableOfItsOwnWalk() {
    TestGuest guest = TestGuest.longMode(plain());
    long table = guest.entryGpa(GVA, 1) & -0x1000L;
    guest.map(GVA, table, ALL);
    guest.start();
    guest.write(GVA);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.EMULATE);
    assertThat(guest.machine.mmu.fault.writesOwnTable).isTrue();
  }

  @Test
  void shouldTakeAFrameForMemoryAfterThreeWritesThatNobodyUsed() {
    TestGuest guest = mapped(everything(), ALL);
    guest.read(GVA);
    long pde = guest.entryGpa(GVA, 2);
    for (int i = 0; i < 3; i++) {
      guest.machine.foreignWrite(pde + 8 * (i + 1), 8, 0);
    }
    assertThat(guest.statistics().mmuFlooded).isEqualTo(1);
    assertThat(guest.machine.pages.isShadowedTable(pde >>> 12)).isFalse();
    guest.read(GVA);
  }

  @Test
  void shouldForgetTheFloodWhenTheTableIsUsedBetweenWrites() {
    TestGuest guest = mapped(everything(), ALL);
    long pde = guest.entryGpa(GVA, 2);
    for (int i = 0; i < 6; i++) {
      guest.machine.mmu.zapGfn(DATA >>> 12);
      guest.read(GVA);
      guest.machine.foreignWrite(pde + 8, 8, i << 12);
    }
    assertThat(guest.statistics().mmuFlooded).isZero();
  }

  @Test
  void shouldTakeAFrameForMemoryOnAMisalignedOrShortWrite() {
    for (int[] write : new int[][] {{1, 1}, {2, 2}, {4, 8}, {0, 2}}) {
      TestGuest guest = mapped(everything(), ALL);
      guest.read(GVA);
      guest.machine.foreignWrite(guest.entryGpa(GVA, 1) + 16 + write[0], write[1], 0);
      assertThat(guest.statistics().mmuFlooded).as("offset %d size %d", write[0], write[1]).isEqualTo(1);
    }
    TestGuest guest = mapped(everything(), ALL);
    guest.read(GVA);
    guest.machine.foreignWrite(guest.entryGpa(GVA, 1) + 16, 1, 0);
    assertThat(guest.statistics().mmuFlooded).as("one byte at the start of an entry is a flag").isZero();
  }

  @Test
  void shouldFollowAForeignWriteThatCrossesTables() {
    TestGuest guest = TestGuest.longMode(plain());
    long first = guest.entryGpa(GVA, 1) & -0x1000L;
    long second = guest.entryGpa(GVA + (2 << 20), 1) & -0x1000L;
    assertThat(second).isEqualTo(first + 0x1000);
    guest.map(GVA + 0x1F_F000, DATA, ALL);
    guest.map(GVA + 0x20_0000, DATA + 0x1000, ALL);
    guest.start();
    guest.read(GVA + 0x1F_F000);
    guest.read(GVA + 0x20_0000);
    guest.machine.poke(second - 8, 8, 0);
    guest.machine.poke(second, 8, 0);
    guest.machine.mmu.guestWrote(second - 8, 16);
    guest.machine.flushAll();
    assertThat(guest.read(GVA + 0x1F_F000)).isEqualTo(fault(0));
    assertThat(guest.read(GVA + 0x20_0000)).isEqualTo(fault(0));
  }

  @Test
  void shouldReuseOneOfThreePreviousRootsWithoutMakingPages() {
    TestGuest guest = mapped(plain(), ALL);
    long[] roots = {guest.machine.state.cr3, guest.newTable(), guest.newTable(), guest.newTable()};
    guest.read(GVA);
    for (long root : roots) {
      guest.machine.state.cr3 = root;
      guest.start();
    }
    long made = guest.statistics().mmuCacheMiss;
    for (long root : roots) {
      guest.machine.state.cr3 = root;
      assertThat(guest.machine.load(true)).isEqualTo(HardwareFlush.CURRENT_PCID);
    }
    assertThat(guest.statistics().mmuCacheMiss).isEqualTo(made);
    assertThat(guest.machine.mmu.roots).allMatch(root -> root.loaded);
  }

  @Test
  void shouldAskForNoFlushWhenAPcidIsKept() {
    TestGuest guest = mapped(plain(), ALL);
    guest.machine.state.cr4 |= ControlRegister.CR4_PCIDE;
    guest.start();
    long first = guest.machine.state.cr3;
    guest.machine.state.cr3 = guest.newTable() | 1;
    guest.machine.load(false);
    guest.machine.state.cr3 = first;
    assertThat(guest.machine.load(false)).isEqualTo(HardwareFlush.NONE);
    assertThat(guest.machine.hardware.pcid).isZero();
  }

  @Test
  void shouldAskForAFullFlushWhenTheRoleOrTheChecksChange() {
    TestGuest guest = mapped(plain(), ALL);
    guest.machine.state.cr0 ^= ControlRegister.CR0_WP;
    assertThat(guest.machine.load(false)).isEqualTo(HardwareFlush.ALL);
    guest.machine.state.cr0 ^= ControlRegister.CR0_WP;
    guest.machine.load(false);
    guest.machine.state.cr4 ^= ControlRegister.CR4_SMAP;
    assertThat(guest.machine.load(false)).isEqualTo(HardwareFlush.ALL);
  }

  @Test
  void shouldSetTheProcessorsContextForEachMode() {
    TestGuest guest = mapped(plain(), ALL);
    PagingContext hardware = guest.machine.hardware;
    assertThat(hardware.mode).isEqualTo(PagingContext.LONG4);
    assertThat(hardware.wp && hardware.nxe).isTrue();
    assertThat(guest.machine.host.offset(hardware.root)).isGreaterThanOrEqualTo((int) TestSlots.BYTES);
    guest.machine.state.cr4 |= ControlRegister.CR4_SMEP | ControlRegister.CR4_SMAP;
    guest.start();
    assertThat(hardware.smep && hardware.smap).isTrue();
    guest.machine.noPaging();
    guest.start();
    assertThat(hardware.mode).isEqualTo(PagingContext.PAE);
    assertThat(hardware.smep || hardware.smap).as("without paging the guest's SMEP and SMAP do nothing").isFalse();
    assertThat(hardware.pdpte).doesNotContain(0);
    assertThat(guest.machine.shadowAccess(0x1234, Access.FETCH)).isEqualTo(0x1234);
  }

  @Test
  void shouldMapGibibytesOfA2LevelGuestByQuadrants() {
    TestGuest guest = TestGuest.legacy(plain());
    long[] gvas = {0x1000, 0x20_1000, 0x4000_1000, 0x8060_1000L, 0xFFE0_1000L};
    for (int i = 0; i < gvas.length; i++) {
      guest.map(gvas[i], DATA + 0x1000L * i, ALL);
    }
    guest.start();
    for (int i = 0; i < gvas.length; i++) {
      assertThat(guest.write(gvas[i])).isEqualTo(DATA + 0x1000L * i);
      assertThat(Role.quadrant(guest.leafPage(gvas[i]).role())).isEqualTo((int) (gvas[i] >>> 21) & 1);
    }
  }

  @Test
  void shouldDropBothHalvesOfA4MEntry() {
    TestGuest guest = TestGuest.legacy(everything());
    guest.mapLarge(0x40_0000, 0x40_0000, ALL | A | D);
    guest.start();
    guest.read(0x40_0000);
    guest.read(0x60_0000);
    assertThat(guest.statistics().pages2m()).isEqualTo(2);
    guest.machine.foreignWrite(guest.entryGpa(0x40_0000, 2), 4, 0);
    assertThat(guest.statistics().pages2m()).isZero();
    assertThat(guest.statistics().mmuPdeZapped).isEqualTo(2);
  }

  @Test
  void shouldUsePdpteRegistersRatherThanMemory() {
    TestGuest guest = TestGuest.pae(plain());
    guest.map(GVA, DATA, ALL);
    guest.start();
    guest.read(GVA);
    guest.machine.foreignWrite(guest.entryGpa(GVA, 3), 8, 0);
    guest.machine.invlpg(GVA);
    assertThat(guest.read(GVA)).isEqualTo(DATA);
    guest.start();
    assertThat(guest.read(GVA)).isEqualTo(fault(0));
  }

  @Test
  void shouldStayUnderThePageLimitByRecyclingTheOldest() {
    TestGuest guest = TestGuest.longMode(plain().withPageLimit(ShadowOptions.MIN_PAGE_LIMIT));
    for (int i = 0; i < 100; i++) {
      guest.map(GVA + ((long) i << 30), DATA + 0x1000L * i, ALL);
    }
    guest.start();
    for (int i = 0; i < 100; i++) {
      guest.machine.shadowAccess(GVA + ((long) i << 30), Access.READ);
      assertThat(guest.machine.pages.inUse()).isLessThanOrEqualTo(ShadowOptions.MIN_PAGE_LIMIT);
    }
    assertThat(guest.statistics().mmuRecycled).isPositive();
  }

  @Test
  void shouldZapAllAndGoOn() {
    TestGuest guest = mapped(everything(), ALL);
    guest.write(GVA);
    guest.machine.mmu.zapAll();
    assertThat(guest.statistics().pages4k()).isZero();
    assertThat(guest.machine.pages.inUse()).as("the root, loaded again").isEqualTo(1);
    guest.write(GVA);
  }

  @Test
  void shouldUnprotectATableWhoseWritesCannotBeEmulated() {
    TestGuest guest = mapped(plain(), ALL);
    guest.read(GVA);
    long table = guest.entryGpa(GVA, 1) >>> 12;
    assertThat(guest.machine.mmu.unprotect(table)).isTrue();
    assertThat(guest.machine.mmu.unprotect(table)).isFalse();
    guest.read(GVA);
  }

  @Test
  void shouldFaultOnTheNextWriteAfterWriteProtectionForLogging() {
    TestGuest guest = mapped(plain(), ALL);
    guest.write(GVA);
    assertThat(guest.machine.mmu.writeProtect(DATA >>> 12)).isTrue();
    guest.write(GVA);
    assertThat(guest.lastResult()).isEqualTo(FaultResult.FIXED);
  }

  @Test
  void shouldGiveTheWriteRightBackWithoutAWalkWhenNotPaging() {
    TestGuest guest = TestGuest.longMode(plain());
    guest.machine.noPaging();
    guest.start();
    guest.write(DATA);
    guest.machine.mmu.writeProtect(DATA >>> 12);
    guest.write(DATA);
    assertThat(guest.statistics().pfFast).isEqualTo(1);
  }

  @Test
  void shouldDropAllMappingsOfAFrameThatIsMappedVeryOften() {
    TestGuest guest = TestGuest.longMode(new ShadowOptions(true, false, true, 128, false));
    for (int i = 0; i < 1100; i++) {
      guest.map(GVA + 0x1000L * i, DATA, ALL | A);
    }
    guest.start();
    for (int i = 0; i < 1100; i++) {
      assertThat(guest.machine.shadowAccess(GVA + 0x1000L * i, Access.READ)).isEqualTo(DATA);
    }
    assertThat(guest.statistics().maxMmuRmapSize).isEqualTo(1001);
    assertThat(guest.machine.pages.rmap.count(DATA >>> 12, 1)).isLessThan(1000);
    assertThat(new ShadowAudit(guest.machine.pages).check()).isEmpty();
  }

  @Test
  void shouldShowBothWalksSideBySide() {
    TestGuest guest = mapped(plain(), ALL);
    guest.write(GVA);
    ShadowView view = guest.machine.mmu.peek(GVA);
    assertThat(view.guest()).hasSize(4);
    assertThat(view.shadow()).hasSize(4);
    assertThat(view.guestEnd()).isEqualTo("gpa 0x400000 wux");
    assertThat(view.guest().get(3).toString()).startsWith("PTE   @ 0x").contains("wux A D");
    assertThat(view.shadow().get(3).note()).contains("hpa 0x").contains("sp gen 0 gfn");
    long taken = guest.statistics().pfTaken;
    guest.machine.mmu.peek(0x7000_0000_0000L);
    assertThat(guest.statistics().pfTaken).isEqualTo(taken);
  }

  @Test
  void shouldRefuseTooFewTableFrames() {
    HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, 1 << 20, 16 << 12);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new ShadowPages(memory, new TableFrames(memory), new TestSlots(true, new Random(1)), plain()))
        .withMessageContaining("expected more than 32");
    assertThatIllegalArgumentException().isThrownBy(() ->
        plain().withPageLimit(31)).withMessageContaining("expected at least 32");
  }

  @Test
  void shouldKeepRightsOfTheSupervisorAndTheUserApart() {
    TestGuest guest = mapped(plain(), P | W);
    guest.write(GVA);
    assertThat(guest.userRead(GVA)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.U));
    guest.machine.foreignWrite(guest.entryGpa(GVA, 1), 8, DATA | P | U);
    guest.machine.invlpg(GVA);
    assertThat(guest.userRead(GVA)).isEqualTo(DATA);
    assertThat(guest.write(GVA)).isEqualTo(fault(PageFaultCode.P | PageFaultCode.W));
  }
}
