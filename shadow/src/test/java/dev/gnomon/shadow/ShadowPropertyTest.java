package dev.gnomon.shadow;

import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tag;
import net.jqwik.api.constraints.IntRange;

/**
 * The shadow MMU against the processor's own walk: same addresses, same faults, same A and D bits, whatever is switched
 * on.
 */
@Tag("random")
class ShadowPropertyTest {
  @Property(tries = 400)
  void shouldTranslateAsTheProcessorDoesWithAllInvariantsHeld(
      @ForAll("options") ShadowOptions options, @ForAll boolean largeBacking, @ForAll boolean orderly,
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 150) int steps) {
    new RandomGuest(options, largeBacking, orderly, seed).run(steps);
  }

  @Provide
  Arbitrary<ShadowOptions> options() {
    Arbitrary<Boolean> flag = Arbitraries.of(false, true);
    return Combinators.combine(flag, flag, flag, Arbitraries.of(ShadowOptions.MIN_PAGE_LIMIT, 40, 128))
        .as((unsync, prefetch, large, limit) -> new ShadowOptions(unsync, prefetch, large, limit, true));
  }
}
