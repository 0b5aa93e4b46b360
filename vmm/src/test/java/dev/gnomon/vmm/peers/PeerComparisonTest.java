package dev.gnomon.vmm.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
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
  private static final Map<String, Supplier<PeerGroup>> GROUPS = new LinkedHashMap<>();
  private static final List<String> NAMES;
  /** Cases from some of which QEMU never comes back. */
  private static final String CONTROL = "long control";

  static {
    legacy("interrupts", GateCases::interrupts);
    legacy("calls", GateCases::calls);
    legacy("loads", SegmentCases::loads);
    legacy("transfers", SegmentCases::transfers);
    legacy("limits", SegmentCases::limits);
    legacy("tasks", TaskCases::switches);
    legacy("virtual-8086", Virtual8086Cases::all);
    legacy("virtual interrupts", Virtual8086Cases::virtualInterrupts);
    legacy("delivery", EventCases::delivery);
    legacy("paging", PagingCases::all);
    legacy("debug", EventCases::debug);
    legacy("control", EventCases::control);
    GROUPS.put("modes", () -> PeerGroup.ofModes(ModeCases.all()));
    wide("long interrupts", LongGateCases::all);
    wide("long returns", LongReturnCases::all);
    wide("long calls", LongCallCases::all);
    wide("long system calls", LongSystemCases::fastCalls);
    wide("long registers", LongSystemCases::registers);
    wide(CONTROL, LongSystemCases::controlRegisters);
    wide("long delivery", LongEventCases::delivery);
    wide("long branches", LongEventCases::branches);
    NAMES = List.copyOf(GROUPS.keySet());
  }

  private static void legacy(String name, Supplier<List<PeerCase>> cases) {
    GROUPS.put(name, () -> PeerGroup.of(cases.get()));
  }

  private static void wide(String name, Supplier<List<LongCase>> cases) {
    GROUPS.put(name, () -> PeerGroup.ofLong(cases.get()));
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
    compare("bochs", new PeerMachine.Bochs(GROUPS.get(group).get().bochs()), group);
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void shouldBehaveAsQemu(String group) throws Exception {
    String program = GROUPS.get(group).get().qemu();
    assumeTrue(PeerMachine.Program.isPresent(program),
        "no " + program + " on the PATH: Debian's package qemu-system-x86");
    assumeFalse(group.equals(CONTROL), "QEMU 7.2 loops on reserved bits and takes forbidden modes");
    compare("qemu", new PeerMachine.Qemu(program), group);
  }

  private void compare(String peer, PeerMachine machine, String group) throws Exception {
    Map<String, String> mine = own(group);
    PeerGroup cases = GROUPS.get(group).get();
    Map<String, String> others = machine.results(cases);
    List<String> unexplained = new ArrayList<>();
    Set<ExpectedDifference> seen = new HashSet<>();
    for (Map.Entry<String, String> entry : mine.entrySet()) {
      PeerResult result = new PeerResult(entry.getValue(), cases.fields());
      PeerResult other = new PeerResult(others.get(entry.getKey()), cases.fields());
      Set<String> fields =
          ExpectedDifference.besideQuirks(peer, result.differences(other), result, other);
      if (fields.isEmpty()) {
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
