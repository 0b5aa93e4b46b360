package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.memory.TableFrames;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EptTablesTest {
  private static final @Hpa long BACKING = 1L << 32;
  private static final long GIB = 1L << 30;
  private static final long MIB2 = 1L << 21;
  private static final @Gpa long ROM = 3 * GIB;
  private static final @Gpa long DEVICE = 0xFEE0_0000L;

  private final FakeSlots slots = new FakeSlots().add(0, 2 * GIB, SlotMap.RAM, BACKING, 30)
      .add(ROM, 4 * MIB2, SlotMap.READ_ONLY, BACKING + 2 * GIB, 21);
  private final HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, 4096, 1 << 19);
  private final TableFrames frames = new TableFrames(memory);
  private final Translation out = new Translation();
  private EptTables tables = new EptTables(memory, frames, slots, EptCapabilities.ALL, 30);
  private final EptWalker walker = new EptWalker(memory, EptCapabilities.ALL);

  /**
   * Enters the guest until the access succeeds, as a run loop does, and counts the exits; a result other than a fix
   * ends it.
   */
  private long access(@Gpa long gpa, int access) {
    walker.setEptPointer(tables.eptPointer(true));
    for (exits = 0; exits < 10; exits++) {
      long hpa = walker.translate(gpa, gpa, access, out);
      if (hpa != Status.EXIT) {
        return hpa;
      }
      lastResult = out.exitReason == ExitReason.EPT_MISCONFIG ? tables.misconfiguration(out.exitGpa)
          : tables.violation(out.exitGpa, out.exitQualification);
      if ((lastResult & EptTables.INVEPT) != 0) {
        walker.inveptGlobal();
      }
      if (EptTables.result(lastResult) > EptTables.SPURIOUS) {
        exits++;
        return Status.EXIT;
      }
    }
    throw new AssertionError("still exits at 0x" + Long.toHexString(gpa) + ": "
        + EptViolation.toString(out.exitQualification));
  }

  private int exits;
  private int lastResult;

  @ParameterizedTest
  @ValueSource(ints = {12, 21, 30})
  void shouldFillByViolationWithLargestPageAllowed(int limit) {
    tables.setMaxPageShift(limit);
    assertThat(access(0x1234_5678L, Access.READ)).isEqualTo(BACKING + 0x1234_5678L);
    assertThat(exits).isEqualTo(1);
    assertThat(lastResult).isEqualTo(EptTables.FIXED);
    assertThat(out.pageShift).isEqualTo(limit);
    assertThat(tables.pageShift(0x1234_5678L)).isEqualTo(limit);
    assertThat(new long[] {tables.pages4k(), tables.pages2m(), tables.pages1g()})
        .containsExactly(limit == 12 ? 1 : 0, limit == 21 ? 1 : 0, limit == 30 ? 1 : 0);
    assertThat(out.memoryType).isEqualTo(EptMemoryType.WB | EptMemoryType.IPAT);
    assertThat(access(0x1234_5678L, Access.WRITE)).isPositive();
    assertThat(access(0x1234_5678L, Access.FETCH)).isPositive();
    assertThat(exits).isZero();
  }

  @Test
  void shouldUseNoLargerPageThanProcessorSlotOrBackingAllow() {
    EptTables nehalem = new EptTables(memory, frames, slots, EptCapabilities.NEHALEM, 30);
    nehalem.violation(0, EptViolation.ACC_READ);
    assertThat(nehalem.pageShift(0)).isEqualTo(21);
    access(ROM, Access.READ);
    assertThat(out.pageShift).isEqualTo(21);
    slots.add(4 * GIB, GIB, SlotMap.RAM, BACKING + 0x1000, 30).add(5 * GIB, 0x5000, SlotMap.RAM, BACKING, 30);
    access(4 * GIB, Access.READ);
    assertThat(out.pageShift).as("backing not aligned").isEqualTo(12);
    access(5 * GIB, Access.READ);
    assertThat(out.pageShift).as("slot too short").isEqualTo(12);
  }

  @Test
  void shouldMapReadOnlySlotsWithoutWriteAndReportWrites() {
    assertThat(access(ROM + 8, Access.FETCH)).isEqualTo(BACKING + 2 * GIB + 8);
    assertThat(access(ROM + 8, Access.READ)).isPositive();
    assertThat(access(ROM + 8, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(lastResult).isEqualTo(EptTables.READ_ONLY);
    assertThat(out.exitQualification & 0x3F).isEqualTo(EptViolation.ACC_WRITE | EptViolation.PROT_READ
        | EptViolation.PROT_EXEC);
    assertThat(access(ROM + 8, Access.READ)).isPositive();
    assertThat(exits).isZero();
  }

  @Test
  void shouldViolateOnceAndThenMisconfigureForPageWithoutSlot() {
    assertThat(access(DEVICE + 0x20, Access.WRITE)).isEqualTo(Status.EXIT);
    assertThat(out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
    assertThat(lastResult).isEqualTo(EptTables.MMIO);
    for (int i = 0; i < 3; i++) {
      assertThat(access(DEVICE + 0xF0, Access.READ)).isEqualTo(Status.EXIT);
      assertThat(out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
      assertThat(lastResult).isEqualTo(EptTables.MMIO);
    }
    assertThat(tables.mmioMarkers()).isEqualTo(1);
    assertThat(MmioMarker.gpa(tables.entry(DEVICE))).isEqualTo(DEVICE);
    assertThat(tables.pages4k() + tables.pageShift(DEVICE)).as("a marker is no page").isZero();
  }

  @Test
  void shouldRenewMarkerOfOlderSlotsOrReplaceItByThePageThatCame() {
    access(DEVICE, Access.READ);
    slots.touch();
    access(DEVICE, Access.READ);
    assertThat(out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
    assertThat(lastResult).isEqualTo(EptTables.MMIO);
    assertThat(MmioMarker.generation(tables.entry(DEVICE))).isEqualTo(slots.generation());
    assertThat(tables.mmioMarkers()).isEqualTo(2);
    slots.add(DEVICE, MIB2, SlotMap.RAM, BACKING, 12);
    assertThat(access(DEVICE + 8, Access.WRITE)).isEqualTo(BACKING + 8);
    assertThat(lastResult).as("nothing of a marker is cached").isEqualTo(EptTables.FIXED);
  }

  @Test
  void shouldMarkPageWhoseSlotIsGoneAndAskForInvept() {
    access(0, Access.READ);
    slots.remove(0);
    assertThat(tables.violation(0x5000, EptViolation.ACC_READ)).isEqualTo(EptTables.MMIO | EptTables.INVEPT);
    walker.inveptGlobal();
    assertThat(tables.violation(0x5000, EptViolation.ACC_READ)).isEqualTo(EptTables.MMIO);
    assertThat(tables.pages1g()).isZero();
    slots.add(0, GIB, SlotMap.RAM, BACKING, 12);
    access(0x6000, Access.READ);
    slots.remove(0);
    assertThat(tables.violation(0x6000, EptViolation.ACC_READ)).isEqualTo(EptTables.MMIO | EptTables.INVEPT);
  }

  @Test
  void shouldReportEntryThatIsNeitherSoundNorMarker() {
    access(0, Access.READ);
    assertThat(tables.misconfiguration(0)).isEqualTo(EptTables.BAD_ENTRY);
    assertThat(tables.misconfiguration(100 * GIB)).isEqualTo(EptTables.BAD_ENTRY);
    assertThat(tables.misconfiguration(1L << 50)).isEqualTo(EptTables.BAD_ENTRY);
    assertThat(tables.violation(1L << 50, EptViolation.ACC_READ)).isEqualTo(EptTables.MMIO);
  }

  @Test
  void shouldReportSpuriousViolationWhenRightsAreThere() {
    access(0x5000, Access.READ);
    assertThat(tables.violation(0x5000, EptViolation.ACC_WRITE)).isEqualTo(EptTables.SPURIOUS);
  }

  @Test
  void shouldSplitAndCollapseWithTheSameTranslationRightsAndFlags() {
    access(0x4000_5000L, Access.WRITE);
    long before = tables.entry(0x4000_5000L);
    assertThat(tables.split(0x4000_5000L, 12)).isTrue();
    assertThat(tables.splits()).isEqualTo(2);
    assertThat(new long[] {tables.pages4k(), tables.pages2m(), tables.pages1g()}).containsExactly(512, 511, 0);
    for (@Gpa long gpa : new long[] {0x4000_0000L, 0x4000_5008L, 0x401F_FFFFL, 0x4020_0000L, 0x7FFF_FFFFL}) {
      walker.inveptGlobal();
      assertThat(access(gpa, Access.WRITE)).isEqualTo(BACKING + gpa);
      assertThat(exits).isZero();
      assertThat((tables.entry(gpa) ^ before) & ~(EptEntry.ADDRESS_MASK | EptEntry.PAGE_SIZE)).isZero();
    }
    assertThat(tables.split(0x4000_5000L, 12)).as("nothing left to split").isFalse();
    assertThat(tables.split(DEVICE, 12)).as("nothing there").isFalse();
    long held = tables.tables();
    assertThat(tables.collapse(GIB, GIB)).isTrue();
    assertThat(tables.entry(0x4000_5000L)).isEqualTo(before);
    assertThat(tables.tables()).isEqualTo(held - 2);
    assertThat(tables.collapses()).isEqualTo(2);
  }

  @Test
  void shouldCollectFlagsOfAllPagesMerged() {
    access(0, Access.READ);
    tables.clearAccessed(0, GIB);
    tables.split(0x3000, 21);
    walker.inveptGlobal();
    access(5 * MIB2, Access.WRITE);
    assertThat(tables.entry(0) & (EptEntry.ACCESSED | EptEntry.DIRTY)).isZero();
    tables.collapse(0, 1);
    assertThat(tables.pageShift(0)).isEqualTo(30);
    assertThat(tables.entry(0) & (EptEntry.ACCESSED | EptEntry.DIRTY)).isEqualTo(EptEntry.ACCESSED | EptEntry.DIRTY);
  }

  @Test
  void shouldNotCollapseUnequalOrIncompleteTablesOrBeyondLimits() {
    access(0, Access.READ);
    tables.split(0, 12);
    tables.writeProtect(0x7000, 0x1000);
    assertThat(tables.collapse(0, MIB2)).as("unequal rights").isFalse();
    access(0x7000, Access.WRITE);
    tables.setMaxPageShift(12);
    assertThat(tables.collapse(0, MIB2)).as("limit").isFalse();
    tables.setMaxPageShift(21);
    tables.unmap(0x7000, 0x1000);
    walker.inveptGlobal();
    assertThat(tables.collapse(0, MIB2)).as("incomplete").isFalse();
    access(0x7000, Access.READ);
    assertThat(tables.collapse(0, MIB2)).isTrue();
    assertThat(tables.collapse(0, GIB)).as("1 GiB is over the limit").isFalse();
    slots.add(4 * GIB, GIB, SlotMap.RAM, BACKING, 12);
    tables.eagerMap(4 * GIB, MIB2);
    assertThat(tables.collapse(4 * GIB, MIB2)).as("backing in small pieces").isFalse();
  }

  @Test
  void shouldWriteProtectExactlyTheRangeAndWidenAgainByViolation() {
    access(0, Access.WRITE);
    assertThat(tables.writeProtect(0x3123, 0x1000)).isTrue();
    walker.inveptGlobal();
    assertThat(access(0x3000, Access.READ)).isEqualTo(BACKING + 0x3000);
    assertThat(access(0x2FFF, Access.WRITE)).isPositive();
    assertThat(access(0x5000, Access.WRITE)).isPositive();
    assertThat(exits).isZero();
    for (@Gpa long gpa : new long[] {0x3000, 0x4FFF}) {
      assertThat(access(gpa, Access.WRITE)).isEqualTo(BACKING + gpa);
      assertThat(exits).isEqualTo(1);
      assertThat(lastResult).as("rights only grew").isEqualTo(EptTables.FIXED);
    }
    assertThat(tables.writeProtect(3 * GIB, 1)).as("nothing mapped there").isFalse();
    assertThat(tables.writeProtect(0, 2 * GIB)).isTrue();
    assertThat(tables.writeProtect(0, 2 * GIB)).as("done already").isFalse();
  }

  @Test
  void shouldSplitLargerPageWhenFaultMayMapOnlySmallerOnes() {
    access(0, Access.WRITE);
    tables.writeProtect(0, GIB);
    walker.inveptGlobal();
    tables.setMaxPageShift(12);
    assertThat(access(0x5000, Access.WRITE)).isPositive();
    assertThat(lastResult).isEqualTo(EptTables.FIXED | EptTables.INVEPT);
    assertThat(tables.pageShift(0x5000)).isEqualTo(12);
    assertThat(access(0x6000, Access.READ)).isPositive();
    assertThat(exits).isZero();
    access(0x6000, Access.WRITE);
    assertThat(exits).isEqualTo(1);
  }

  @Test
  void shouldClearFlagsSoThatTheNextAccessSetsThemAgain() {
    access(0x5000, Access.WRITE);
    tables.split(0x5000, 12);
    assertThat(tables.clearDirty(0x5000, 1)).isTrue();
    assertThat(tables.clearAccessed(0x6000, 1)).isTrue();
    assertThat(tables.clearDirty(0x5000, 1)).isFalse();
    walker.inveptGlobal();
    assertThat(tables.entry(0x5000) & EptEntry.DIRTY).isZero();
    assertThat(tables.entry(0x6000) & EptEntry.ACCESSED).isZero();
    assertThat(tables.entry(0x7000) & (EptEntry.ACCESSED | EptEntry.DIRTY))
        .isEqualTo(EptEntry.ACCESSED | EptEntry.DIRTY);
    access(0x5000, Access.WRITE);
    access(0x6000, Access.READ);
    assertThat(tables.entry(0x5000) & EptEntry.DIRTY).isNotZero();
    assertThat(tables.entry(0x6000) & EptEntry.ACCESSED).isNotZero();
  }

  @Test
  void shouldUnmapExactlyTheRangeAndFreeItsTables() {
    access(0, Access.READ);
    access(GIB, Access.READ);
    assertThat(tables.unmap(MIB2 + 0x1000, 0x2000)).isTrue();
    assertThat(tables.pageShift(MIB2)).isEqualTo(12);
    assertThat(tables.pageShift(MIB2 + 0x1000)).isZero();
    assertThat(tables.pageShift(MIB2 + 0x2FFF)).isZero();
    assertThat(tables.pageShift(MIB2 + 0x3000)).isEqualTo(12);
    assertThat(tables.unmap(MIB2 + 0x1000, 0x2000)).as("nothing is there").isFalse();
    int free = frames.available();
    assertThat(tables.unmap(0, GIB)).isTrue();
    assertThat(frames.available()).isEqualTo(free + 2);
    assertThat(tables.pages4k() + tables.pages2m()).isZero();
    assertThat(tables.pages1g()).isEqualTo(1);
    assertThat(tables.unmap(0, 1L << 48)).isTrue();
    assertThat(tables.tables()).isEqualTo(1);
  }

  @Test
  void shouldAskForInveptWhenAddressChanges() {
    access(0, Access.READ);
    slots.remove(0).add(0, GIB, SlotMap.RAM, BACKING + GIB, 30);
    assertThat(tables.violation(0, EptViolation.ACC_WRITE)).isEqualTo(EptTables.FIXED | EptTables.INVEPT);
    walker.inveptGlobal();
    assertThat(access(0, Access.READ)).isEqualTo(BACKING + GIB);
  }

  @Test
  void shouldStartOverWhenFramesRunOutButKeepWhatWasMappedInAdvance() {
    HostMemory small = new HostMemory(HostMemory.VM_DRAM_BASE, 4096, 7 * 4096);
    TableFrames few = new TableFrames(small);
    tables = new EptTables(small, few, slots, EptCapabilities.ALL, 12);
    assertThat(tables.eagerMap(ROM, 0x2000)).isEqualTo(EptTables.FIXED);
    assertThat(tables.violation(0, EptViolation.ACC_READ)).isEqualTo(EptTables.FIXED);
    assertThat(tables.violation(MIB2, EptViolation.ACC_READ)).isEqualTo(EptTables.FIXED);
    assertThat(few.available()).isZero();
    assertThat(tables.violation(2 * MIB2, EptViolation.ACC_READ)).isEqualTo(EptTables.FIXED | EptTables.INVEPT);
    assertThat(tables.zaps()).isEqualTo(1);
    assertThat(tables.pageShift(0)).isZero();
    assertThat(tables.pageShift(2 * MIB2)).isEqualTo(12);
    assertThat(tables.pageShift(ROM)).isEqualTo(12);
    assertThat(tables.pageShift(ROM + 0x1000)).isEqualTo(12);
    tables.dispose();
    assertThat(few.available()).isEqualTo(7);
  }

  @Test
  void shouldReportExhaustionWhenEvenAnEmptyStartIsTooLarge() {
    HostMemory tiny = new HostMemory(HostMemory.VM_DRAM_BASE, 4096, 3 * 4096);
    TableFrames few = new TableFrames(tiny);
    tables = new EptTables(tiny, few, slots, EptCapabilities.ALL, 12);
    assertThat(EptTables.result(tables.violation(0, EptViolation.ACC_READ))).isEqualTo(EptTables.NO_FRAMES);
    assertThat(EptTables.result(tables.eagerMap(0, 1))).isEqualTo(EptTables.NO_FRAMES);
    assertThat(EptTables.result(tables.violation(DEVICE, EptViolation.ACC_READ))).as("the marker is only a help")
        .isEqualTo(EptTables.MMIO);
    tables.setMaxPageShift(30);
    assertThat(EptTables.result(tables.violation(0, EptViolation.ACC_READ))).isEqualTo(EptTables.FIXED);
    while (few.allocate() >= 0) {
      assertThat(few.available()).isNotNegative();
    }
    assertThat(tables.writeProtect(0x5000, 1)).as("cannot split").isTrue();
    assertThat(tables.pageShift(0x5000)).as("so it goes").isZero();
    assertThatThrownBy(() -> new EptTables(tiny, few, slots, EptCapabilities.ALL, 12))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("EPT root");
  }

  @Test
  void shouldNeverExitForPagesMappedInAdvance() {
    assertThat(tables.eagerMap(0x10_0000, 0x3000)).isEqualTo(EptTables.FIXED);
    access(MIB2, Access.READ);
    tables.zapAll();
    walker.inveptGlobal();
    for (@Gpa long gpa = 0x10_0000; gpa < 0x10_3000; gpa += 0x800) {
      access(gpa, Access.WRITE);
      assertThat(exits).isZero();
    }
    assertThatThrownBy(() -> tables.eagerMap(ROM + 4 * MIB2 - 0x1000, 0x2000))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("no memory slot");
  }

  @Test
  void shouldRejectImpossibleArguments() {
    assertThatThrownBy(() -> tables.setMaxPageShift(22)).isInstanceOf(IllegalArgumentException.class);
    for (long[] range : new long[][] {{0, 0}, {-4096, 1}, {0, -1}, {1L << 48, 1}, {4096, 1L << 48},
        {Long.MAX_VALUE, Long.MAX_VALUE}}) {
      assertThatThrownBy(() -> tables.unmap(range[0], range[1])).isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("range");
    }
  }
}
