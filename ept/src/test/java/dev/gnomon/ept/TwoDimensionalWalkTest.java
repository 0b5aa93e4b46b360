package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PageWalker;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.WalkObserver.Dimension;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The guest's walk over EPT: reference counts, rights of pages that hold guest tables, and the order of guest faults
 * and exits.
 */
class TwoDimensionalWalkTest {
  private static final int[] OPERATIONS = {Access.READ, Access.WRITE, Access.FETCH};

  @ParameterizedTest
  @CsvSource({
      "LONG4,  12, 12, 24", "LONG4,  21, 12, 19", "LONG4,  30, 12, 14",
      "LONG4,  12, 21, 19", "LONG4,  21, 21, 15", "LONG4,  30, 21, 11",
      "LONG4,  12, 30, 14", "LONG4,  21, 30, 11", "LONG4,  30, 30, 8",
      "LONG5,  12, 12, 29", "LONG5,  21, 12, 24", "LONG5,  30, 12, 19",
      "LONG5,  12, 21, 23", "LONG5,  21, 21, 19", "LONG5,  30, 21, 15",
      "LONG5,  12, 30, 17", "LONG5,  21, 30, 14", "LONG5,  30, 30, 11",
      "PAE,    12, 12, 14", "PAE,    21, 12, 9",
      "PAE,    12, 21, 11", "PAE,    21, 21, 7",
      "PAE,    12, 30, 8",  "PAE,    21, 30, 5",
      "LEGACY, 12, 12, 14", "LEGACY, 22, 12, 9",
      "LEGACY, 12, 21, 11", "LEGACY, 22, 21, 7",
      "LEGACY, 12, 30, 8",  "LEGACY, 22, 30, 5",
      "NONE,   12, 12, 4",  "NONE,   12, 21, 3", "NONE, 12, 30, 2"})
  void shouldCountReferencesOfBothDimensions(String mode, int guestShift, int eptShift, int references) {
    GuestFixture guest =
        new GuestFixture(List.of("NONE", "LEGACY", "PAE", "LONG4", "LONG4_KEYS", "LONG5").indexOf(mode), guestShift,
        eptShift);
    for (int flags = 0; flags < 4; flags++) {
      EptWalker stage = guest.ept.walker(EptCapabilities.ALL, (flags & 1) != 0, null, (flags & 2) != 0);
      PageWalker walker = guest.walker(stage);
      for (int i = 0; i < 3; i++) {
        long hpa = walker.translate(guest.gva, Access.READ, guest.out);
        assertThat(hpa).isEqualTo(HostMemory.VM_DRAM_BASE + (guest.finalGpa() & (1L << eptShift) - 1));
        assertThat(guest.out.references).isEqualTo(references);
        assertThat(guest.out.gpa).isEqualTo(guest.finalGpa());
        assertThat(guest.out.pageShift).isEqualTo(mode.equals("NONE") ? eptShift : Math.min(guestShift, eptShift));
      }
      int[] steps = new int[2];
      walker.peek(guest.gva, Access.READ, guest.out, (dimension, level, gpa, hpa, entry) ->
          steps[dimension.ordinal()]++);
      int guestLevels = mode.equals("NONE") ? 0 : guest.topLevel - guest.leafLevel + 1;
      assertThat(steps[Dimension.GUEST.ordinal()]).isEqualTo(guestLevels);
      assertThat(steps[0] + steps[1]).isEqualTo(references).isEqualTo(guest.out.references);
    }
  }

  record TableRow(int level, int eptShift, int operation) {
    GuestFixture guest() {
      return new GuestFixture(PagingContext.LONG4, EptEntry.SHIFT_4K, eptShift);
    }
  }

  static Stream<TableRow> tableRows() {
    List<TableRow> rows = new ArrayList<>();
    for (int level = 1; level <= 4; level++) {
      for (int shift : EptFixture.SHIFTS) {
        for (int operation : OPERATIONS) {
          rows.add(new TableRow(level, shift, operation));
        }
      }
    }
    return rows.stream();
  }

