package dev.gnomon.vmm.lockstep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.ept.EptEntry;
import dev.gnomon.ept.EptOptions;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.EptViews;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/**
 * Random guests while a hypervisor takes rights from random pages, divides them into sub-pages and moves the processor
 * among views: what is forbidden is emulated, so that the guest must not be able to tell.
 */
class PageRulesLockstepTest {
  private static final int SLICE = 400;
  private static final long[] RIGHTS = {0, EptEntry.READ, EptEntry.READ | EptEntry.WRITE,
      EptEntry.READ | EptEntry.EXECUTE, EptEntry.EXECUTE, EptEntry.READ | EptEntry.USER_EXECUTE,
      EptEntry.READ | EptEntry.WRITE | EptEntry.EXECUTE};

  @Property(tries = 25)
  void shouldRunTheSameWhateverTheRulesOfItsPages(@ForAll @Size(min = 60,
      max = 200) List<@IntRange(max = 1 << 24) Integer> steps, @ForAll @IntRange(max = 15) int configuration,
      @ForAll long seed) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      check(new PagingProgram(PagingProgram.Kind.SYNCHRONISED, 1, seeds), configuration, seed);
    }
  }

  @Property(tries = 25)
  void shouldRunProtectedModeTheSameWhateverTheRulesOfItsPages(
      @ForAll @Size(min = 60, max = 200) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = 15) int configuration, @ForAll ProtectedModeTables.Paging paging, @ForAll long seed) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      check(new ProtectedModeProgram(paging, seeds), configuration, seed);
    }
  }

  private static void check(GuestProgram program, int configuration, long seed) {
    Lockstep.Outcome reference = Lockstep.run(VmOptions.of(Mode.NATIVE), program);
    EptOptions ept = EptOptions.DEFAULT.withLevels((configuration & 1) != 0 ? 5 : 4)
        .withModeBasedExecute((configuration & 2) != 0).withExceptions((configuration & 4) != 0).withViews(2);
    VmOptions options = VmOptions.of(Mode.EPT).withEptAccessedDirty((configuration & 8) != 0).withEpt(ept);
    Vm vm = Lockstep.boot(new VmBuilder(options.withMemoryBytes(Lockstep.MEMORY)), program);
    Random random = new Random(seed);
    RunResult result = null;
    for (long run = 0; run < Lockstep.BUDGET && (result == null || result.end() == RunResult.End.BUDGET);
        run += SLICE) {
      change(vm.eptViews(), random);
      result = vm.run(SLICE);
    }
    assertThat(Lockstep.outcome(vm, result)).as("%s", options).isEqualTo(reference);
  }

  static void change(EptViews views, Random random) {
    int view = random.nextInt(views.count());
    @Gpa long page = random.nextInt((int) (Lockstep.MEMORY / GuestProgram.PAGE)) * GuestProgram.PAGE;
    if (page < GuestProgram.CODE && page >= 0xA0000) {
      return;
    }
    switch (random.nextInt(6)) {
      case 0, 1 -> views.setAccess(view, page, GuestProgram.PAGE * (1 + random.nextInt(40)),
          RIGHTS[random.nextInt(RIGHTS.length)], false);
      case 2 -> views.protectSubPages(view, page, random.nextInt());
      case 3 -> views.setAccess(view, GuestProgram.CODE, GuestProgram.PAGE,
          RIGHTS[random.nextInt(RIGHTS.length)], false);
      case 4 -> views.clearRules(view, 0, Lockstep.MEMORY);
      default -> views.select(0, view);
    }
  }
}
