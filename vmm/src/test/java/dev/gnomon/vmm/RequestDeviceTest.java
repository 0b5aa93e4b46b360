package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.memory.E820;
import dev.gnomon.vmm.polled.device.RequestDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** One device reached by polling, by MMIO and by ports: same answers, different exits. */
class RequestDeviceTest {
  private static final long BUDGET = 1_000_000;
  private static final long PERIOD_NS = 500;
  private static final int REQUESTS = 20;

  private static Vm build(Mode mode) {
    return new VmBuilder(Machines.options(mode).withSeed(42)).requestDevices(PERIOD_NS).build();
  }

  /** Submits {@link #REQUESTS} additions through memory at {@code page}; the sum of the results is left in R12. */
  private static void memoryRequests(Assembler a, long page) {
    Label next = new Label("next");
    Label spin = new Label("spin");
    a.mov(RDI, page);
    a.xor(R12, R12);
    a.mov(EBX, 1);
    a.bind(next);
    a.mov(ptr(RDI, 4).d(), RequestDevice.OP_ADD);
    a.mov(ptr(RDI, 8), RBX);
    a.mov(ptr(RDI, 16).q(), 100);
    a.mov(ptr(RDI), EBX);
    a.bind(spin);
    a.pause();
    a.cmp(ptr(RDI, 0x20), EBX);
    a.jne(spin);
    a.add(R12, ptr(RDI, 0x18));
    a.inc(EBX);
    a.cmp(EBX, REQUESTS);
    a.jbe(next);
  }

  private static long expectedSum() {
    return REQUESTS * 100L + REQUESTS * (REQUESTS + 1) / 2;
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldServeAPolledPageWithoutAnyExit(Mode mode) {
    Vm vm = build(mode);
    long page = vm.requestDevices().polledGpa();
    Machines.boot(vm, a -> {
      // Code, stack and page are touched once; what follows is measured.
      a.mov(RAX, ptr(RSP, -8));
      a.mov(RDI, page);
      a.mov(ptr(RDI, 0x28).q(), 1);
      memoryRequests(a, page);
      Machines.exit(a, 0);
    });
    vm.run(4);
    long warm = vm.exits().total();
    long faults = vm.statistics().get("pf_taken");
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[12]).isEqualTo(expectedSum());
    assertThat(vm.requestDevices().polled().completed()).isEqualTo(REQUESTS);
    assertThat(vm.exits().total() - warm).as("only the last OUT").isEqualTo(mode.virtual() ? 1 : 0);
    assertThat(vm.statistics().get("pf_taken")).isEqualTo(faults);
    assertThat(vm.statistics()).containsEntry("mmio_exits", 0L);
  }

  @Test
  void shouldMapThePolledPageInAdvanceUnderEpt() {
    Vm vm = build(Mode.EPT);
    long page = vm.requestDevices().polledGpa();
    assertThat(vm.ept().pageShift(page)).isEqualTo(12);
    Machines.boot(vm, a -> {
      a.mov(RDI, page);
      a.mov(ptr(RDI, 0x28).q(), 1);
    });
    vm.run(2);
    long violations = vm.exits().ofReason(ExitReason.EPT_VIOLATION);
    vm.run(1);
    // The guest's own tables may still fault in; the page itself never does.
    long tables = vm.exits().ofReason(ExitReason.EPT_VIOLATION) - violations;
    assertThat(tables).isLessThanOrEqualTo(1);
    assertThat(vm.guestMemory().read(page + 0x28, 8)).isEqualTo(1);
  }

  @Test
  void shouldTellTheGuestThatThePageIsReserved() {
    Vm vm = build(Mode.EPT);
    long page = vm.requestDevices().polledGpa();
    assertThat(E820.of(vm.slots().layout()).entries()).contains(new E820.Entry(page, 4096, E820.TYPE_RESERVED));
    assertThat(page).isEqualTo(8 * Machines.MIB);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldServeTheSameRequestsByMmioWithAnExitEach(Mode mode) {
    Vm vm = Machines.boot(build(mode), a -> {
      memoryRequests(a, RequestDevices.MMIO_GPA);
      Machines.exit(a, 0);
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[12]).isEqualTo(expectedSum());
    // Four writes, one look at complete (the answer is there at once) and one at result.
    assertThat(vm.statistics()).containsEntry("mmio_exits", mode.virtual() ? 6L * REQUESTS : 0);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldServeARequestByPorts(Mode mode) {
    Vm vm = Machines.boot(build(mode), a -> {
      int[][] writes = {{4, RequestDevice.OP_ADD}, {8, 5}, {12, 0}, {16, 6}, {20, 1}, {0, 9}};
      for (int[] write : writes) {
        a.mov(DX, RequestDevices.PORT + write[0]);
        a.mov(EAX, write[1]);
        a.out(DX, EAX);
      }
      a.mov(DX, RequestDevices.PORT + 0x20);
      a.in(EAX, DX);
      a.mov(EBX, EAX);
      a.mov(DX, RequestDevices.PORT + 0x18);
      a.in(EAX, DX);
      a.mov(ECX, EAX);
      a.mov(DX, RequestDevices.PORT + 0x1C);
      a.in(EAX, DX);
      a.mov(ESI, EAX);
      Machines.exit(a, 0);
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[Cpu.RBX]).isEqualTo(9);
    assertThat(vm.cpu().regs[Cpu.RCX]).isEqualTo(11);
    assertThat(vm.cpu().regs[Cpu.RSI]).isEqualTo(1);
    assertThat(vm.statistics()).containsEntry("io_exits", mode.virtual() ? 10L : 0);
  }

  @Test
  void shouldAnswerAtTheSameInstructionInEveryMode() {
    String native0 = null;
    for (Mode mode : Mode.values()) {
      for (int block : new int[] {1, 64}) {
        Vm vm = new VmBuilder(Machines.options(mode).withBlockLimit(block)).requestDevices(PERIOD_NS).build();
        Machines.boot(vm, a -> {
          memoryRequests(a, vm.requestDevices().polledGpa());
          Machines.exit(a, 0);
        });
        vm.run(BUDGET);
        String state = Machines.state(vm.cpu()) + Machines.memory(vm);
        native0 = native0 == null ? state : native0;
        assertThat(state).as(mode + " with blocks of " + block).isEqualTo(native0);
      }
    }
  }
}
