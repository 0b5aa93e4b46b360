package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.memory.TableFrames;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Rules of single pages in the tables that the hypervisor builds, in every form of these. */
class PageRulesTest {
  private static final @Hpa long BACKING = 1L << 32;
  private static final long GIB = 1L << 30;
  private static final long MIB2 = 1L << 21;
  private static final @Gpa long PAGE = MIB2 + 0x5000;
  private static final @Gpa long ROM = 3 * GIB;
  private static final long WRITE = EptViolation.ACC_WRITE;

  private final FakeSlots slots = new FakeSlots().add(0, 2 * GIB, SlotMap.RAM, BACKING, 30)
      .add(ROM, MIB2, SlotMap.READ_ONLY, BACKING + 2 * GIB, 21);
  private final HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, 4096, 1 << 19);
  private final TableFrames frames = new TableFrames(memory);

  private EptTables tables(EptOptions options) {
    return new EptTables(memory, frames, slots, EptCapabilities.ALL, 30, options);
  }

  private static EptOptions form(int bits) {
    return EptOptions.DEFAULT.withLevels((bits & 1) != 0 ? 5 : 4).withModeBasedExecute((bits & 2) != 0)
        .withExceptions((bits & 4) != 0);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
  void shouldFillInEveryFormOfTheTables(int bits) {
    EptOptions options = form(bits);
    EptTables tables = tables(options);
    assertThat(EptPointer.levels(tables.eptPointer(true))).isEqualTo(options.levels());
    long suppress = options.exceptions() ? EptEntry.SUPPRESS_VE : 0;
    assertThat(tables.entry(PAGE)).as("not present").isEqualTo(suppress);
    tables.violation(PAGE, EptViolation.ACC_READ);
    long rights = options.modeBasedExecute() ? EptEntry.RIGHTS_BY_MODE : EptEntry.RIGHTS;
    assertThat(tables.entry(PAGE))
        .isEqualTo(BACKING | rights | suppress | EptEntry.PAGE_SIZE | (EptMemoryType.WB | EptMemoryType.IPAT) << 3);
    tables.split(PAGE, 12);
    assertThat(tables.entry(PAGE))
        .isEqualTo(BACKING + PAGE | rights | suppress | (EptMemoryType.WB | EptMemoryType.IPAT) << 3);
    tables.unmap(PAGE, 1);
    assertThat(tables.entry(PAGE)).isEqualTo(suppress);
    tables.zapAll();
    assertThat(tables.tables()).isEqualTo(1);
    assertThat(tables.entry(PAGE)).isEqualTo(suppress);
    tables.dispose();
    assertThat(frames.available()).isEqualTo((1 << 19) / 4096);
  }

  @Test
  void shouldKeepPagesSmallAroundARuleAndLargeElsewhere() {
    EptTables tables = tables(EptOptions.DEFAULT);
    tables.rules().setAccess(PAGE, 1, EptEntry.READ, false);
    for (@Gpa long gpa : new long[] {PAGE, MIB2, 0, GIB}) {
      tables.violation(gpa, EptViolation.ACC_READ);
    }
    assertThat(new int[] {tables.pageShift(PAGE), tables.pageShift(MIB2), tables.pageShift(0), tables.pageShift(GIB)})
        .containsExactly(12, 12, 21, 30);
    assertThat(tables.entry(PAGE) & EptEntry.RIGHTS).isEqualTo(EptEntry.READ);
    tables.rules().clear(0, GIB);
    for (@Gpa long gpa = MIB2; gpa < 2 * MIB2; gpa += 4096) {
      tables.violation(gpa, EptViolation.ACC_READ);
    }
    assertThat(tables.collapse(MIB2, MIB2)).isTrue();
    assertThat(tables.pageShift(PAGE)).isEqualTo(21);
  }

  /** Rights of the rule, kind of slot, access, what the exit is. */
  @ParameterizedTest
  @CsvSource({"1, 2, 6", "1, 4, 6", "1, 1, 1", "5, 2, 6", "5, 4, 1", "3, 2, 1", "3, 4, 6", "0, 1, 6", "4, 1, 6",
      "4, 4, 1"})
  void shouldTellWhatARuleForbidsFromWhatIsSpurious(long rights, long access, int result) {
    EptTables tables = tables(EptOptions.DEFAULT);
    tables.rules().setAccess(PAGE, 1, rights, false);
    assertThat(EptTables.result(tables.violation(PAGE, access))).as("first touch")
        .isEqualTo(rights == 0 ? result : EptTables.FIXED);
    assertThat(EptTables.result(tables.violation(PAGE, access))).isEqualTo(result);
    tables.zapAll();
    assertThat(EptTables.result(tables.violation(PAGE, access))).as("rules outlive zaps")
        .isEqualTo(rights == 0 ? result : EptTables.FIXED);
    assertThat(tables.entry(PAGE) & EptEntry.RIGHTS).isEqualTo(rights);
  }

  @Test
  void shouldNotGiveARuleMoreThanTheSlotHas() {
    EptTables tables = tables(EptOptions.DEFAULT);
    tables.rules().setAccess(ROM, 1, EptEntry.RIGHTS, false);
    tables.violation(ROM, EptViolation.ACC_READ);
    assertThat(tables.entry(ROM) & EptEntry.RIGHTS).isEqualTo(EptEntry.READ | EptEntry.EXECUTE);
    assertThat(tables.violation(ROM, WRITE)).isEqualTo(EptTables.READ_ONLY);
  }

  @Test
  void shouldLetOnlyChosenPagesRaiseExceptionsPresentOrNot() {
    EptTables tables = tables(EptOptions.DEFAULT.withExceptions(true));
    tables.rules().setAccess(PAGE, 2 * 4096, EptEntry.READ, true);
    tables.rules().setAccess(PAGE + 2 * 4096, 4096, 0, true);
    assertThat(tables.entry(PAGE)).as("not touched yet, so that it exits").isEqualTo(EptEntry.SUPPRESS_VE);
    assertThat(tables.entry(PAGE + 2 * 4096)).as("absent by rule").isZero();
    tables.violation(PAGE, EptViolation.ACC_READ);
    tables.violation(PAGE + 3 * 4096, EptViolation.ACC_READ);
    assertThat(tables.entry(PAGE) & EptEntry.SUPPRESS_VE).isZero();
    assertThat(tables.entry(PAGE + 3 * 4096) & EptEntry.SUPPRESS_VE).isNotZero();
  }

  @Test
  void shouldShowAnotherPageAndFollowItsRule() {
    EptTables tables = tables(EptOptions.DEFAULT);
    tables.violation(PAGE, EptViolation.ACC_READ);
    tables.rules().redirect(PAGE, 0x7123);
    assertThat(EptEntry.address(tables.entry(PAGE))).isEqualTo(BACKING + 0x7000);
    assertThat(tables.rules().shown(PAGE + 0x10)).isEqualTo(0x7010);
    assertThat(tables.rules().shown(PAGE + 0x1010)).isEqualTo(PAGE + 0x1010);
    tables.rules().clear(PAGE, 1);
    assertThat(EptEntry.address(tables.entry(PAGE))).isEqualTo(BACKING + PAGE);
    assertThatThrownBy(() -> tables.rules().redirect(PAGE, 2 * GIB)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldDivideAPageAndLoseTheDivisionWhileItsFirstWriteIsLogged() {
    EptTables tables = tables(EptOptions.DEFAULT);
    tables.rules().divide(PAGE);
    tables.violation(PAGE, EptViolation.ACC_READ);
    assertThat(tables.entry(PAGE) & (EptEntry.SUB_PAGE_WRITE | EptEntry.RIGHTS))
        .isEqualTo(EptEntry.SUB_PAGE_WRITE | EptEntry.READ | EptEntry.EXECUTE);
    assertThat(tables.violation(PAGE, WRITE)).isEqualTo(EptTables.SUB_PAGE);
    tables.writeProtect(PAGE, 1);
    assertThat(tables.entry(PAGE) & EptEntry.SUB_PAGE_WRITE).as("a granted write would pass unseen").isZero();
    assertThat(tables.violation(PAGE, WRITE)).isEqualTo(EptTables.FIXED);
    assertThat(tables.entry(PAGE) & EptEntry.SUB_PAGE_WRITE).isNotZero();
  }

  @Test
  void shouldGrowSubPageTablesOnMissesAndKeepVectors() {
    SubPageTables subPages = new SubPageTables(memory, frames);
    subPages.set(PAGE, 0x5);
    assertThat(SubPageTable.result(SubPageTable.lookup(memory, subPages.pointer(), PAGE)))
        .isEqualTo(SubPageTable.MISSED);
    subPages.set(PAGE + 4096, 0x2);
    assertThat(subPages.fill(PAGE)).isTrue();
    assertThat(subPages.tables()).isEqualTo(4);
    int[] granted = {SubPageTable.GRANTED, SubPageTable.DENIED, SubPageTable.GRANTED, SubPageTable.DENIED};
    for (int i = 0; i < granted.length; i++) {
      assertThat(SubPageTable.result(SubPageTable.lookup(memory, subPages.pointer(), PAGE + 128 * i)))
          .isEqualTo(granted[i]);
    }
    assertThat(SubPageTable.result(SubPageTable.lookup(memory, subPages.pointer(), PAGE + 4096 + 128)))
        .as("of the page beside it").isEqualTo(SubPageTable.GRANTED);
    subPages.set(PAGE, 0);
    assertThat(SubPageTable.result(SubPageTable.lookup(memory, subPages.pointer(), PAGE)))
        .isEqualTo(SubPageTable.DENIED);
    assertThat(subPages.get(PAGE + 4096)).isEqualTo(2);
  }

  @Test
  void shouldLoadSubPagesInPlaceOfAllThatThereAre() throws IOException {
    SubPageTables subPages = new SubPageTables(memory, frames);
    @Hpa long pointer = subPages.pointer();
    int free = frames.available();
    subPages.set(PAGE, 0x5);
    ByteArrayOutputStream saved = new ByteArrayOutputStream();
    subPages.save(new DataOutputStream(saved));
    subPages.fill(PAGE);
    subPages.set(PAGE, 0);
    subPages.set(PAGE + 4096, 0x2);

    subPages.load(new DataInputStream(new ByteArrayInputStream(saved.toByteArray())));

    assertThat(subPages.pointer()).isEqualTo(pointer);
    assertThat(subPages.get(PAGE)).isEqualTo(0x5);
    assertThat(subPages.get(PAGE + 4096)).isZero();
    assertThat(SubPageTable.result(SubPageTable.lookup(memory, pointer, PAGE))).isEqualTo(SubPageTable.MISSED);
    assertThat(frames.available()).isEqualTo(free);
    ByteArrayOutputStream again = new ByteArrayOutputStream();
    subPages.save(new DataOutputStream(again));
    assertThat(again.toByteArray()).isEqualTo(saved.toByteArray());
  }
}
