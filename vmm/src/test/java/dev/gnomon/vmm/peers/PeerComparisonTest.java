package dev.gnomon.vmm.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gnomon.vmm.Mode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * System behaviour case by case, natively, under EPT and under shadow paging, and on other emulators. Each difference
 * from those must be in {@link ExpectedDifference}, and each that is there must be seen.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PeerComparisonTest {
  private static final Map<String, Supplier<List<PeerCase>>> GROUPS = new LinkedHashMap<>();
  private static final List<String> NAMES;

  static {
    GROUPS.put("interrupts", GateCases::interrupts);
    GROUPS.put("calls", GateCases::calls);
    GROUPS.put("loads", SegmentCases::loads);
    GROUPS.put("transfers", SegmentCases::transfers);
    GROUPS.put("limits", SegmentCases::limits);
    GROUPS.put("tasks", TaskCases::switches);
    GROUPS.put("virtual-8086", Virtual8086Cases::all);
    GROUPS.put("delivery", EventCases::delivery);
    GROUPS.put("paging", EventCases::paging);
    GROUPS.put("debug", EventCases::debug);
    GROUPS.put("control", EventCases::control);
    NAMES = List.copyOf(GROUPS.keySet());
  }

  /** What the cases gave natively, for the three tests. */
  private final Map<String, Map<String, String>> own = new HashMap<>();

  private Map<String, String> own(String group) throws Exception {
    if (!own.containsKey(group)) {
      own.put(group, new PeerMachine.Gnomon(Mode.NATIVE).results(GROUPS.get(group).get()));
    }
    return own.get(group);
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void shouldBehaveAlikeInAllModes(String group) throws Exception {
    Map<String, String> bare = own(group);
    assertThat(new PeerMachine.Gnomon(Mode.EPT).results(GROUPS.get(group).get())).isEqualTo(bare);
    assertThat(new PeerMachine.Gnomon(Mode.SHADOW).results(GROUPS.get(group).get())).isEqualTo(bare);
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void shouldBehaveAsBochs(String group) throws Exception {
    assumeTrue(PeerMachine.Program.isPresent(PeerMachine.Bochs.PROGRAM),
        "no bochs on the PATH: Debian's packages bochs and bochs-term");
    compare("bochs", new PeerMachine.Bochs(), group);
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void shouldBehaveAsQemu(String group) throws Exception {
    assumeTrue(PeerMachine.Program.isPresent(PeerMachine.Qemu.PROGRAM),
        "no qemu-system-i386 on the PATH: Debian's package qemu-system-x86");
    compare("qemu", new PeerMachine.Qemu(), group);
  }

  private void compare(String peer, PeerMachine machine, String group) throws Exception {
    Map<String, String> mine = own(group);
    Map<String, String> others = machine.results(GROUPS.get(group).get());
    List<String> unexplained = new ArrayList<>();
    Set<ExpectedDifference> seen = new HashSet<>();
    for (Map.Entry<String, String> entry : mine.entrySet()) {
      PeerResult result = new PeerResult(entry.getValue());
      PeerResult other = new PeerResult(others.get(entry.getKey()));
      Set<String> fields = result.differences(other);
      if (fields.isEmpty() || ExpectedDifference.onlyResumeFlag(peer, fields, result.bits(other, "eflags"))) {
        continue;
      }
      List<ExpectedDifference> reasons = ExpectedDifference.ALL.stream().filter(d -> d.explains(peer, group, entry
          .getKey())).toList();
      seen.addAll(reasons);
      if (reasons.isEmpty()) {
        unexplained.add(entry.getKey() + ": " + fields + "\n  " + result + "\n  " + other);
      }
    }
    assertThat(unexplained).as("cases that differ from " + peer).isEmpty();
    assertThat(ExpectedDifference.ALL.stream().filter(d -> d.peer().equals(peer) && d.group().equals(group)).toList())
        .as("differences from " + peer + " that are expected").allMatch(seen::contains);
  }
}
