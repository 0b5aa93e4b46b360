package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The walker over a second stage that maps every address to itself, reads a fixed number of entries, and refuses what a
 * test says.
 */
class TwoDimensionalWalkTest {
  private static final long ALL = PageTables.P | PageTables.RW | PageTables.US;
  private static final long GVA = 0x4060_3123L;
  private static final long PAGE = 0x4000_0000L;

  private static final class Stage implements SecondStage {
    final List<String> seen = new ArrayList<>();
    int levels = 4;
    int shift = 12;
    int rights = Translation.READABLE | Translation.STAGE_WRITABLE | Translation.EXECUTABLE | Translation.DIRTY;
    long refusedPage = -1;
    int refusedAccess;
    int guestRights = -1;

    @Override
    public long translate(long gpa, long gva, int access, Translation out) {
      String kind = (access & TABLE_UPDATE) != 0 ? " update" : (access & TABLE) != 0 ? " table" : " final";
      seen.add(Long.toHexString(gpa) + kind);
      return answer(gpa, access, out);
    }

    @Override
    public long peek(long gpa, long gva, int access, Translation out, WalkObserver steps) {
      if (steps != null) {
        steps.step(WalkObserver.Dimension.EPT, 1, gpa, 0, 0);
      }
      return answer(gpa, access, out);
    }

    private long answer(long gpa, int access, Translation out) {
      out.references += levels;
      if ((access & TABLE) == 0) {
        guestRights = out.rights;
      }
      if ((gpa & -4096) == refusedPage && (access & refusedAccess) == refusedAccess) {
        out.exitReason = 48;
        out.exitGpa = gpa;
        return Status.EXIT;
      }
      out.pageShift = shift;
      out.rights = rights;
      out.memoryType = 6;
      return gpa;
    }
  }

  private final PagingContext paging = new PagingContext();
  private final Translation out = new Translation();
  private final Stage stage = new Stage();
  private PageTables tables;
  private PageWalker walker;

  @BeforeEach
  void fourLevels() {
    use(PagingContext.LONG4, 1);
  }

  private void use(int mode, int level) {
    tables = new PageTables(paging, mode);
    tables.map(GVA, PAGE, level, ALL | PageTables.A | PageTables.D);
    walker = new PageWalker(tables.memory, paging, stage);
  }

  @ParameterizedTest
  @CsvSource({"3,1,4,24", "3,2,4,19", "3,3,4,14", "3,1,3,19", "3,2,3,15", "3,3,3,11", "3,1,2,14", "3,2,2,11", "3,3,2,8",
      "2,1,4,14", "2,2,4,9", "1,1,4,14", "1,2,4,9"})
  void shouldCountReferencesOfBothDimensions(int mode, int level, int stageLevels, int references) {
    use(mode, level);
    stage.levels = stageLevels;
    assertThat(walker.translate(GVA, Access.READ, out)).isPositive();
    assertThat(out.references).isEqualTo(references);
  }

  @Test
  void shouldCountOnlyTheSecondStageWithoutPaging() {
    paging.mode = PagingContext.NONE;
    assertThat(walker.translate(0x5000, Access.READ, out)).isEqualTo(0x5000);
    assertThat(out.references).isEqualTo(4);
    assertThat(out.guestReferences).isZero();
    assertThat(stage.guestRights & (Translation.USER | Translation.WRITABLE | Translation.EXECUTABLE))
        .isEqualTo(Translation.USER | Translation.WRITABLE | Translation.EXECUTABLE);
  }

  @Test
  void shouldTakeTheSmallerPageAndTheCommonRights() {
    use(PagingContext.LONG4, 2);
    stage.rights = Translation.READABLE | Translation.EXECUTABLE | Translation.DIRTY;
    walker.translate(GVA, Access.READ, out);
    assertThat(out.pageShift).isEqualTo(12);
    assertThat(out.guestPageShift).isEqualTo(21);
    int guest = Translation.WRITABLE | Translation.USER;
    assertThat(out.rights).isEqualTo(guest | Translation.READABLE | Translation.EXECUTABLE | Translation.DIRTY);
    stage.shift = 30;
    stage.rights = Translation.READABLE | Translation.STAGE_WRITABLE;
    walker.translate(GVA, Access.READ, out);
    assertThat(out.pageShift).isEqualTo(21);
    assertThat(out.rights).isEqualTo(guest | Translation.READABLE | Translation.STAGE_WRITABLE);
  }

