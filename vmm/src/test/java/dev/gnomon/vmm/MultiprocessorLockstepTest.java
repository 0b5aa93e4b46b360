package dev.gnomon.vmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.shadow.ShadowOptions;
import dev.gnomon.vmm.memory.BackingSize;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/**
 * Random guests of several processors that edit the page tables they share: registers, memory with A and D flags, and
 * time are the same on every machine.
 */
class MultiprocessorLockstepTest {
  private static final int REPEAT = Integer.getInteger("gnomon.lockstep.repeat", 1);
  private static final int OTHER_SEEDS = 0x9E3779B1;

  @Property(tries = 25)
  void shouldRunTheSameInAllModesWhenProcessorsShootTranslationsDown(
      @ForAll @Size(min = 60, max = 160) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(min = 2, max = 4) int processors, @ForAll @IntRange(min = 1, max = 200) int turn,
      @ForAll @IntRange(max = 7) int configuration) {
    for (int i = 0; i < REPEAT; i++) {
      int offset = i * OTHER_SEEDS;
      check(new SmpProgram(processors, steps.stream().map(seed -> seed + offset).toList()),
          new Processors(processors, turn), configuration);
    }
  }

  private static void check(SmpProgram program, Processors processors, int configuration) {
    SmpGuest guest = program.guest();
    String expected = null;
    for (VmOptions options : variants(configuration)) {
      VmOptions several = options.withMemoryBytes(8 << 20)
          .withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC).withProcessors(processors));
      String state = SmpGuest.state(guest.run(several));
      expected = expected == null ? state : expected;
      assertThat(state).as("%s", several).isEqualTo(expected);
    }
  }

  private static List<VmOptions> variants(int configuration) {
    boolean first = (configuration & 1) != 0;
    boolean second = (configuration & 2) != 0;
    boolean third = (configuration & 4) != 0;
    TlbPolicy counted = TlbPolicy.counted(TlbGeometry.SKYLAKE);
    ShadowOptions shadow = ShadowOptions.defaults().withUnsync(first).withPrefetch(second).withLargePages(third)
        .withAudit(true);
    List<VmOptions> variants = new ArrayList<>();
    variants.add(VmOptions.of(Mode.NATIVE));
    variants.add(VmOptions.of(Mode.NATIVE).withBlockLimit(1).withTlb(first ? TlbPolicy.STALE : TlbPolicy.FORGETFUL));
    variants.add(VmOptions.of(Mode.EPT).withBlockLimit(third ? 64 : 8).withEptAccessedDirty(first)
        .withTlb(second ? counted : TlbPolicy.UNCOUNTED));
    variants.add(VmOptions.of(Mode.EPT).withBacking(BackingSize.SIZE_4K).withEptMaxPageShift(12)
        .withTlb(third ? TlbPolicy.STALE : TlbPolicy.UNCOUNTED));
    variants.add(VmOptions.of(Mode.SHADOW).withShadow(shadow)
        .withTlb(first ? counted : third ? TlbPolicy.STALE : TlbPolicy.UNCOUNTED));
    variants.add(VmOptions.of(Mode.SHADOW).withShadow(shadow.withUnsync(!first).withLargePages(!third))
        .withBlockLimit(1));
    return variants;
  }
}
