package dev.gnomon.vmm.polled;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.polled.DeviceHost.State;
import dev.gnomon.vmm.polled.dma.DmaPort;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.io.ByteArrayOutputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Devices that throw whatever can be thrown, or do not come back: stopped, named, and cut off from all that they had.
 */
class UntrustedDeviceTest {
  private static final Duration LIMIT = Duration.ofSeconds(1);
  private static final Duration AMPLE = Duration.ofMinutes(5);

  /** A device that does nothing, to be made worse. */
  private static class Bad implements PolledDevice {
    DeviceContext context;

    @Override
    public String name() {
      return "bad";
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
      return Poll.IDLE;
    }
  }

  private static DeviceSetup setup(Supplier<? extends PolledDevice> factory, Duration limit) {
    return DeviceSetup.polled(factory, PollPolicy.period(100)).withIrq(5)
        .withLimits(StepLimits.DEFAULT.withHostTime(limit));
  }

  private static TestMachine machine(Supplier<? extends PolledDevice> factory, Duration limit) {
    return new TestMachine(setup(factory, limit));
  }

  private volatile boolean over;

  @AfterEach
  void letThreadsEnd() {
    over = true;
  }

  /** For a device for ever; no longer than the test, so that others are not disturbed. */
  private Poll spin() {
    while (!over) {
      Thread.onSpinWait();
    }
    return Poll.IDLE;
  }