  private static void shouldViolate(TableRow row, GuestFixture guest, boolean accessedDirty, long access,
      long permissions) {
    long hpa = guest.walker(guest.ept.walker(EptCapabilities.ALL, accessedDirty))
        .translate(guest.gva, row.operation, guest.out);
    assertThat(hpa).isEqualTo(Status.EXIT);
    assertThat(guest.out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
    assertThat(EptViolation.toString(guest.out.exitQualification))
        .isEqualTo(EptViolation.toString(EptViolation.GVA_IS_VALID | access | permissions));
    assertThat(guest.out.exitGpa).isEqualTo(guest.entryGpa(row.level));
    assertThat(guest.out.gva).isEqualTo(guest.gva);
  }

  private static void shouldSucceed(TableRow row, GuestFixture guest, boolean accessedDirty) {
    assertThat(guest.walker(guest.ept.walker(EptCapabilities.ALL, accessedDirty))
        .translate(guest.gva, row.operation, guest.out)).isPositive();
  }

  private static final long RD = EptViolation.ACC_READ;
  private static final long RD_WR = EptViolation.ACC_READ | EptViolation.ACC_WRITE;

  @ParameterizedTest
  @MethodSource("tableRows")
  void shouldViolateByReadWhenGuestTableIsNotMapped(TableRow row) {
    for (boolean accessedDirty : new boolean[] {false, true}) {
      GuestFixture guest = row.guest();
      guest.eptRights(row.level, "---");
      shouldViolate(row, guest, accessedDirty, accessedDirty ? RD_WR : RD, 0);
      guest.eptRights(row.level, "--x");
      shouldViolate(row, guest, accessedDirty, accessedDirty ? RD_WR : RD, EptViolation.PROT_EXEC);
    }
  }

  @ParameterizedTest
  @MethodSource("tableRows")
  void shouldViolateByWriteOnlyWhereReadOnlyGuestTableMustBeUpdated(TableRow row) {
    for (String rights : new String[] {"r--", "r-x"}) {
      long permissions = EptViolation.PROT_READ | (rights.equals("r-x") ? EptViolation.PROT_EXEC : 0);
      GuestFixture guest = row.guest();
      guest.eptRights(row.level, rights);
      long set = guest.get(row.level);
      boolean leaf = row.level == 1;
      guest.put(row.level, set & ~PageTableEntry.A & ~(leaf ? PageTableEntry.D : 0));
      shouldViolate(row, guest, false, RD_WR, permissions);
      assertThat(guest.get(row.level) & PageTableEntry.A).isZero();
      guest.put(row.level, leaf ? set & ~PageTableEntry.D : set);
      if (leaf && row.operation == Access.WRITE) {
        shouldViolate(row, guest, false, RD_WR, permissions);
      } else {
        shouldSucceed(row, guest, false);
      }
      guest.put(row.level, set);
      shouldSucceed(row, guest, false);
      shouldViolate(row, guest, true, RD_WR, permissions);
    }
  }

  @ParameterizedTest
  @MethodSource("tableRows")
  void shouldDirtyEptLeafOfGuestTableByMereReadWhenFlagsAreOn(TableRow row) {
    GuestFixture guest = row.guest();
    guest.eptRights(row.level, "rw-");
    shouldSucceed(row, guest, true);
    int leaf = EptEntry.level(row.eptShift);
    for (int level = EptEntry.LEVELS; level >= leaf; level--) {
      assertThat(guest.ept.get(guest.table(row.level), level) & (EptEntry.ACCESSED | EptEntry.DIRTY))
          .isEqualTo(EptEntry.ACCESSED | (level == leaf ? EptEntry.DIRTY : 0));
      assertThat(guest.ept.get(guest.finalGpa(), level) & (EptEntry.ACCESSED | EptEntry.DIRTY))
          .isEqualTo(EptEntry.ACCESSED | (level == leaf && row.operation == Access.WRITE ? EptEntry.DIRTY : 0));
    }
  }

  @ParameterizedTest
  @MethodSource("tableRows")
  void shouldMisconfigureOnPageOfGuestTable(TableRow row) {
    GuestFixture guest = row.guest();
    guest.eptRights(row.level, "-wx");
    assertThat(guest.walker(guest.ept.walker(EptCapabilities.ALL, true)).translate(guest.gva, row.operation, guest.out))
        .isEqualTo(Status.EXIT);
    assertThat(guest.out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
    assertThat(guest.out.exitGpa).isEqualTo(guest.entryGpa(row.level));
  }

  @ParameterizedTest
  @MethodSource("tableRows")
  void shouldPreferExitOnReadingAnEntryToFaultsBelowAndFaultsToExitOnTheFinalAddress(TableRow row) {
    GuestFixture guest = row.guest();
    guest.ept.change(guest.finalGpa(), EptEntry.level(row.eptShift), EptEntry.RIGHTS, 0);
    guest.put(row.level, guest.get(row.level) & ~PageTableEntry.P);
    PageWalker walker = guest.walker(guest.ept.walker(EptCapabilities.ALL, true));
    assertThat(walker.translate(guest.gva, row.operation, guest.out)).as("not-present entry, before the final address")
        .isEqualTo(Status.FAULT);
    assertThat(guest.out.errorCode).isEqualTo(row.operation);
    guest.put(row.level, guest.get(row.level) | PageTableEntry.P | 1L << 51);
    assertThat(walker.translate(guest.gva, row.operation, guest.out)).isEqualTo(Status.FAULT);
    assertThat(guest.out.errorCode).isEqualTo(row.operation | PageFaultCode.P | PageFaultCode.RSVD);
    guest.eptRights(row.level, "---");
    assertThat(walker.translate(guest.gva, row.operation, guest.out)).as("the entry cannot even be read")
        .isEqualTo(Status.EXIT);
    assertThat(guest.out.exitGpa).isEqualTo(guest.entryGpa(row.level));
  }

  @Test
  void shouldPreferGuestRightsToViolationOfTheFinalAddressAndOfTheUpdate() {
    GuestFixture guest = new GuestFixture(PagingContext.LONG4, 12, 12);
    guest.ept.change(guest.finalGpa(), 1, EptEntry.RIGHTS, 0);
    guest.eptRights(1, "r--");
    guest.put(1, guest.get(1) & ~(PageTableEntry.RW | PageTableEntry.A | PageTableEntry.D));
    PageWalker walker = guest.walker(guest.ept.walker(EptCapabilities.ALL, false));
    assertThat(walker.translate(guest.gva, Access.WRITE | Access.USER, guest.out)).isEqualTo(Status.FAULT);
    assertThat(guest.out.errorCode).isEqualTo(PageFaultCode.P | PageFaultCode.W | PageFaultCode.U);
    assertThat(walker.translate(guest.gva, Access.READ, guest.out)).isEqualTo(Status.EXIT);
    assertThat(guest.out.exitGpa).as("the update comes before the final access").isEqualTo(guest.entryGpa(1));
  }

  static Stream<Integer> guestRights() {
    return Stream.iterate(0, bits -> bits < 8, bits -> bits + 1);
  }

  @ParameterizedTest
  @MethodSource("guestRights")
  void shouldReportGuestRightsInQualificationOfFinalAccess(int bits) {
    GuestFixture guest = new GuestFixture(PagingContext.LONG4, 21, 12);
    long clear = ((bits & 1) != 0 ? 0 : PageTableEntry.US) | ((bits & 2) != 0 ? 0 : PageTableEntry.RW);
    guest.put(3, guest.get(3) & ~clear | ((bits & 4) != 0 ? PageTableEntry.NX : 0));
    guest.ept.change(guest.finalGpa(), 1, EptEntry.RIGHTS, 0);
    guest.walker(guest.ept.walker(EptCapabilities.ALL, false)).translate(guest.gva, Access.READ, guest.out);
    assertThat(guest.out.exitQualification >>> 9).isEqualTo(bits);
  }

  @Test
  void shouldReportUserWritableExecutableWithoutPaging() {
    GuestFixture guest = new GuestFixture(PagingContext.NONE, 12, 12);
    guest.ept.change(guest.finalGpa(), 1, EptEntry.RIGHTS, 0);
    guest.walker(guest.ept.walker(EptCapabilities.ALL, true)).translate(guest.gva, Access.WRITE, guest.out);
    assertThat(EptViolation.toString(guest.out.exitQualification))
        .isEqualTo("ACC_WRITE|GVA_IS_VALID|GVA_TRANSLATED|GVA_USER|GVA_WRITABLE");
  }

  @Test
  void shouldLoadPdptesAsReadsWithoutLinearAddress() {
    GuestFixture guest = new GuestFixture(PagingContext.PAE, 12, 12);
    guest.ept.map(0x7000, HostMemory.VM_DRAM_BASE + 0x7000, 12);
    guest.ept.memory.write64(HostMemory.VM_DRAM_BASE + 0x7020, guest.table(2) | PageTableEntry.P);
    long[] registers = new long[4];
    PageWalker walker = guest.walker(guest.ept.walker(EptCapabilities.ALL, true));
    assertThat(walker.loadPdptes(0x7020, registers, guest.out)).isEqualTo(Status.OK);
    assertThat(registers[0]).isEqualTo(guest.table(2) | PageTableEntry.P);
    assertThat(guest.ept.get(0x7000, 1) & (EptEntry.ACCESSED | EptEntry.DIRTY)).isEqualTo(EptEntry.ACCESSED);
    guest.ept.put(0x7000, 1, 0);
    assertThat(walker.loadPdptes(0x7020, registers, guest.out)).isEqualTo(Status.EXIT);
    assertThat(guest.out.exitQualification).isEqualTo(EptViolation.ACC_READ);
    assertThat(guest.out.exitGpa).isEqualTo(0x7020);
  }

  @ParameterizedTest
  @CsvSource({"rwx,true,true,true", "r--,true,false,false", "r-x,true,false,true", "rw-,true,true,false",
      "--x,false,false,true"})
  void shouldCombineStageRightsWithTheGuests(String rights, boolean read, boolean write, boolean fetch) {
    GuestFixture guest = new GuestFixture(PagingContext.LONG4, 12, 12);
    guest.ept.change(guest.finalGpa(), 1, EptEntry.RIGHTS, EptFixture.rights(rights));
    PageWalker walker = guest.walker(guest.ept.walker(EptCapabilities.ALL, false));
    assertThat(walker.translate(guest.gva, Access.READ, guest.out) >= 0).isEqualTo(read);
    assertThat(walker.translate(guest.gva, Access.WRITE, guest.out) >= 0).isEqualTo(write);
    assertThat(walker.translate(guest.gva, Access.FETCH, guest.out) >= 0).isEqualTo(fetch);
    walker.translate(guest.gva, fetch ? Access.FETCH : Access.READ, guest.out);
    assertThat((guest.out.rights & Translation.READABLE) != 0).isEqualTo(read);
    assertThat((guest.out.rights & Translation.STAGE_WRITABLE) != 0).isEqualTo(write);
    assertThat((guest.out.rights & Translation.EXECUTABLE) != 0).isEqualTo(fetch);
    assertThat(guest.out.rights & Translation.WRITABLE).as("the guest's own").isNotZero();
  }

  @Test
  void shouldNameStepsOfBothDimensionsInOrder() {
    GuestFixture guest = new GuestFixture(PagingContext.LONG4, 30, 30);
    StringBuilder steps = new StringBuilder();
    guest.walker(guest.ept.walker(EptCapabilities.ALL, true))
        .peek(guest.gva, Access.WRITE, guest.out, (dimension, level, gpa, hpa, entry) ->
        steps.append(dimension == Dimension.EPT ? EptEntry.name(level) : "guest " + level).append(" 0x")
            .append(Long.toHexString(gpa)).append('\n'));
    String table4 = Long.toHexString(guest.entryGpa(4));
    String table3 = Long.toHexString(guest.entryGpa(3));
    String last = Long.toHexString(guest.finalGpa());
    assertThat(steps.toString()).isEqualTo("EPT PML4E 0x" + table4 + "\nEPT PDPTE 0x" + table4 + "\nguest 4 0x" + table4
        + "\nEPT PML4E 0x" + table3
        + "\nEPT PDPTE 0x" + table3 + "\nguest 3 0x" + table3 + "\nEPT PML4E 0x" + last + "\nEPT PDPTE 0x" + last
            + '\n');
    assertThat(guest.ept.get(guest.finalGpa(), 3) & EptEntry.DIRTY).as("peek sets nothing").isZero();
  }
}
