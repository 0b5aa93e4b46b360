package dev.gnomon.vmm.lockstep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.ept.EptOptions;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.DirtyLog.Method;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.Supplier;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/**
 * Random guests that edit their own page tables, run in slices with a log of the pages written. What each method of
 * each mode logs of a slice is compared with what passes the physical-write seam of a native run, where every store,
 * every A and D flag and every write of the host does.
 */
class DirtyLogLockstepTest {
  private static final String[] SLOTS = {"low RAM", "RAM"};
  private static final @Gpa long[] SLOT_STARTS = {0, 0x100000};
  private static final int MAX_SLICES = 60;
  /** Where the loader's and the programs' tables lie: below the code, and between log and data. */
  private static final @Gpa long TABLES = 0x300000;

  private record Log(List<BitSet> slices, RunResult.End end) {}

  @Property(tries = 12)
  void shouldLogThePagesThatARandomLongModeGuestWrites(@ForAll @Size(min = 60,
      max = 150) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration,
      @ForAll @IntRange(min = 150, max = 900) int slice) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      check(new PagingProgram(PagingProgram.Kind.SYNCHRONISED, 1, seeds), configuration, slice);
    }
  }

  @Property(tries = 12)
  void shouldLogThePagesThatARandomProtectedModeGuestWrites(@ForAll @Size(min = 60,
      max = 150) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = Lockstep.MAX_CONFIGURATION) int configuration, @ForAll ProtectedModeTables.Paging paging,
      @ForAll @IntRange(min = 150, max = 900) int slice) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      check(new ProtectedModeProgram(paging, seeds), configuration, slice);
    }
  }

  /** Rules of pages let accesses be emulated, and sub-page permissions let some writes pass; none may be lost. */
  @Property(tries = 12)
  void shouldMissNoWriteWhateverTheRulesOfPages(@ForAll @Size(min = 60,
      max = 150) List<@IntRange(max = 1 << 24) Integer> steps, @ForAll boolean accessedDirty, @ForAll boolean byMode,
      @ForAll @IntRange(min = 150, max = 900) int slice, @ForAll long seed) {
    for (List<Integer> seeds : Lockstep.repeated(steps)) {
      GuestProgram program = new PagingProgram(PagingProgram.Kind.SYNCHRONISED, 1, seeds);
      Log written = written(program, slice);
      VmOptions options = VmOptions.of(Mode.EPT).withEptAccessedDirty(accessedDirty)
          .withEpt(EptOptions.DEFAULT.withModeBasedExecute(byMode).withViews(2));
      for (Method method : accessedDirty ? Method.values() : new Method[] {Method.WRITE_PROTECTION}) {
        Random random = new Random(seed);
        Log log = logged(options, program, slice, method, vm -> PageRulesLockstepTest.change(vm.eptViews(), random));
        assertThat(log.end).as("%s %s", method, options).isEqualTo(written.end);
        for (int i = 0; i < log.slices.size(); i++) {
          BitSet missing = (BitSet) written.slices.get(i).clone();
          missing.andNot(log.slices.get(i));
          assertThat(missing.toString()).as("written but not logged, slice " + i + " by " + method + ", " + options)
              .isEqualTo("{}");
        }
      }
    }
  }

  private static void check(GuestProgram program, int configuration, int slice) {
    Log written = written(program, slice);
    for (VmOptions options : Lockstep.variants(configuration)) {
      if (options.mode() == Mode.NATIVE) {
        continue;
      }
      boolean flags = options.mode() == Mode.EPT && options.eptAccessedDirty();
      for (Method method : flags ? Method.values() : new Method[] {Method.WRITE_PROTECTION}) {
        Log log = logged(options, program, slice, method, vm -> { });
        assertThat(log.end).as("%s %s", method, options).isEqualTo(written.end);
        assertThat(log.slices).hasSameSizeAs(written.slices);
        for (int i = 0; i < log.slices.size(); i++) {
          compare(written.slices.get(i), log.slices.get(i), flags, "slice " + i + " by " + method + ", " + options);
        }
      }
    }
  }

  /** With A and D flags in EPT a table that is read counts as written. */
  private static void compare(BitSet written, BitSet log, boolean tablesToo, String what) {
    BitSet missing = (BitSet) written.clone();
    missing.andNot(log);
    assertThat(missing.toString()).as("written but not logged, " + what).isEqualTo("{}");
    BitSet more = (BitSet) log.clone();
    more.andNot(written);
    if (tablesToo) {
      more.clear(0, frame(GuestProgram.CODE));
      more.clear(frame(TABLES), frame(GuestProgram.DATA));
    }
    assertThat(more.toString()).as("logged but not written, " + what).isEqualTo("{}");
  }

  private static int frame(@Gpa long gpa) {
    return (int) (gpa >> HostMemory.FRAME_SHIFT);
  }

  private static Log written(GuestProgram program, int slice) {
    Vm vm = Lockstep.boot(new VmBuilder(VmOptions.of(Mode.NATIVE).withMemoryBytes(Lockstep.MEMORY)), program);
    BitSet[] frames = {new BitSet()};
    HostMemory.WriteListener processor = vm.memory().writeListener();
    vm.memory().setWriteListener((offset, size) -> {
      frames[0].set(offset >>> HostMemory.FRAME_SHIFT);
      processor.beforeWrite(offset, size);
    });
    for (int frame = 0; frame < vm.memory().frames(); frame++) {
      vm.memory().setFrameFlags(frame, HostMemory.FRAME_WATCHED);
    }
    return run(vm, slice, machine -> { }, () -> {
      BitSet taken = frames[0];
      frames[0] = new BitSet();
      return taken;
    });
  }

  private static Log logged(VmOptions options, GuestProgram program, int slice, Method method, Consumer<Vm> before) {
    Vm vm = Lockstep.boot(new VmBuilder(options.withMemoryBytes(Lockstep.MEMORY)), program);
    for (String slot : SLOTS) {
      vm.dirtyLog().start(slot, method);
    }
    return run(vm, slice, before, () -> {
      BitSet all = new BitSet();
      for (int i = 0; i < SLOTS.length; i++) {
        int first = frame(SLOT_STARTS[i]);
        BitSet.valueOf(vm.dirtyLog().fetchAndClear(SLOTS[i])).stream().forEach(page -> all.set(first + page));
      }
      return all;
    });
  }

  /** Runs in slices; before each the host writes a page of the guest's, as a device would. */
  private static Log run(Vm vm, int slice, Consumer<Vm> before, Supplier<BitSet> fetch) {
    List<BitSet> slices = new ArrayList<>();
    RunResult result = null;
    for (int i = 0; i < MAX_SLICES && (result == null || result.end() == RunResult.End.BUDGET); i++) {
      @Gpa long gpa = GuestProgram.DATA
          + i * 7L % (GuestProgram.DATA_BYTES / GuestProgram.PAGE) * GuestProgram.PAGE + 64;
      vm.guestMemory().write(gpa, 8, vm.guestMemory().read(gpa, 8));
      before.accept(vm);
      result = vm.run(slice);
      slices.add(fetch.get());
    }
    return new Log(slices, result.end());
  }
}