  @Test
  void shouldStopADeviceThatNeverReturnsAndNameItsStep() {
    TestMachine machine = machine(() -> new Bad() {
      private int steps;

      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        return ++steps < 3 ? Poll.IDLE : spin();
      }
    }, LIMIT);
    for (int t = 100; t < 1000; t += 100) {
      machine.host().poll(t);
    }
    assertThat(machine.host().state()).isEqualTo(State.STOPPED);
    assertThat(machine.host().steps()).isEqualTo(3);
    assertThat(machine.reports).singleElement().asString()
        .startsWith("device bad: stopped in step 3: did not return within 1 s, at ").contains("UntrustedDeviceTest");
    machine.host().reset();
    assertThat(machine.host().state()).as("a reset does not mend a bug").isEqualTo(State.STOPPED);
    machine.host().domain().unmap(TestMachine.WINDOW, 4096);
  }

  /** What the device of {@link #shouldCutOffADeviceThatComesBackLate} tries when nobody waits for it any more. */
  private static List<Runnable> attempts(DmaPort memory, VirtualClock clock, DeviceContext context) {
    InterruptSink interrupt = context.interrupt();
    return List.of(() -> memory.put8(TestMachine.WINDOW, 1), () -> memory.put16(TestMachine.WINDOW, 1),
        () -> memory.put32(TestMachine.WINDOW, 1),
        () -> memory.put64(TestMachine.WINDOW, 1), () -> memory.write(TestMachine.WINDOW, new byte[] {1}, 0, 1),
        () -> memory.u8(TestMachine.WINDOW),
        () -> memory.u16(TestMachine.WINDOW), () -> memory.u32(0x5000), () -> memory.u64(TestMachine.WINDOW),
        () -> memory.poll32(TestMachine.WINDOW),
        () -> memory.poll64(TestMachine.WINDOW), () -> memory.read(TestMachine.WINDOW, new byte[1], 0, 1),
        () -> memory.snapshot(TestMachine.WINDOW, 1),
        () -> memory.cas32(TestMachine.WINDOW, 0, 1), () -> memory.cas64(TestMachine.WINDOW, 0, 1), memory::fence,
        memory::takeFault,
        () -> clock.sleepUntil(1), () -> context.pin(0x5000, 1, true), () -> context.unpin(0x5000, 1, true),
        () -> context.completed(1),
        () -> context.fail("late"), interrupt::raise);
  }

  @Test
  void shouldCutOffADeviceThatComesBackLate() throws InterruptedException {
    CountDownLatch release = new CountDownLatch(1);
    CountDownLatch done = new CountDownLatch(1);
    List<Runnable> passed = new ArrayList<>();
    int[] tried = new int[1];
    TestMachine machine = machine(() -> new Bad() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        List<Runnable> attempts = attempts(memory, clock, context);
        DurableState durable = context.durable();
        while (release.getCount() > 0) {
          Thread.onSpinWait();
        }
        for (Runnable attempt : attempts) {
          try {
            attempt.run();
            passed.add(attempt);
          } catch (IllegalStateException e) {
            tried[0]++;
          }
        }
        durable.put(0, 1);
        done.countDown();
        return Poll.BUSY;
      }
    }, LIMIT);
    machine.host().poll(100);
    assertThat(machine.host().state()).isEqualTo(State.STOPPED);
    release.countDown();
    done.await();
    assertThat(passed).isEmpty();
    assertThat(tried[0]).isEqualTo(23);
    assertThat(machine.memory.read(TestMachine.WINDOW, 8)).isZero();
    assertThat(machine.host().durable().get(0)).isZero();
    assertThat(machine.host().completed()).isZero();
    assertThat(machine.interrupts).isEmpty();
    assertThat(machine.host().domain().pinnedPages()).isZero();
    assertThat(machine.devices.faults().total()).isZero();
    assertThat(machine.reports).hasSize(1);
    assertThat(machine.host().lastPoll()).isEqualTo(Poll.DEAD);
  }

  @Test
  void shouldStopADeviceThatWaitsAndLetItsThreadEnd() throws InterruptedException {
    Thread[] carrier = new Thread[1];
    TestMachine machine = machine(() -> new Bad() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        carrier[0] = Thread.currentThread();
        try {
          Thread.sleep(AMPLE.toMillis());
        } catch (InterruptedException e) {
          return Poll.BUSY;
        }
        return Poll.IDLE;
      }
    }, LIMIT);
    machine.host().poll(100);
    assertThat(machine.reports).singleElement().asString()
        .startsWith("device bad: stopped in step 1: did not return within 1 s");
    carrier[0].join();
    assertThat(carrier[0].isDaemon()).isTrue();
  }

  @Test
  void shouldGoOnAfterACallerWasInterrupted() {
    TestMachine machine = machine(() -> new Bad() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        LockSupport.parkNanos(1_000_000);
        memory.put32(TestMachine.WINDOW, 7);
        return Poll.IDLE;
      }
    }, AMPLE);
    Thread.currentThread().interrupt();
    machine.host().poll(100);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(machine.memory.read(TestMachine.WINDOW, 4)).isEqualTo(7);
    assertThat(machine.reports).isEmpty();
  }

  @Test
  void shouldLetNoOtherThreadUseTheDevicesPort() {
    List<Throwable> thrown = new ArrayList<>();
    TestMachine machine = machine(() -> new Bad() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        Thread other = new Thread(() -> memory.put32(TestMachine.WINDOW, 1));
        other.setUncaughtExceptionHandler((thread, e) -> thrown.add(e));
        other.start();
        try {
          other.join();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
        return Poll.IDLE;
      }
    }, AMPLE);
    machine.host().poll(100);
    assertThat(thrown).singleElement().isInstanceOf(IllegalStateException.class);
    assertThat(machine.memory.read(TestMachine.WINDOW, 4)).isZero();
  }

  private static final class SpeechlessException extends RuntimeException {
    private static final long serialVersionUID = 1;

    @Override
    public String getMessage() {
      throw new IllegalStateException("no message either");
    }
  }

  private static final class NamelessError extends Error {
    private static final long serialVersionUID = 1;

    @Override
    public String toString() {
      return null;
    }
  }

  @SuppressWarnings("InfiniteRecursion")
  private static int recurse(DmaPort memory, int n) {
    if (n % 100 == 0) {
      memory.put32(TestMachine.WINDOW, n);
    }
    return recurse(memory, n + 1) + 1;
  }

  /** How a step ends badly. */
  @FunctionalInterface
  private interface End {
    Poll of(DmaPort memory);
  }

  private static Stream<Arguments> ends() {
    List<Arguments> ends = new ArrayList<>();
    for (Duration limit : List.of(Duration.ZERO, AMPLE)) {
      ends.add(Arguments.of("AssertionError: no", limit, (End) memory -> {
        throw new AssertionError("no");
      }));
      ends.add(Arguments.of("StackOverflowError", limit,
          (End) memory -> recurse(memory, 0) == 0 ? Poll.IDLE : Poll.BUSY));
      ends.add(Arguments.of("OutOfMemoryError", limit,
          (End) memory -> new long[Integer.MAX_VALUE].length == 0 ? Poll.IDLE : Poll.BUSY));
      ends.add(Arguments.of("ExceptionInInitializerError", limit, (End) memory -> {
        throw new ExceptionInInitializerError("static");
      }));
      ends.add(Arguments.of("InternalError: jvm", limit, (End) memory -> {
        throw new InternalError("jvm");
      }));
      ends.add(Arguments.of("SpeechlessException, which cannot be described", limit, (End) memory -> {
        throw new SpeechlessException();
      }));
      ends.add(Arguments.of("NamelessError, which cannot be described", limit, (End) memory -> {
        throw new NamelessError();
      }));
      ends.add(Arguments.of("ArithmeticException: two lines", limit, (End) memory -> {
        throw new ArithmeticException("two\n  lines");
      }));
      ends.add(Arguments.of("ArithmeticException: xxxx", limit, (End) memory -> {
        throw new ArithmeticException("x".repeat(1 << 20));
      }));
      ends.add(Arguments.of("returned null, expected a Poll", limit, (End) memory -> null));
      ends.add(Arguments.of("accesses or", limit, (End) memory -> {
        while (true) {
          memory.u8(TestMachine.WINDOW);
        }
      }));
    }
    return ends.stream();
  }

  @ParameterizedTest
  @MethodSource("ends")
  void shouldSayInOneLineWhateverAStepThrows(String said, Duration limit, End end) {
    TestMachine machine = machine(() -> new Bad() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        return end.of(memory);
      }
    }, limit);
    machine.host().poll(100);
    machine.host().poll(200);
    assertThat(machine.reports).singleElement().asString().startsWith("device bad: stopped in step 1: ").contains(said)
        .doesNotContain("\n").hasSizeLessThan(600);
    assertThat(machine.host().step(300)).isEqualTo(Poll.DEAD);
    machine.host().domain().unmap(TestMachine.WINDOW, 4096);
  }

  @Test
  void shouldGiveUpADeviceWhoseExceptionSpins() {
    TestMachine machine = machine(() -> new Bad() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        throw new RuntimeException() {
          private static final long serialVersionUID = 1;

          @Override
          public String toString() {
            return spin().toString();
          }
        };
      }
    }, LIMIT);
    machine.host().poll(100);
    assertThat(machine.reports).singleElement().asString().contains("did not return");
  }

  /** Spins or throws in the call named. */
  private final class BadAt extends Bad {
    private final String where;

    BadAt(String where) {
      this.where = where;
    }

    private void come(String here) {
      if (where.equals(here)) {
        throw new IllegalStateException("bug");
      }
      if (where.equals("no return from " + here)) {
        spin();
      }
    }

    @Override
    public void attach(DeviceContext given) {
      come("attach");
    }

    @Override
    public void reset() {
      come("reset");
    }

    @Override
    public void restart(DmaPort memory) {
      come("restart");
    }

    @Override
    public void save(DataOutput out) {
      come("save");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"attach", "reset", "restart", "save", "no return from attach", "no return from reset",
      "no return from restart", "no return from save"})
  void shouldStopADeviceThatFailsOutsideOfItsSteps(String where) throws IOException {
    boolean spins = where.startsWith("no");
    TestMachine machine = machine(() -> new BadAt(where), spins ? LIMIT : AMPLE);
    DeviceHost host = machine.host();
    if (where.endsWith("restart")) {
      host.restart();
    } else if (where.endsWith("reset")) {
      host.reset();
    } else if (where.endsWith("save")) {
      assertThatThrownBy(() -> host.save(new DataOutputStream(new ByteArrayOutputStream())))
          .isInstanceOf(IOException.class).hasMessageContaining("device bad: stopped in save");
    }
    assertThat(host.state()).isEqualTo(State.STOPPED);
    String what = where.substring(where.lastIndexOf(' ') + 1);
    assertThat(machine.reports).singleElement().asString()
        .startsWith("device bad: stopped in " + what + ": "
            + (spins ? "did not return within 1 s" : "java.lang.IllegalStateException: bug"));
    host.save(new DataOutputStream(new ByteArrayOutputStream()));
  }

  @Test
  void shouldGoOnWithAnotherInstanceAfterARestart() {
    int[] made = new int[1];
    TestMachine machine = machine(() -> {
      boolean bad = made[0]++ == 0;
      return new Bad() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          memory.put32(TestMachine.WINDOW, 7);
          return bad ? spin() : Poll.BUSY;
        }
      };
    }, LIMIT);
    machine.host().poll(100);
    machine.memory.write(TestMachine.WINDOW, 4, 0);
    machine.host().restart();
    assertThat(machine.host().state()).isEqualTo(State.RUNNING);
    machine.host().poll(200);
    assertThat(machine.memory.read(TestMachine.WINDOW, 4)).isEqualTo(7);
  }

  @Test
  void shouldAnswerTrappedAccessesWithTheRegistersOfADeviceThatWasGivenUp() {
    Supplier<PolledDevice> factory = () -> new Bad() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        memory.put32(context.window(0).gpa() + 4, 9);
        return spin();
      }
    };
    TestMachine machine =
        new TestMachine(DeviceSetup.mmio(factory, 0xFEB0_0000L).withLimits(StepLimits.DEFAULT.withHostTime(LIMIT)));
    MmioDevice front = (MmioDevice) machine.bus.mmioOwner(0xFEB0_0000L);
    front.write(0, 4, 5, 100);
    assertThat(machine.reports).singleElement().asString().startsWith("device bad: stopped in step 1: did not return");
    assertThat(front.read(0, 4, 200)).isEqualTo(5);
    assertThat(front.read(4, 4, 200)).isEqualTo(9);
    assertThat(machine.host().steps()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, 86_401})
  void shouldRefuseImpossibleLimits(long seconds) {
    assertThatThrownBy(() -> StepLimits.DEFAULT.withHostTime(Duration.ofSeconds(seconds)))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected 0 to 86400");
  }
}
