package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.HostPolling;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.vmm.polled.dma.DmaPort;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Devices on threads of their own: right answers whatever the host schedules. */
class RealThreadsTest {
  private static final long WINDOW = 8 * Machines.MIB;
  private static final int REQUESTS = 100;
  private static final int DOORBELL = 0x610;

  private static Stream<Arguments> ways() {
    List<HostPolling> pollings = List.of(HostPolling.spin(), HostPolling.spinThenPark(20_000, 50_000),
        HostPolling.period(20_000), HostPolling.adaptive(32_768, 100_000));
    return Stream.of(Mode.values()).flatMap(mode -> pollings.stream().map(polling -> Arguments.of(mode, polling)));
  }

  private static Vm ring(Mode mode, int sleepAfter) {
    return new VmBuilder(Machines.options(mode))
        .polled(DeviceSetup.polled(() -> new SharedRing("ring", Window.anywhere(4096), sleepAfter),
        PollPolicy.never()).withDoorbell(DOORBELL).withIrq(5)).build();
  }

  private static void publish(Assembler a) {
    RingGuest.publish(a, SharedRing.OP_FILL);
    RingGuest.wake(a, DOORBELL);
  }

  @ParameterizedTest
  @MethodSource("ways")
  void shouldServeAGuestThatSpins(Mode mode, HostPolling polling) {
    Vm vm = ring(mode, 3);
    Machines.boot(vm, a -> {
      a.mov(RDI, WINDOW);
      a.mov(RSI, Machines.DATA);
      a.xor(EBX, EBX);
      a.xor(R12, R12);
      Label next = a.here();
      publish(a);
      RingGuest.await(a);
      // The data is there when the index is.
      a.movzx(EAX, ptr(RSI, 15).b());
      a.add(R12, RAX);
      a.cmp(EBX, REQUESTS);
      a.jb(next);
      Machines.exit(a, 0);
    });
    try (RealThreads threads = RealThreads.start(vm, polling)) {
      assertThat(vm.run(Long.MAX_VALUE).end()).isEqualTo(End.GUEST_EXIT);
    }
    long expected = 0;
    for (int i = 0; i < REQUESTS; i++) {
      expected += i & 0xFF;
    }
    assertThat(vm.cpu().regs[12]).isEqualTo(expected);
    DeviceHost host = vm.deviceHosts().get(0);
    assertThat(host.completed()).isEqualTo(REQUESTS);
    assertThat(host.state()).as(host.failure()).isEqualTo(DeviceHost.State.RUNNING);
  }

