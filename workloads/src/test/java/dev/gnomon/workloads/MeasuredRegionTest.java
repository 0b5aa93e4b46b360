package dev.gnomon.workloads;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.VmOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What the workloads are for: counts over the measured region that follow from the architecture alone. */
class MeasuredRegionTest {
  private static final TlbPolicy NO_WALK_CACHES = TlbPolicy.counted(TlbGeometry.SKYLAKE.withoutStructures());
  private static final TlbPolicy SKYLAKE = TlbPolicy.counted(TlbGeometry.SKYLAKE);
  /** What happens once in a region at first touch, under shadow paging. */
  private static final int FIRST_TOUCH = 8;

  @ParameterizedTest
  @CsvSource({
      "NATIVE, 4k, 12, 4", "NATIVE, 2m, 12, 3", "NATIVE, 1g, 12, 2",
      "EPT, 4k, 12, 24", "EPT, 4k, 21, 19", "EPT, 2m, 12, 19", "EPT, 2m, 21, 15", "EPT, 1g, 12, 14", "EPT, 1g, 21, 11",
      "SHADOW, 4k, 12, 4", "SHADOW, 2m, 12, 3"})
  void shouldReadThePublishedNumberOfEntriesPerColdWalk(Mode mode, String page, int eptShift, int references) {
    int iterations = 1000;
    GuestProgram program = WorkloadCatalog.build("walkprobe:iterations=" + iterations + ",page=" + page);
    VmOptions options = VmOptions.of(mode).withMemoryBytes(program.memoryBytes()).withTlb(NO_WALK_CACHES)
        .withEptMaxPageShift(eptShift);
    GuestRun run = new GuestRun(program.image(), options, false).run();
    long misses = run.tlbAfter.misses() - run.tlbBefore.misses();
    long read = run.tlbAfter.references() - run.tlbBefore.references();
    assertThat(misses).isBetween(2L * iterations, 2L * iterations + FIRST_TOUCH);
    assertThat((double) read / misses).isBetween(references * 0.99, references * 1.01);
    assertThat(Math.round((double) read / misses)).isEqualTo(references);
  }

  @Test
  void shouldMissOncePerInvlpg() {
    GuestProgram program = WorkloadCatalog.build("walkprobe:iterations=1000,flush=invlpg");
    GuestRun run = GuestRun.of(program, Mode.NATIVE, NO_WALK_CACHES).run();
    assertThat(run.tlbAfter.misses() - run.tlbBefore.misses()).isBetween(1000L, 1001L);
    assertThat(run.tlbAfter.invlpg - run.tlbBefore.invlpg).isEqualTo(1000);
  }

  @Test
  void shouldMissMoreInALargeTableThanInALargePageOne() {
    long small = misses("gups:size=16M,updates=20000");
    long large = misses("gups:size=16M,page=2m,updates=20000");
    assertThat(small).isGreaterThan(10_000);
    assertThat(large).isLessThan(100);
  }

  private static long misses(String text) {
    GuestRun run = GuestRun.of(WorkloadCatalog.build(text), Mode.NATIVE, SKYLAKE).run();
    return run.tlbAfter.misses() - run.tlbBefore.misses();
  }

  @ParameterizedTest
  @EnumSource(value = Mode.class, names = {"EPT", "SHADOW"})
  void shouldReachThePolledDeviceWithoutExits(Mode mode) {
    GuestRun few = GuestRun.of("polled:requests=10", mode).run();
    GuestRun many = GuestRun.of("polled:requests=200", mode).run();
    // The mark that ends the region is the one exit of it, with the first touch under shadow paging.
    assertThat(many.counted("exits")).isEqualTo(few.counted("exits")).isLessThanOrEqualTo(FIRST_TOUCH);
    assertThat(many.vm.requestDevices().polled().completed()).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource({"EPT, mmio", "EPT, ports", "SHADOW, mmio", "SHADOW, ports"})
  void shouldExitForEachAccessToTheTrappedDevice(Mode mode, String device) {
    int accesses = device.equals("mmio") ? 7 : 10;
    GuestRun few = GuestRun.of("polled:requests=10,device=" + device, mode).run();
    GuestRun many = GuestRun.of("polled:requests=110,device=" + device, mode).run();
    assertThat(many.counted("exits") - few.counted("exits")).isEqualTo(100L * accesses);
  }

  @Test
  void shouldLoadCr3TwicePerSystemCallOnlyUnderIsolation() {
    assertThat(flushes("kpti:calls=500") - flushes("kpti:calls=100")).isEqualTo(2 * 400);
    assertThat(flushes("syscall:calls=500") - flushes("syscall:calls=100")).isZero();
    assertThat(flushes("kpti:calls=500,pcid=on") - flushes("kpti:calls=100,pcid=on")).isZero();
  }

  private static long flushes(String text) {
    GuestRun run = GuestRun.of(WorkloadCatalog.build(text), Mode.NATIVE, SKYLAKE).run();
    return run.tlbAfter.flushPcid - run.tlbBefore.flushPcid;
  }

  @Test
  void shouldTouchNewHostMemoryOnlyWithFreshFrames() {
    long recycled = GuestRun.of("pfloop:iterations=20", Mode.EPT).run().counted("exits");
    long fresh = GuestRun.of("pfloop:iterations=20,frames=fresh", Mode.EPT).run().counted("exits");
    assertThat(fresh).isGreaterThan(recycled);
  }
}
