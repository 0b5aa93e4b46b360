package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.workloads.kernel.GuestKernel;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.KernelOptions;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.Results;
import dev.gnomon.workloads.kernel.SystemCall;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class GuestKernelTest {
  private static final long MEMORY = 16 << 20;
  private static final long PAGE = 4096;
  private static final KernelOptions PLAIN = KernelOptions.defaults();

  private static GuestRun run(KernelOptions options, long memory, long expected, Program program) {
    byte[] image = GuestKernel.build("test", options, expected, program).bytes();
    return new GuestRun(image, VmOptions.of(Mode.NATIVE).withMemoryBytes(memory), false).run();
  }

  private static GuestRun run(KernelOptions options, long expected, Consumer<UserCode> code) {
    return run(options, MEMORY, expected, Program.user(code));
  }

  private static GuestRun runStale(KernelOptions options, long expected, Consumer<UserCode> code) {
    byte[] image = GuestKernel.build("test", options, expected, Program.user(code)).bytes();
    VmOptions machine = VmOptions.of(Mode.NATIVE).withMemoryBytes(MEMORY).withTlb(TlbPolicy.STALE);
    return new GuestRun(image, machine, false).run();
  }

  static Stream<KernelOptions> addressSpaceOptions() {
    return Stream.of(PLAIN, PLAIN.withPcid(true), PLAIN.withIsolation(true), PLAIN.withPcid(true).withIsolation(true));
  }

  private static int status(GuestRun run) {
    return run.result.status() >> 1;
  }

  @Test
  void shouldReportAWrongResult() {
    GuestRun run = run(PLAIN, 5, code -> code.a.mov(EBX, 6));
    assertThat(status(run)).isEqualTo(Results.WRONG_RESULT);
    assertThat(run.output).hasToString(
        "test: result 0x0000000000000006 WRONG, expected 0x0000000000000005\n");
  }

  @Test
  void shouldReportAProgramThatEndsWithoutResult() {
    assertThat(status(run(PLAIN, 0, code -> code.exit(0)))).isEqualTo(Results.NO_RESULT);
    assertThat(status(run(PLAIN, 0, code -> code.exit(17)))).isEqualTo(17);
  }

  @ParameterizedTest
  @ValueSource(longs = {0x1000, KernelLayout.USER_HEAP, KernelLayout.DIRECT_MAP + 0x200000,
      KernelLayout.IMAGE_BASE + KernelLayout.LOAD_ADDRESS})
  void shouldEndAtAUserAccessThatNothingAllows(long address) {
    GuestRun run = run(PLAIN, 0, code -> {
      code.a.mov(RAX, address);
      code.a.mov(RBX, ptr(RAX));
    });
    assertThat(status(run)).isEqualTo(Results.PANIC);
    assertThat(run.output.toString()).contains("unexpected trap, vector 0x000000000000000e")
        .contains(String.format("cr2 0x%016x", address));
  }

  @Test
  void shouldKeepUserTextReadOnly() {
    GuestRun text = run(PLAIN, 0, code -> {
      code.a.mov(RAX, KernelLayout.USER_TEXT);
      code.a.inc(ptr(RAX).b());
    });
    assertThat(text.output.toString()).contains("error 0x0000000000000007");
  }

  @Test
  void shouldNotRunDataAsCode() {
    GuestRun run = run(PLAIN, 0, code -> {
      code.map(KernelLayout.USER_HEAP, PAGE, 0);
      code.a.mov(RAX, KernelLayout.USER_HEAP);
      code.a.mov(ptr(RAX).b(), 0xC3);
      code.a.call(RAX);
    });
    assertThat(run.output.toString()).contains("error 0x0000000000000015");
  }

  @Test
  void shouldAnswerUnknownSystemCallsWithMinusOne() {
    GuestRun run = run(PLAIN, -1, code -> {
      code.a.mov(EAX, 1000);
      code.a.syscall();
      code.a.mov(RBX, RAX);
    });
    assertThat(status(run)).isZero();
  }

  @Test
  void shouldKeepRegistersOverSystemCallsAndFaults() {
    GuestRun run = run(PLAIN, 2 + 3 + 5 + 8 + 9 + 10 + 12 + 13 + 14 + 15, code -> {
      code.map(KernelLayout.USER_HEAP, PAGE, 0);
      code.a.mov(EBP, 2);
      code.a.mov(EDX, 3);
      code.a.mov(ESI, 5);
      code.a.mov(R8D, 8);
      code.a.mov(R9D, 9);
      code.a.mov(R10D, 10);
      code.a.mov(R12D, 12);
      code.a.mov(R13D, 13);
      code.a.mov(R14D, 14);
      code.a.mov(R15D, 15);
      code.call(SystemCall.YIELD);
      code.a.mov(RDI, KernelLayout.USER_HEAP);
      code.a.mov(RBX, ptr(RDI));
      for (Reg reg : List.of(RBP, RDX, RSI, R8, R9, R10, R12, R13, R14, R15)) {
        code.a.add(RBX, reg);
      }
    });
    assertThat(run.output.toString()).endsWith(" ok\n");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldCountTicksWhileAProgramRuns(boolean isolation) {
    int ticks = 20;
    GuestRun run = run(PLAIN.withTimer(10_000, false).withIsolation(isolation), ticks, code -> {
      // Ten thousand a second, at a nanosecond an instruction.
      Label loop = code.a.here();
      code.call(SystemCall.TICKS);
      code.a.mov(RBX, RAX);
      code.a.cmp(RAX, ticks);
      code.a.jb(loop);
    });
    assertThat(status(run)).isZero();
    assertThat(run.vm.cpu().retired).isBetween(ticks * 100_000L - 100_000, ticks * 100_000L + 100_000);
  }

  @Test
  void shouldPreemptAProcessThatNeverYields() {
    GuestRun run = run(PLAIN.withTimer(10_000, true), 7, code -> {
      Label child = new Label();
      code.call(SystemCall.FORK);
      code.a.test(RAX, RAX);
      code.a.je(child);
      code.call(SystemCall.WAIT);
      code.a.mov(RBX, RAX);
      code.call(SystemCall.FORK);
      code.a.test(RAX, RAX);
      Label parent = new Label();
      code.a.jne(parent);
      // Only a tick takes the processor from this one.
      code.a.jmp(code.a.here());
      code.a.bind(child);
      code.exit(7);
      code.a.bind(parent);
    });
    assertThat(status(run)).isZero();
  }

  /** The write comes straight after fork, so that only fork's own flush can make it fault. */
  @ParameterizedTest
  @MethodSource("addressSpaceOptions")
  void shouldHideTheParentsWritesFromTheChild(KernelOptions options) {
    GuestRun run = runStale(options, 40 + 41, code -> {
      Label child = new Label();
      Label done = new Label();
      code.map(KernelLayout.USER_HEAP, PAGE, 0);
      code.a.mov(R12, KernelLayout.USER_HEAP);
      code.a.mov(ptr(R12).q(), 40);
      code.call(SystemCall.FORK);
      code.a.test(RAX, RAX);
      code.a.je(child);
      code.a.inc(ptr(R12).q());
      code.call(SystemCall.WAIT);
      code.a.mov(RBX, RAX);
      code.a.add(RBX, ptr(R12));
      code.a.jmp(done);
      code.a.bind(child);
      code.a.mov(RDI, ptr(R12));
      code.call(SystemCall.EXIT);
      code.a.bind(done);
    });
    assertThat(run.output.toString()).endsWith(" ok\n");
  }

  @ParameterizedTest
  @MethodSource("addressSpaceOptions")
  void shouldForgetUnmappedPages(KernelOptions options) {
    int rounds = 8;
    GuestRun run = runStale(options, rounds, code -> {
      code.a.xor(EBX, EBX);
      code.a.mov(R12D, rounds);
      code.a.mov(R13, KernelLayout.USER_HEAP);
      Label loop = code.a.here();
      code.map(KernelLayout.USER_HEAP, 2 * PAGE, 0);
      code.a.inc(ptr(R13, PAGE).q());
      code.a.add(RBX, ptr(R13, PAGE));
      code.a.inc(ptr(R13).q());
      code.unmap(KernelLayout.USER_HEAP, 2 * PAGE);
      code.a.dec(R12D);
      code.a.jne(loop);
    });
    assertThat(run.output.toString()).endsWith(" ok\n");
  }

  @ParameterizedTest
  @MethodSource("addressSpaceOptions")
  void shouldFaultOnEachWriteAfterEachProtection(KernelOptions options) {
    int rounds = 6;
    GuestRun run = runStale(options, 2 * rounds, code -> {
      Label handler = new Label();
      Label start = new Label();
      code.a.jmp(start);
      code.a.bind(handler);
      code.a.mov(ESI, PAGE);
      code.a.mov(EDX, 1);
      code.call(SystemCall.MPROTECT);
      code.a.mov(RAX, KernelLayout.USER_STACK_TOP - 8);
      code.a.inc(ptr(RAX).q());
      code.call(SystemCall.FAULT_RETURN);
      code.a.bind(start);
      code.map(KernelLayout.USER_HEAP, PAGE, 0);
      code.a.mov(RDI, handler);
      code.call(SystemCall.FAULT_HANDLER);
      code.a.mov(R12D, rounds);
      code.a.mov(R13, KernelLayout.USER_HEAP);
      code.a.mov(R14, KernelLayout.USER_STACK_TOP - 8);
      Label loop = code.a.here();
      code.protect(KernelLayout.USER_HEAP, PAGE, false);
      code.a.inc(ptr(R13).q());
      code.a.dec(R12D);
      code.a.jne(loop);
      code.a.mov(RBX, ptr(R13));
      code.a.add(RBX, ptr(R14));
    });
    assertThat(run.output.toString()).endsWith(" ok\n");
  }

  @Test
  void shouldReturnAllFramesSoThatMemoryNeverRunsOut() {
    // Far more than there is memory, taken and given back by unmapping and by the ends of processes.
    GuestRun run = run(PLAIN, 8 << 20, 200, Program.user(code -> {
      code.a.mov(R12D, 200);
      code.a.xor(EBX, EBX);
      Label parent = new Label();
      Label loop = code.a.here();
      code.call(SystemCall.FORK);
      code.a.test(RAX, RAX);
      code.a.jne(parent);
      code.map(KernelLayout.USER_HEAP, 32 * PAGE, 0);
      TouchAll.emitTouch(code.a, 32 * PAGE, PageSize.SIZE_4K);
      code.exit(1);
      code.a.bind(parent);
      code.call(SystemCall.WAIT);
      code.a.add(RBX, RAX);
      code.map(KernelLayout.USER_HEAP, 32 * PAGE, 0);
      TouchAll.emitTouch(code.a, 32 * PAGE, PageSize.SIZE_4K);
      code.unmap(KernelLayout.USER_HEAP, 32 * PAGE);
      code.a.dec(R12D);
      code.a.jne(loop);
    }));
    assertThat(run.output).hasToString("test: result 0x00000000000000c8 ok\n");
  }

  @Test
  void shouldPanicWhenMemoryRunsOut() {
    GuestRun run = run(PLAIN, 0, code -> {
      code.map(KernelLayout.USER_HEAP, 2 * MEMORY, 0);
      TouchAll.emitTouch(code.a, 2 * MEMORY, PageSize.SIZE_4K);
    });
    assertThat(status(run)).isEqualTo(Results.PANIC);
    assertThat(run.output).hasToString("\ntest: out of memory\n");
  }

  @Test
  void shouldRefuseToUnmapOrProtectWhatIsNotMapped() {
    GuestRun run = run(PLAIN, -3, code -> {
      code.unmap(KernelLayout.USER_HEAP, PAGE);
      code.a.mov(RBX, RAX);
      code.protect(KernelLayout.USER_HEAP, PAGE, false);
      code.a.add(RBX, RAX);
      code.call(SystemCall.WAIT);
      code.a.add(RBX, RAX);
    });
    assertThat(status(run)).isZero();
  }

  @Test
  void shouldProtectPagesThatAreNotThereYet() {
    GuestRun run = run(PLAIN, 1, code -> {
      Label handler = new Label();
      Label start = new Label();
      code.a.jmp(start);
      code.a.bind(handler);
      code.a.mov(ESI, PAGE);
      code.a.mov(EDX, 1);
      code.call(SystemCall.MPROTECT);
      code.call(SystemCall.FAULT_RETURN);
      code.a.bind(start);
      code.map(KernelLayout.USER_HEAP, PAGE, 0);
      code.protect(KernelLayout.USER_HEAP, PAGE, false);
      code.a.mov(RDI, handler);
      code.call(SystemCall.FAULT_HANDLER);
      code.a.mov(R12, KernelLayout.USER_HEAP);
      code.a.mov(RBX, ptr(R12));
      code.a.inc(ptr(R12).q());
      code.a.add(RBX, ptr(R12));
    });
    assertThat(status(run)).isZero();
  }

  @Test
  void shouldMapOnlyTheEntryCodeInUserModeUnderIsolation() {
    GuestKernel.Image image = GuestKernel.build("test", PLAIN.withIsolation(true), 0, Program.user(code -> {
      code.a.jmp(code.a.here());
    }));
    GuestRun run = new GuestRun(image.bytes(), VmOptions.of(Mode.NATIVE).withMemoryBytes(MEMORY), false);
    run.vm.run(100_000);
    assertThat(run.vm.cpu().cpl).isEqualTo(3);
    assertThat(reachable(run, image.symbols().get("syscall_entry"))).isTrue();
    assertThat(reachable(run, image.symbols().get("entry_stack"))).isTrue();
    assertThat(reachable(run, image.symbols().get("page_fault"))).isFalse();
    assertThat(reachable(run, image.symbols().get("processes"))).isFalse();
    assertThat(reachable(run, KernelLayout.DIRECT_MAP)).isFalse();
    assertThat(reachable(run, KernelLayout.USER_TEXT)).isTrue();
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldShareTheKernelWithUserModeWithoutIsolation(Mode mode) {
    GuestKernel.Image image = GuestKernel.build("test", PLAIN, 0, Program.user(code -> {
      code.a.jmp(code.a.here());
    }));
    GuestRun run = new GuestRun(image.bytes(), VmOptions.of(mode).withMemoryBytes(MEMORY), false);
    run.vm.run(100_000);
    assertThat(reachable(run, image.symbols().get("processes"))).isTrue();
  }

  private static boolean reachable(GuestRun run, long gva) {
    return run.vm.cpu().mmu.translator().peek(gva, Access.READ, new Translation(), null) >= 0;
  }
}
