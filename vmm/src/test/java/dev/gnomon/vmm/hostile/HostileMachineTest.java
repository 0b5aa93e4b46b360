package dev.gnomon.vmm.hostile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmOptions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random code, descriptors, page tables, control and model-specific registers: nothing escapes, every run ends within
 * its budget, and the three modes see the same.
 *
 * <p>{@code -Dgnomon.hostile.instructions=N} says how many instructions in all, {@code -Phostile} runs 10⁸;
 * {@code -Dgnomon.hostile.first=N} is the first seed, {@code -Dgnomon.hostile.cases=N} how many machines of each kind
 * are compared.
 */
class HostileMachineTest {
  private static final long INSTRUCTIONS = Long.getLong("gnomon.hostile.instructions", 1_500_000);
  private static final int CASES = Integer.getInteger("gnomon.hostile.cases", 25);
  private static final long FIRST_SEED = Long.getLong("gnomon.hostile.first", 1);
  private static final int RUN = 20_000;
  private static final int COMPARED_RUN = 3000;

  /** What a guest could find out, and how its run ended. */
  private record Outcome(End end, int status, List<String> state, int memory) {}

  static Stream<Arguments> kinds() {
    return Stream.of(Mode.values()).flatMap(mode -> Stream.of(HostileMode.values()).map(start -> Arguments.of(mode,
        start)));
  }

  private static VmOptions options(Mode mode, long seed) {
    VmOptions options = VmOptions.of(mode);
    return options.withBlockLimit(1 << (int) (seed % 7)).withShadow(options.shadow().withAudit(seed % 16 == 0));
  }

  /** A guest whose every handler faults at once never retires an instruction; the machine says so. */
  private static void shouldHaveEndedProperly(RunResult result, String which) {
    if (result.end() == End.INTERNAL_ERROR) {
      assertThat(result.detail()).as(which)
          .matches("the guest takes exception after exception at .*|the instruction at rip .* times without "
              + "retiring.*");
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void shouldLetNothingEscape(Mode mode, HostileMode start) {
    long left = INSTRUCTIONS / (Mode.values().length * HostileMode.values().length);
    long machines = 0;
    for (long seed = FIRST_SEED; left > 0; seed++) {
      String which = mode + " " + start + " seed " + seed;
      try {
        Vm vm = HostileGuest.of(start, seed, options(mode, seed));
        RunResult result = vm.run(Math.min(RUN, left));
        assertThat(vm.cpu().retired).as(which).isLessThanOrEqualTo(RUN);
        shouldHaveEndedProperly(result, which);
        // A machine that stops before its first instruction counts for one, so that the search ends.
        left -= Math.max(1, vm.cpu().retired);
        machines++;
      } catch (RuntimeException | Error escaped) {
        throw new AssertionError(which + ": " + escaped, escaped);
      }
    }
    assertThat(machines).isPositive();
  }

  /** Null if the guest asked whether there is a hypervisor: VMCALL is #UD natively. */
  private static Outcome outcome(Mode mode, HostileMode start, long seed) {
    VmOptions options = VmOptions.of(mode).withTlb(TlbPolicy.FORGETFUL);
    options = options.withShadow(options.shadow().withUnsync(false).withPrefetch(false));
    Vm vm = HostileGuest.of(start, seed, options);
    RunResult result = vm.run(COMPARED_RUN);
    if (vm.exits().ofReason(ExitReason.VMCALL) != 0) {
      return null;
    }
    if (result.end() == End.INTERNAL_ERROR || vm.cpu().eventPending) {
      // An exception that is taken for ever is given up after more or fewer times; the trap behind an instruction that
      // ends the run is delivered or still pending.
      return new Outcome(result.end(), result.status(), List.of(), 0);
    }
    int memory = 1;
    for (long gpa = 0; gpa < HostileGuest.MEMORY; gpa += 4096) {
      // Not the video memory and what has no memory at all.
      if (gpa < 0xA0000 || gpa >= 0x100000) {
        memory = 31 * memory + Arrays.hashCode(vm.guestMemory().read(gpa, 4096, 4096));
      }
    }
    return new Outcome(result.end(), result.status(), state(vm.cpu()), memory);
  }

  private static List<String> state(Cpu cpu) {
    List<String> state = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      state.add("r" + i + "=" + Long.toHexString(cpu.regs[i]));
    }
    state.add("rip=" + Long.toHexString(cpu.rip));
    state.add("rflags=" + Long.toHexString(cpu.rflags()));
    state.add("cpl=" + cpu.cpl);
    state.add("halted=" + cpu.halted);
    for (int i = 0; i < cpu.selector.length; i++) {
      state.add("s%d=%x %x %x %x".formatted(i, cpu.selector[i], cpu.base[i], cpu.limit[i], cpu.rights[i]));
    }
    state.add("gdt=%x %x idt=%x %x".formatted(cpu.gdtrBase, cpu.gdtrLimit, cpu.idtrBase, cpu.idtrLimit));
    state.add("cr0=%x cr2=%x cr3=%x cr4=%x cr8=%x efer=%x".formatted(cpu.cr0, cpu.cr2, cpu.cr3, cpu.cr4, cpu.cr8,
        cpu.efer));
    state.add("dr=" + Arrays.toString(cpu.dr));
    state.add("msr=%x %x %x %x %x %x %x %x %x %x".formatted(cpu.star, cpu.lstar, cpu.cstar, cpu.fmask,
        cpu.kernelGsBase, cpu.sysenterCs,
        cpu.sysenterEsp, cpu.sysenterEip, cpu.pat, cpu.apicBase));
    state.add("xmm=" + Arrays.toString(cpu.xmm) + " mxcsr=" + cpu.mxcsr);
    state.add("fpu=" + Arrays.toString(cpu.fpuSignificand) + " " + cpu.fpuControl + " " + cpu.fpuStatus + " "
        + cpu.fpuValid);
    state.add("blocked=" + cpu.blockedBySti + cpu.blockedByMovSs + cpu.blockedByNmi);
    state.add("retired=" + cpu.retired + " skipped=" + cpu.skippedNs);
    return state;
  }

  @ParameterizedTest
  @EnumSource(HostileMode.class)
  void shouldRunAlikeInAllModes(HostileMode start) {
    List<String> differences = new ArrayList<>();
    for (long seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed++) {
      Outcome bare = outcome(Mode.NATIVE, start, seed);
      for (Mode mode : new Mode[] {Mode.EPT, Mode.SHADOW}) {
        Outcome other = outcome(mode, start, seed);
        if (other != null && !alike(bare, other)) {
          differences.add(start + " seed " + seed + " " + mode + ": " + difference(bare, other));
        }
      }
    }
    assertThat(differences).isEmpty();
  }

  private static boolean alike(Outcome bare, Outcome other) {
    boolean ended = bare.state.isEmpty() || other.state.isEmpty();
    return ended ? bare.end == other.end && bare.status == other.status : bare.equals(other);
  }

  private static String difference(Outcome bare, Outcome other) {
    StringBuilder text = new StringBuilder();
    if (bare.end != other.end || bare.status != other.status) {
      text.append(bare.end).append(bare.status).append(" / ").append(other.end).append(other.status).append("; ");
    }
    for (int i = 0; i < Math.min(bare.state.size(), other.state.size()); i++) {
      if (!bare.state.get(i).equals(other.state.get(i))) {
        text.append(bare.state.get(i)).append(" / ").append(other.state.get(i)).append("; ");
      }
    }
    return text + (bare.memory == other.memory ? "" : "memory");
  }
}
