package dev.gnomon.vmm.lockstep;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/**
 * Random guests that edit their own page tables, run in every mode: what they could see must not depend on how memory
 * is virtualized.
 */
class LockstepTest {
  @Property(tries = 60)
  void shouldRunTheSameInAllModesWhenTheGuestSynchronisesItsEdits(
      @ForAll @Size(min = 100, max = 300) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration,
      @ForAll @IntRange(min = 1, max = 2) int crowd) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      Lockstep.check(new PagingProgram(PagingProgram.Kind.SYNCHRONISED, crowd, seeds), configuration);
    }
  }

  @Property(tries = 40)
  void shouldRunTheSameInAllModesWhenTheGuestUsesSeveralPcids(
      @ForAll @Size(min = 100, max = 300) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration,
      @ForAll @IntRange(min = 1, max = 2) int crowd, @ForAll boolean globals) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      Lockstep.check(new PagingProgram(globals ? PagingProgram.Kind.GLOBAL_PCIDS : PagingProgram.Kind.PCIDS, crowd,
          seeds), configuration);
    }
  }

  @Property(tries = 40)
  void shouldRunTheSameInAllModesWhenTheGuestHasFiveLevels(
      @ForAll @Size(min = 100, max = 300) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration,
      @ForAll @IntRange(min = 1, max = 2) int crowd) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      Lockstep.check(new PagingProgram(PagingProgram.Kind.FIVE_LEVELS, crowd, seeds), configuration);
    }
  }

  @Property(tries = 40)
  void shouldRunTheSameInAllModesWhenTheGuestUsesProtectionKeys(
      @ForAll @Size(min = 100, max = 300) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration,
      @ForAll @IntRange(min = 1, max = 2) int crowd) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      Lockstep.check(new PagingProgram(PagingProgram.Kind.KEYS, crowd, seeds), configuration);
    }
  }

  @Property(tries = 60)
  void shouldRunProtectedModeTheSameInAllModes(
      @ForAll @Size(min = 100, max = 300) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration,
      @ForAll ProtectedModeTables.Paging paging) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      Lockstep.check(new ProtectedModeProgram(paging, seeds), configuration);
    }
  }
}