  /** It sleeps until the interrupt; nothing else would wake it, so time must not jump to the end of the world. */
  @ParameterizedTest
  @MethodSource("ways")
  void shouldHoldTimeWhileARequestIsInFlight(Mode mode, HostPolling polling) {
    Vm vm = ring(mode, 0);
    Machines.boot(vm, DeviceInterruptTest.guest(0x25, a -> {
      a.mov(RDI, WINDOW);
      a.mov(EBX, R15D);
      publish(a);
      DeviceInterruptTest.out(a, 0x20, 0x65);
    }, a -> {
      DeviceInterruptTest.startPics(a, 0xFFDF);
      a.mov(RDI, WINDOW);
      a.mov(ptr(RDI, SharedRing.GUEST_FLAGS).d(), SharedRing.WANTS_INTERRUPT);
      a.xor(EBX, EBX);
      publish(a);
    }));
    try (RealThreads threads = RealThreads.start(vm, polling)) {
      RunResult result = vm.run(Long.MAX_VALUE);
      assertThat(result.end()).as(result.toString()).isEqualTo(End.GUEST_EXIT);
    }
    assertThat(vm.now()).as("no device of the machine has made time jump").isLessThan(1_000_000);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldLetTimeJumpWhenNothingIsInFlight(Mode mode) {
    Vm vm = ring(mode, 0);
    Machines.boot(vm, a -> {
      a.sti();
      a.hlt();
    });
    try (RealThreads threads = RealThreads.start(vm, HostPolling.period(10_000))) {
      assertThat(vm.run(Long.MAX_VALUE).end()).isEqualTo(End.HALTED);
    }
  }

  /** It is never quiet, so time passes as on the host, and the timer that the guest waits for comes. */
  @Test
  void shouldLetTimePassBesideADeviceThatIsAlwaysBusy() {
    Vm vm = new VmBuilder(Machines.options(Mode.EPT))
        .polled(DeviceSetup.polled(() -> new Spinner(new AtomicBoolean(true)), PollPolicy.never())
        .withDoorbell(DOORBELL)).build();
    Machines.boot(vm, DeviceInterruptTest.guest(0x20, a -> {
      DeviceInterruptTest.out(a, 0x20, 0x60);
    }, a -> {
      DeviceInterruptTest.startPics(a, 0xFFFE);
      DeviceInterruptTest.out(a, 0x43, 0x34);
      DeviceInterruptTest.out(a, 0x40, 0xA9);
      DeviceInterruptTest.out(a, 0x40, 0x04);
      a.mov(RDI, WINDOW);
      a.mov(ptr(RDI).d(), 1);
    }));
    try (RealThreads threads = RealThreads.start(vm, HostPolling.spin())) {
      assertThat(vm.run(Long.MAX_VALUE).end()).isEqualTo(End.GUEST_EXIT);
    }
    assertThat(vm.deviceHosts().get(0).lastPoll()).isEqualTo(Poll.BUSY);
  }

  @Test
  void shouldLetOthersWaitWhenNothingIsInFlight() {
    Vm vm = ring(Mode.EPT, 0);
    Machines.boot(vm, a -> {
      a.sti();
      a.hlt();
    });
    long[] asked = new long[2];
    Idle keyboard = (now, until) -> {
      asked[0]++;
      asked[1] = until;
      return until;
    };
    vm.setIdle(keyboard);
    try (RealThreads threads = RealThreads.start(vm, HostPolling.spin())) {
      assertThat(vm.run(Long.MAX_VALUE).end()).isEqualTo(End.HALTED);
    }
    assertThat(asked).containsExactly(1, Long.MAX_VALUE);
    assertThat(vm.idle()).isSameAs(keyboard);
  }

  @Test
  void shouldGoOnWithoutADeviceThatThrows() {
    Vm vm = new VmBuilder(Machines.options(Mode.EPT)).deviceReport(line -> { })
        .polled(DeviceSetup.polled(() -> new RequestDevice("bad", Window.anywhere(4096), 0), PollPolicy.never())
            .withLimits(new StepLimits(1, 4))).build();
    Machines.boot(vm, a -> {
      a.mov(RDI, WINDOW);
      a.mov(ptr(RDI).d(), 1);
      a.mov(ECX, 1_000_000);
      Label loop = a.here();
      a.dec(ECX);
      a.jnz(loop);
      a.sti();
      a.hlt();
    });
    try (RealThreads threads = RealThreads.start(vm, HostPolling.spin())) {
      assertThat(vm.run(Long.MAX_VALUE).end()).isEqualTo(End.HALTED);
    }
    assertThat(vm.deviceHosts().get(0).state()).isEqualTo(DeviceHost.State.STOPPED);
  }

  /** Spins when a request comes, without touching its port, until the test is over. */
  private static final class Spinner implements PolledDevice {
    private final AtomicBoolean over;
    private DeviceContext context;

    Spinner(AtomicBoolean over) {
      this.over = over;
    }

    @Override
    public String name() {
      return "spinner";
    }

    @Override
    public List<Window> windows() {
      return List.of(Window.anywhere(4096));
    }

    @Override
    public void attach(DeviceContext given) {
      context = given;
    }

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      if (memory.poll32(context.window(0).gpa()) == 0) {
        return Poll.IDLE;
      }
      while (!over.get()) {
        Thread.onSpinWait();
      }
      memory.put32(context.window(0).gpa(), 2);
      return Poll.BUSY;
    }
  }

  /**
   * Both a guest that runs and one that sleeps go on; so does one that ends meanwhile, as closing waits no longer than
   * a step may take.
   */
  @ParameterizedTest
  @ValueSource(strings = {"runs", "sleeps", "ends"})
  void shouldGoOnWithoutADeviceThatDoesNotReturn(String guest) {
    AtomicBoolean over = new AtomicBoolean();
    List<String> reports = Collections.synchronizedList(new ArrayList<>());
    Vm vm = new VmBuilder(Machines.options(Mode.EPT)).deviceReport(reports::add)
        .polled(DeviceSetup.polled(() -> new Spinner(over), PollPolicy.never())
        .withLimits(StepLimits.DEFAULT.withHostTime(Duration.ofSeconds(1))).withIrq(5)).build();
    Machines.boot(vm, a -> {
      a.mov(RDI, WINDOW);
      a.mov(ptr(RDI).d(), 1);
      if (guest.equals("sleeps")) {
        a.sti();
        a.hlt();
      } else if (guest.equals("ends")) {
        a.mov(ECX, 1_000_000);
        Label loop = a.here();
        a.dec(ECX);
        a.jnz(loop);
        Machines.exit(a, 0);
      } else {
        Label loop = a.here();
        a.jmp(loop);
      }
    });
    try (RealThreads threads = RealThreads.start(vm, HostPolling.spin())) {
      boolean runs = guest.equals("runs");
      RunResult result = vm.run(runs ? 1_000_000 : Long.MAX_VALUE);
      while (runs && reports.isEmpty()) {
        result = vm.run(100_000);
      }
      assertThat(result.end()).isEqualTo(runs ? End.BUDGET : guest.equals("ends") ? End.GUEST_EXIT : End.HALTED);
    }
    DeviceHost host = vm.deviceHosts().get(0);
    assertThat(host.state()).isEqualTo(DeviceHost.State.STOPPED);
    assertThat(reports).singleElement().asString()
        .startsWith("device spinner: stopped in step " + host.steps() + ": did not return within 1 s, at ");
    over.set(true);
    assertThat(vm.guestMemory().read(WINDOW, 4)).isEqualTo(1);
  }

  @Test
  void shouldRefuseAMachineWhoseDevicesAreAllPolledOtherwise() {
    Vm vm = new VmBuilder(Machines.options(Mode.EPT)).requestDevices(100).build();
    assertThatThrownBy(() -> RealThreads.start(vm, HostPolling.spin())).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected a device whose poll policy is never");
  }
}
