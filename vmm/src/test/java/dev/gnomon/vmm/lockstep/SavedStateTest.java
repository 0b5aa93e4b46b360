package dev.gnomon.vmm.lockstep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.ept.EptOptions;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.DirtyLog;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/**
 * Saves processor, memory, dirty log and EPT views in the middle of a random guest, loads them into another machine,
 * and expects the rest of the run to be that of the machine which was not interrupted: what the guest sees, what is
 * logged, and under EPT every exit and every table.
 */
class SavedStateTest {
  private static final String[] SLOTS = {"low RAM", "RAM"};
  private static final int SLICE = 700;
  private static final int MAX_SLICES = 40;

  /** What a slice ends with. @param counters none but under EPT */
  private record Slice(List<String> log, Map<String, Long> counters) {}

  @Property(tries = 8)
  void shouldGoOnAsIfNothingHadHappened(@ForAll @Size(min = 60, max = 150) List<@IntRange(max = 1 << 24) Integer> steps,
      @ForAll @IntRange(max = 15) int configuration, @ForAll @IntRange(min = 1, max = 12) int slices, @ForAll long seed)
      throws IOException {
    GuestProgram program = new PagingProgram(PagingProgram.Kind.SYNCHRONISED, 1, steps);
    EptOptions ept = EptOptions.DEFAULT.withLevels((configuration & 1) != 0 ? 5 : 4)
        .withModeBasedExecute((configuration & 2) != 0).withViews(2);
    boolean flags = (configuration & 4) != 0;
    for (DirtyLog.Method method : flags ? DirtyLog.Method.values()
        : new DirtyLog.Method[] {DirtyLog.Method.WRITE_PROTECTION}) {
      check(VmOptions.of(Mode.EPT).withEptAccessedDirty(flags).withEpt(ept), program, method, slices,
          (configuration & 8) != 0 ? new Random(seed) : null);
    }
    check(VmOptions.of(Mode.SHADOW), program, DirtyLog.Method.WRITE_PROTECTION, slices, null);
    check(VmOptions.of(Mode.NATIVE), program, null, slices, null);
  }

  private static void check(VmOptions options, GuestProgram program, DirtyLog.Method method, int slices, Random rules)
      throws IOException {
    Vm whole = machine(options, program);
    if (method != null) {
      for (String slot : SLOTS) {
        whole.dirtyLog().start(slot, method);
      }
    }
    RunResult result = null;
    for (int i = 0; i < slices && (result == null || result.end() == RunResult.End.BUDGET); i++) {
      if (rules != null) {
        PageRulesLockstepTest.change(whole.eptViews(), rules);
      }
      result = whole.run(SLICE);
      if (method != null && i % 2 == 0) {
        whole.dirtyLog().fetchAndClear(SLOTS[1]);
      }
    }
    if (result.end() != RunResult.End.BUDGET) {
      return;
    }
    Vm other = machine(options, program);
    restore(other, save(whole), whole);
    long later = rules == null ? 0 : rules.nextLong() | 1;
    List<Slice> rest = rest(whole, method, later);
    assertThat(rest(other, method, later)).as("%s %s", options, method).isEqualTo(rest);
    assertThat(Lockstep.outcome(other, result)).isEqualTo(Lockstep.outcome(whole, result));
  }

  private static Vm machine(VmOptions options, GuestProgram program) {
    return Lockstep.boot(new VmBuilder(options.withMemoryBytes(Lockstep.MEMORY)), program);
  }

  private static byte[] save(Vm vm) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    vm.vcpus().get(0).save(out);
    vm.dirtyLog().save(out);
    if (vm.eptViews() != null) {
      vm.eptViews().save(out);
    }
    return bytes.toByteArray();
  }

  private static void restore(Vm vm, byte[] saved, Vm from) throws IOException {
    for (@Gpa long gpa = 0; gpa < Lockstep.MEMORY; gpa += GuestProgram.PAGE) {
      if (vm.guestMemory().covers(gpa, GuestProgram.PAGE)) {
        vm.guestMemory().write(gpa, from.guestMemory().read(gpa, (int) GuestProgram.PAGE, (int) GuestProgram.PAGE));
      }
    }
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(saved));
    vm.vcpus().get(0).load(in);
    vm.dirtyLog().load(in);
    if (vm.eptViews() != null) {
      vm.eptViews().load(in);
    }
    assertThat(in.read()).as("all is read").isEqualTo(-1);
  }

  /** Runs on. @param rules seed of changes to the rules of pages, 0 for none */
  private static List<Slice> rest(Vm vm, DirtyLog.Method method, long rules) {
    Random random = new Random(rules);
    List<Slice> slices = new ArrayList<>();
    RunResult.End end = RunResult.End.BUDGET;
    Map<String, Long> before = vm.statistics();
    for (int i = 0; i < MAX_SLICES && end == RunResult.End.BUDGET; i++) {
      end = vm.run(SLICE).end();
      // Pages that lose their mapping before the log is fetched must be in it.
      for (int change = 0; change < 4 && rules != 0; change++) {
        PageRulesLockstepTest.change(vm.eptViews(), random);
      }
      List<String> log = new ArrayList<>();
      for (String slot : method == null ? new String[0] : SLOTS) {
        log.add(Arrays.toString(vm.dirtyLog().fetchAndClear(slot)));
      }
      Map<String, Long> counters = new TreeMap<>();
      if (vm.options().mode() == Mode.EPT) {
        vm.statistics().forEach((name, value) -> counters.put(name, value - before.get(name)));
        for (int view = 0; view < vm.eptViews().count(); view++) {
          counters.put("tables " + view, vm.eptViews().tables(view).tables());
          counters.put("pages " + view, vm.eptViews().tables(view).pages4k());
          counters.put("fast " + view, vm.eptViews().tables(view).fastFaults());
        }
      }
      slices.add(new Slice(log, counters));
    }
    return slices;
  }
}