  @Test
  void shouldExitOnReadingAnEntryBeforeTheEntrySpeaks() {
    tables.set(GVA, 1, 0);
    stage.refusedPage = tables.entryAddress(GVA, 1) & -4096;
    assertThat(walker.translate(GVA, Access.READ, out)).isEqualTo(Status.EXIT);
    assertThat(out.exitGpa).isEqualTo(tables.entryAddress(GVA, 1));
  }

  @Test
  void shouldFaultBeforeTheFinalAddressExits() {
    tables.set(GVA, 1, PAGE | PageTables.P | PageTables.A);
    stage.refusedPage = PAGE;
    assertThat(walker.translate(GVA, Access.USER, out)).isEqualTo(Status.FAULT);
    assertThat(walker.translate(GVA, Access.READ, out)).isEqualTo(Status.EXIT);
    assertThat(out.exitGpa).isEqualTo(PAGE | 0x123);
  }

  @Test
  void shouldFaultBeforeAnUpdateExits() {
    tables.set(GVA, 1, PAGE | PageTables.P);
    stage.refusedPage = tables.entryAddress(GVA, 1) & -4096;
    stage.refusedAccess = SecondStage.TABLE_UPDATE;
    assertThat(walker.translate(GVA, Access.USER, out)).isEqualTo(Status.FAULT);
    assertThat(walker.translate(GVA, Access.READ, out)).isEqualTo(Status.EXIT);
    assertThat(tables.get(GVA, 1)).isEqualTo(PAGE | PageTables.P);
  }

  @Test
  void shouldNotUpdateWhatIsSetAlready() {
    stage.refusedAccess = SecondStage.TABLE_UPDATE;
    for (int level = 1; level <= 4; level++) {
      tables.set(GVA, level, tables.get(GVA, level) | PageTables.A);
    }
    assertThat(walker.translate(GVA, Access.WRITE, out)).isPositive();
    assertThat(stage.seen).noneMatch(step -> step.endsWith("update"));
  }

  @Test
  void shouldPassEntriesThenUpdatesThenTheFinalAddress() {
    tables.set(GVA, 1, PAGE | ALL);
    walker.translate(GVA, Access.WRITE, out);
    String[] at = new String[5];
    for (int level = 1; level <= 4; level++) {
      at[level] = Long.toHexString(tables.entryAddress(GVA, level));
    }
    assertThat(stage.seen).containsExactly(at[4] + " table", at[3] + " table", at[2] + " table", at[1] + " table",
        at[4] + " update", at[3] + " update", at[2] + " update", at[1] + " update",
        Long.toHexString(PAGE | 0x123) + " final");
    assertThat(out.references).as("updates read nothing anew").isEqualTo(24);
  }

  @Test
  void shouldTellTheGuestsRightsToTheSecondStage() {
    tables.set(GVA, 1, PAGE | PageTables.P | PageTables.US | PageTables.NX);
    walker.translate(GVA, Access.READ, out);
    int three = Translation.USER | Translation.WRITABLE | Translation.EXECUTABLE;
    assertThat(stage.guestRights & three).isEqualTo(Translation.USER);
  }

  @Test
  void shouldPeekTheStepsOfBothDimensions() {
    List<String> steps = new ArrayList<>();
    Translation peeked = new Translation();
    walker.peek(GVA, Access.READ, peeked, (dimension, level, gpa, hpa, entry) -> steps.add(dimension + " " + level));
    assertThat(steps)
        .containsExactly("EPT 1", "GUEST 4", "EPT 1", "GUEST 3", "EPT 1", "GUEST 2", "EPT 1", "GUEST 1", "EPT 1");
    assertThat(stage.seen).isEmpty();
  }

  @Test
  void shouldExitFromAPdpteLoadWithoutLinearAddress() {
    use(PagingContext.PAE, 1);
    stage.refusedPage = 0x3000;
    stage.refusedAccess = SecondStage.NO_LINEAR;
    long[] registers = {1, 2, 3, 4};
    assertThat(walker.loadPdptes(0x3000, registers, out)).isEqualTo(Status.EXIT);
    assertThat(registers).containsExactly(1, 2, 3, 4);
  }
}
