package dev.gnomon.vmm.polled;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.polled.DeviceHost.State;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.vmm.polled.dma.DmaPort;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The hypervisor's side of a device: when it is polled, and that none of its failures gets out. */
class DeviceHostTest {
  /** A device whose step is given. */
  private static final class Lambda implements PolledDevice {
    private final BiFunction<DmaPort, VirtualClock, Poll> step;
    DeviceContext context;

    Lambda(BiFunction<DmaPort, VirtualClock, Poll> step) {
      this.step = step;
    }

    @Override
    public String name() {
      return "lambda";
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
      return step.apply(memory, clock);
    }
  }

  private static TestMachine machine(BiFunction<DmaPort, VirtualClock, Poll> step) {
    return new TestMachine(DeviceSetup.polled(() -> new Lambda(step), PollPolicy.period(100)));
  }

  @Test
  void shouldPollWhenTheDoorbellHasWokenItsThread() {
    DeviceHost host =
        new TestMachine(DeviceSetup.polled(() -> new Lambda((memory, clock) -> Poll.BUSY), PollPolicy.doorbell(2000)))
        .host();
    assertThat(host.nextPoll()).isEqualTo(Long.MAX_VALUE);
    host.ring(500);
    host.ring(700);
    assertThat(host.nextPoll()).as("one wake-up").isEqualTo(2500);
    host.poll(2499);
    assertThat(host.steps()).isZero();
    host.poll(2500);
    assertThat(host.steps()).isEqualTo(1);
    assertThat(host.nextPoll()).as("before the next ring").isEqualTo(Long.MAX_VALUE);
    assertThatThrownBy(() -> PollPolicy.doorbell(-1)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected at least 0");
  }

  @Test
  void shouldPollOnlyWhenItsTimeHasCome() {
    DeviceHost host = machine((memory, clock) -> Poll.IDLE).host();
    host.poll(99);
    assertThat(host.steps()).isZero();
    host.poll(100);
    assertThat(host.steps()).isEqualTo(1);
    assertThat(host.nextPoll()).isEqualTo(200);
    host.poll(1234);
    assertThat(host.steps()).as("one poll stands for all that a jump passed over").isEqualTo(2);
    assertThat(host.nextPoll()).isEqualTo(1300);
  }

  @Test
  void shouldLeaveASleeperAloneUntilItsDoorbellRings() {
    DeviceHost host = machine((memory, clock) -> Poll.SLEEP).host();
    host.poll(100);
    assertThat(host.nextPoll()).isEqualTo(Long.MAX_VALUE);
    host.ring(250);
    assertThat(host.nextPoll()).isEqualTo(250);
    host.poll(250);
    assertThat(host.steps()).isEqualTo(2);
    assertThat(host.doorbells()).isEqualTo(1);
  }

  @Test
  void shouldPollNoSoonerThanTheDeviceAsked() {
    DeviceHost host = machine((memory, clock) -> {
      clock.sleepUntil(clock.nanos() + 5000);
      return Poll.IDLE;
    }).host();
    host.poll(100);
    assertThat(host.nextPoll()).isEqualTo(5100);
  }

  @Test
  void shouldStopADeviceThatThrowsAndSaySoOnce() {
    TestMachine machine = machine((memory, clock) -> {
      throw new IllegalStateException("bug");
    });
    for (int t = 100; t < 1000; t += 100) {
      machine.host().poll(t);
    }
    assertThat(machine.host().state()).isEqualTo(State.STOPPED);
    assertThat(machine.reports)
        .containsExactly("device lambda: stopped in step 1: java.lang.IllegalStateException: bug");
    machine.host().reset();
    assertThat(machine.host().state()).as("a reset does not mend a bug").isEqualTo(State.STOPPED);
  }

  @SuppressWarnings("InfiniteRecursion")
  private static int recurse(int n) {
    return recurse(n + 1) + 1;
  }

  @Test
  void shouldStopADeviceThatRecursesForEver() {
    TestMachine machine = machine((memory, clock) -> recurse(0) == 0 ? Poll.IDLE : Poll.BUSY);
    machine.host().poll(100);
    assertThat(machine.host().failure()).contains("StackOverflowError");
  }

  @Test
  void shouldStopADeviceWhoseStepDoesNotEnd() {
    TestMachine machine = machine((memory, clock) -> {
      while (memory.u32(TestMachine.WINDOW) == 0) {
        Thread.onSpinWait();
      }
      return Poll.BUSY;
    });
    machine.host().poll(100);
    assertThat(machine.reports).singleElement().asString()
        .contains("device lambda: stopped in step 1", "more than 4096 accesses or 1048576 bytes in one step");
  }

  @Test
  void shouldBoundTheBytesOfAStep() {
    DeviceSetup setup = DeviceSetup.polled(() -> new Lambda((memory, clock) -> {
      for (int i = 0; i < 100; i++) {
        memory.snapshot(TestMachine.WINDOW, 100);
        memory.takeFault();
      }
      return Poll.IDLE;
    }), PollPolicy.period(100)).withLimits(new StepLimits(1000, 250));
    TestMachine machine = new TestMachine(setup);
    machine.host().poll(100);
    assertThat(machine.host().port().bytes()).isEqualTo(200);
    assertThat(machine.devices.faults().total()).isEqualTo(98);
    assertThatThrownBy(() -> new StepLimits(0, 1)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldPutADeviceThatIgnoresARefusalIntoItsErrorState() {
    TestMachine machine = machine((memory, clock) -> {
      memory.put32(TestMachine.WINDOW, memory.u32(0x5000));
      return Poll.BUSY;
    });
    machine.host().poll(100);
    machine.host().poll(200);
    assertThat(machine.host().state()).isEqualTo(State.ERROR);
    assertThat(machine.memory.read(TestMachine.WINDOW, 4)).isZero();
    assertThat(machine.reports).containsExactly(
        "device lambda: did not look at a refused access, lambda: read of 0x5000 refused: NO_READ");
    machine.host().reset();
    assertThat(machine.host().state()).isEqualTo(State.RUNNING);
  }

  @Test
  void shouldZeroTheWindowsAtAttachAndReset() {
    TestMachine machine = machine((memory, clock) -> Poll.IDLE);
    machine.memory.write(TestMachine.WINDOW + 0xFF8, 8, -1);
    machine.host().reset();
    assertThat(machine.memory.read(TestMachine.WINDOW + 0xFF8, 8)).isZero();
  }

  @Test
  void shouldKeepDurableStateOverARestartAndNotOverAReset() {
    TestMachine machine = machine((memory, clock) -> Poll.IDLE);
    PolledDevice first = machine.host().device();
    machine.host().durable().put(3, 77);
    machine.host().restart();
    assertThat(machine.host().device()).isNotSameAs(first);
    assertThat(machine.host().durable().get(3)).isEqualTo(77);
    machine.host().reset();
    assertThat(machine.host().durable().get(3)).isZero();
  }

  @Test
  void shouldWakeASleepingProcessorOnlyForWhatCanStillCome() {
    Poll[] result = {Poll.BUSY};
    TestMachine machine =
        new TestMachine(DeviceSetup.polled(() -> new Lambda((memory, clock) -> result[0]), PollPolicy.period(100))
        .withIrq(5));
    DeviceHost host = machine.host();
    host.poll(100);
    assertThat(host.nextWake(150)).as("not polled since the halt").isEqualTo(200);
    host.poll(200);
    assertThat(host.nextWake(150)).as("busy").isEqualTo(300);
    result[0] = Poll.IDLE;
    host.poll(300);
    assertThat(host.nextWake(150)).isEqualTo(Long.MAX_VALUE);
    ((Lambda) host.device()).context.interrupt().raise();
    assertThat(machine.interrupts).containsExactly(5);
    assertThat(machine(((memory, clock) -> Poll.BUSY)).host().nextWake(0)).as("no interrupt").isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void shouldGoOnFromSavedState() throws IOException {
    DeviceSetup setup = DeviceSetup.polled(RequestDevice::new, PollPolicy.random(7, 50, 150));
    TestMachine machine = new TestMachine(setup);
    DeviceHost host = machine.host();
    host.pin(0x5000, 0x3000, true);
    host.pin(0x6000, 8, false);
    host.durable().put(1, 5);
    machine.memory.write(TestMachine.WINDOW + RequestDevice.SUBMIT, 4, 1);
    host.poll(1000);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    host.save(new DataOutputStream(bytes));
    TestMachine other = new TestMachine(DeviceSetup.polled(RequestDevice::new, PollPolicy.random(0, 50, 150)));
    other.memory.write(TestMachine.WINDOW + RequestDevice.SUBMIT, 4, 1);
    other.host().load(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
    assertThat(other.host().nextPoll()).isEqualTo(host.nextPoll());
    assertThat(other.host().durable().get(1)).isEqualTo(5);
    assertThat(other.host().domain().pinnedPages()).isEqualTo(3);
    assertThat(other.host().completed()).isEqualTo(1);
    host.poll(2000);
    other.host().poll(2000);
    assertThat(other.host().nextPoll()).isEqualTo(host.nextPoll());
    assertThat(other.host().completed()).as("not served again").isEqualTo(1);
    byte[] wrong = bytes.toByteArray();
    wrong[3] = 9;
    assertThatThrownBy(() -> other.host().load(new DataInputStream(new ByteArrayInputStream(wrong))))
        .isInstanceOf(IOException.class).hasMessageContaining("version 9, expected 2");
  }

  @ParameterizedTest
  @CsvSource({"4097, '', expected a positive multiple of 4096", "0, '', expected a positive multiple",
      "4096, 0x800001, expected a multiple of 4096", "4096, 0x1000, low RAM", "4096, 0xc0000, ROM",
      "8192, 0x3ff000, RAM"})
  void shouldRefuseWindowsInImpossiblePlaces(long bytes, String at, String message) {
    assertThatThrownBy(() -> {
      Window window = at.isEmpty() ? Window.anywhere(bytes) : Window.at(Long.decode(at), bytes);
      new TestMachine(DeviceSetup.polled(() -> new RequestDevice("misplaced", window, 0), PollPolicy.never()));
    }).isInstanceOf(IllegalArgumentException.class).hasMessageContaining(message);
  }

  @Test
  void shouldNameBothOwnersOfAnOverlap() {
    DeviceSetup first =
        DeviceSetup.polled(() -> new RequestDevice("first", Window.at(0x800000, 4096), 0), PollPolicy.never());
    DeviceSetup second =
        DeviceSetup.polled(() -> new RequestDevice("second", Window.at(0x7FF000, 8192), 0), PollPolicy.never());
    assertThatThrownBy(() -> new TestMachine(first, second)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("first").hasMessageContaining("second");
    DeviceSetup mmio = DeviceSetup.mmio(() -> new RequestDevice("one", Window.anywhere(4096), 0), 0xFEB00000L);
    DeviceSetup same = DeviceSetup.mmio(() -> new RequestDevice("two", Window.anywhere(4096), 0), 0xFEB00000L);
    assertThatThrownBy(() -> new TestMachine(mmio, same)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("one").hasMessageContaining("two");
    assertThatThrownBy(() -> DeviceSetup.mmio(RequestDevice::new, 0xFEB00010L))
        .hasMessageContaining("expected a multiple of 4096");
    assertThatThrownBy(() -> DeviceSetup.ports(RequestDevice::new, 0x601))
        .hasMessageContaining("expected a multiple of 8");
    assertThatThrownBy(() -> DeviceSetup.ports(RequestDevice::new, 0x600).withIrq(16))
        .hasMessageContaining("expected 0 to 15");
  }

  @Test
  void shouldPollAdaptivelyAsLongAsThatPays() {
    PollPolicy policy = PollPolicy.adaptive(100, 32_000, 1_000_000);
    assertThat(policy.next(0, Poll.IDLE)).as("not polling yet").isEqualTo(1_000_000);
    assertThat(policy.next(3000, Poll.BUSY)).isEqualTo(3100);
    assertThat(policy.next(3100, Poll.IDLE)).as("a wait of 3 us would have been caught").isEqualTo(3200);
    assertThat(policy.next(7000, Poll.IDLE)).isEqualTo(7100);
    assertThat(policy.next(7100, Poll.IDLE)).as("4 us over").isEqualTo(1_007_100);
    policy.next(500_000, Poll.BUSY);
    assertThat(policy.next(500_100, Poll.IDLE)).as("the wait was longer than the greatest").isEqualTo(1_500_100);
  }
}
