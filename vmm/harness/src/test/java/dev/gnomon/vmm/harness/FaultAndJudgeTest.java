package dev.gnomon.vmm.harness;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.vmm.polled.dma.DmaPort;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each fault does what it says, and each judge sees what it is for. */
class FaultAndJudgeTest {
  private static final int REQUESTS = 3;

  private static Rig.Device requests(Rig rig) {
    Rig.Device device = rig.attach(RequestDevice::new);
    rig.driver("driver", port -> {
      long page = device.window(0);
      for (int i = port.u32(page + RequestDevice.COMPLETE) + 1; i <= REQUESTS; i++) {
        port.begin(i);
        port.put32(page + RequestDevice.OPERATION, RequestDevice.OP_ADD);
        port.put64(page + RequestDevice.OPERAND_A, i);
        port.put32(page + RequestDevice.SUBMIT, i);
        while (port.u32(page + RequestDevice.COMPLETE) != i) {
          port.pause();
        }
        port.end(i);
      }
    });
    return device;
  }

  private static Report explore(int schedules, Consumer<Rig> test) {
    return Exploration.of("test").withSchedules(schedules).run(test);
  }

  private static void shouldFail(String message, Consumer<Rig> test) {
    Report report = explore(500, test);
    assertThat(report.isClean()).isFalse();
    assertThat(report.failure().cause()).hasMessageContaining(message);
  }

  private static void shouldPass(int schedules, Consumer<Rig> test) {
    Report report = explore(schedules, test);
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
  }

  @Test
  void shouldServeTheRequestDeviceUnderEveryFaultThatItMustBear() {
    shouldPass(2000, rig -> {
      requests(rig);
      rig.inject(Fault.crash(2)).inject(Fault.spuriousKick(3)).inject(Fault.spuriousInterrupt(2));
      rig.inject(Fault.delayPoll(Duration.ofNanos(10), Duration.ofNanos(500)));
      rig.run().assertFinished().assertCompletedExactlyOnce().assertNoDoubleFetch().assertDmaConfined().assertNoExits()
          .assertBoundedStep(10, 100);
    });
  }

  @Test
  void shouldMakeRequestsWaitForADelayedPoll() {
    Function<Duration, Consumer<Rig>> test = delay -> rig -> {
      requests(rig);
      rig.inject(Fault.delayPoll(delay, delay));
      rig.run().assertLatencyBelow(100, Duration.ofNanos(1500));
    };
    shouldPass(300, test.apply(Duration.ofNanos(10)));
    shouldFail("latency: ", test.apply(Duration.ofNanos(5000)));
  }

  @Test
  void shouldShowOldValuesInOrder() {
    Set<String> seen = new TreeSet<>();
    shouldPass(2000, rig -> {
      int[] r = new int[2];
      rig.driver("writer", port -> {
        port.put32(0x100, 1);
        port.put32(0x100, 2);
      });
      rig.driver("reader", port -> {
        r[0] = port.u32(0x200) + port.u32(0x100);
        r[1] = port.u32(0x100);
      });
      rig.inject(Fault.staleRead(0x100, 4, 2));
      rig.run();
      seen.add(r[0] + "" + r[1]);
    });
    assertThat(seen).containsExactly("00", "01", "02", "11", "12", "22");
  }

  @Test
  void shouldLoseInterruptsOnlyIfToldSo() {
    Function<Boolean, Consumer<Rig>> test = lossy -> rig -> {
      Rig.Device ring = rig.attach(SharedRing::new);
      rig.driver("driver", port -> {
        port.put32(ring.window(0) + SharedRing.GUEST_FLAGS, SharedRing.WANTS_INTERRUPT);
        port.put32(ring.window(0) + SharedRing.PRODUCER, 1);
        port.fence();
        while (port.u32(ring.window(0) + SharedRing.CONSUMER) != 1) {
          port.halt();
        }
      });
      if (lossy) {
        rig.inject(Fault.dropInterrupt(1));
      }
      rig.run().assertNoLostWakeup();
    };
    shouldPass(2000, test.apply(false));
    shouldFail("lost wake-up: driver sleeps until an interrupt", test.apply(true));
  }

  @Test
  void shouldTakePagesAwayFromUnderADevice() {
    Set<Long> statuses = new TreeSet<>();
    shouldPass(2000, rig -> {
      Rig.Device ring = rig.attach(SharedRing::new);
      long entry = ring.window(0) + SharedRing.ENTRY_0;
      rig.driver("driver", port -> {
        port.put64(entry + SharedRing.ADDRESS, 0x5000);
        port.put32(entry + SharedRing.LENGTH, 64);
        port.put32(entry + SharedRing.OPERATION, SharedRing.OP_FILL);
        port.put32(ring.window(0) + SharedRing.PRODUCER, 1);
      });
      rig.domain(dev.gnomon.vmm.polled.dma.DmaDomain.Policy.ALL_RAM).inject(Fault.unmap(0x5000, 4096)).run();
      statuses.add(rig.read(entry + SharedRing.STATUS, 4));
    });
    assertThat(statuses).containsExactly((long) SharedRing.STATUS_DONE, (long) SharedRing.STATUS_BAD_BUFFER);
  }

  /** What one schedule loses is there again in the next. */
  @Test
  void shouldGivePagesBackForTheNextSchedule() {
    int[] schedules = new int[1];
    int[] refused = new int[2];
    shouldPass(400, rig -> {
      int loses = schedules[0]++ % 2;
      Rig.Device device = device(rig, (self, memory) -> {
        memory.put32(self.page, 1);
        refused[loses] += memory.takeFault() == null ? 0 : 1;
      });
      rig.driver("driver", port -> port.put32(0x100, 1));
      if (loses == 1) {
        rig.inject(Fault.unmap(device.window(0), 4096));
      }
      rig.run();
    });
    assertThat(refused[0]).isZero();
    assertThat(refused[1]).isPositive();
  }

  @Test
  void shouldMovePagesWithoutTheDevicesNoticing() {
    Set<Long> misses = new TreeSet<>();
    shouldPass(500, rig -> {
      Rig.Device ring = rig.attach(SharedRing::new);
      long entry = ring.window(0) + SharedRing.ENTRY_0;
      rig.driver("driver", port -> {
        for (int i = 0; i < 2; i++) {
          port.put64(entry + i * SharedRing.ENTRY_BYTES + SharedRing.ADDRESS, 0x5000);
          port.put32(entry + i * SharedRing.ENTRY_BYTES + SharedRing.LENGTH, 64);
          port.put32(entry + i * SharedRing.ENTRY_BYTES + SharedRing.OPERATION, SharedRing.OP_FILL);
          port.put32(ring.window(0) + SharedRing.PRODUCER, i + 1);
        }
      });
      Outcome outcome = rig.inject(Fault.remap(0x5000, 4096)).run().assertDmaConfined();
      misses.add(outcome.work().translationMisses());
      assertThat(rig.read(entry + SharedRing.STATUS, 4)).isEqualTo(SharedRing.STATUS_DONE);
    });
    assertThat(misses).hasSizeGreaterThan(1);
  }

  @Test
  void shouldTakeTimeUntilAnotherProcessTakesOver() {
    Function<Duration, Consumer<Rig>> test = restart -> rig -> {
      requests(rig);
      rig.inject(Fault.crash(1, restart)).run().assertFinished().assertCompletedExactlyOnce()
          .assertLatencyBelow(100, Duration.ofNanos(2500));
    };
    shouldPass(500, test.apply(Duration.ofNanos(100)));
    shouldFail("latency: ", test.apply(Duration.ofMillis(1)));
  }

  /**
   * The ring refuses whatever a hostile side writes, request by request, and a hostile device does not harm a driver
   * that checks.
   */
  @Test
  void shouldWriteWhatBreaksRings() {
    Set<Long> statuses = new TreeSet<>();
    boolean[] failed = new boolean[1];
    shouldPass(2000, rig -> {
      Rig.Device ring = rig.attach(SharedRing::new);
      rig.attach(() -> new RequestDevice("other", Window.anywhere(4096), 0));
      long entry = ring.window(0) + SharedRing.ENTRY_0;
      rig.driver("driver", port -> {
        port.put64(entry + SharedRing.ADDRESS, 0x5000);
        port.put32(entry + SharedRing.LENGTH, 64);
        port.put32(entry + SharedRing.OPERATION, SharedRing.OP_FILL);
        port.put32(ring.window(0) + SharedRing.PRODUCER, 1);
      });
      rig.inject(Fault.hostileIndex(ring.window(0) + SharedRing.PRODUCER, SharedRing.ENTRIES))
          .inject(Fault.hostileLength(entry + SharedRing.LENGTH))
          .inject(Fault.hostileAddress(entry + SharedRing.ADDRESS));
      rig.run().assertBoundedStep(512, 1 << 20).assertNoDoubleFetch();
      statuses.add(rig.read(entry + SharedRing.STATUS, 4));
      failed[0] |= ring.host().state() == DeviceHost.State.ERROR;
      assertThat(rig.read(0x4FF8, 8)).isZero();
    });
    assertThat(statuses).contains((long) SharedRing.STATUS_DONE, (long) SharedRing.STATUS_BAD_BUFFER);
    assertThat(failed[0]).as("an index that cannot be is an error of the ring").isTrue();
  }

  @Test
  void shouldTestDriversWithHostileDevices() {
    Function<Boolean, Consumer<Rig>> test = checks -> rig -> {
      Rig.Device ring = rig.attach(SharedRing::new);
      long consumer = ring.window(0) + SharedRing.CONSUMER;
      rig.driver("driver", port -> {
        byte[] taken = new byte[4];
        int seen = port.u32(consumer);
        if (checks && Integer.compareUnsigned(seen, taken.length) > 0) {
          return;
        }
        for (int i = 0; i != seen; i++) {
          taken[i]++;
        }
      });
      rig.inject(Fault.hostileIndex(consumer, 4)).inject(Fault.spuriousInterrupt(1)).run();
    };
    shouldPass(300, test.apply(true));
    shouldFail("Index 4 out of bounds for length 4", test.apply(false));
  }

  @Test
  void shouldCountWhatWasDone() {
    shouldPass(50, rig -> {
      Rig.Device ring = rig.attach(SharedRing::new);
      rig.driver("driver", port -> {
        port.put32(ring.window(0) + SharedRing.PRODUCER, 1);
        port.fence();
        port.cas32(0x100, 0, 1);
        port.kick(ring);
      });
      Work work = rig.run().work();
      assertThat(work.completions()).isEqualTo(1);
      assertThat(work.steps()).isGreaterThan(1).isGreaterThan(work.idleSteps());
      assertThat(work.fences()).as("two of the driver and some of the ring").isGreaterThan(2);
      assertThat(work.bytes()).isBetween(work.accesses(), 8 * work.accesses());
      assertThat(work.translationMisses()).isPositive();
      assertThat(work.doorbells()).isEqualTo(1);
      assertThat(work.exits()).isEqualTo(1);
    });
    Report report = explore(7, rig -> {
      device(rig, (self, memory) -> memory.fence());
      rig.run();
    });
    assertThat(report.work().fences()).isEqualTo(7);
    assertThat(report.work().stepsPerCompletion()).isZero();
    assertThat(report.summary()).startsWith("test: 7 schedules\n  0 completions in 7 steps (7 idle)");
  }

  @Test
  void shouldBeginAgainAfterAReset() {
    Set<Integer> boots = new TreeSet<>();
    shouldPass(2000, rig -> {
      int[] boot = new int[1];
      requests(rig);
      rig.driver("other", port -> boot[0] = port.boots());
      rig.inject(Fault.guestReset(1));
      rig.run().assertFinished();
      boots.add(boot[0]);
    });
    assertThat(boots).containsExactly(0, 1);
  }

  /** A device that does what it is told. */
  private static Rig.Device device(Rig rig, java.util.function.BiConsumer<OnePageDevice, DmaPort> step) {
    return rig.attach(() -> new OnePageDevice() {
      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        step.accept(this, memory);
        return Poll.SLEEP;
      }
    });
  }

  @Test
  void shouldJudgeCompletions() {
    shouldFail("completion of nothing: request 7", rig -> {
      device(rig, (self, memory) -> self.context.completed(7));
      rig.run().assertCompletedAtMostOnce();
    });
    shouldFail("never completed: request 7", rig -> {
      device(rig, (self, memory) -> { });
      rig.driver("driver", port -> port.begin(7));
      rig.run().assertCompletedExactlyOnce();
    });
    shouldFail("length beyond what was written: device says that it wrote 9 bytes for request 1, and wrote 8", rig -> {
      device(rig, (self, memory) -> {
        self.context.pin(0x5000, 8, true);
        memory.put64(0x5000, 1);
        self.context.completed(1, 9);
      });
      rig.run().assertUsedLenWithinWritten();
    });
  }

  @Test
  void shouldJudgeWhatADeviceTouches() {
    shouldFail("refused access: device: read of 0x5000 refused: NO_READ", rig -> {
      device(rig, (self, memory) -> {
        memory.u32(0x5000);
        memory.takeFault();
      });
      rig.run().assertDmaConfined();
    });
    shouldFail("access before the driver was ready: device read 4 bytes at 0x5000", rig -> {
      device(rig, (self, memory) -> {
        self.context.pin(0x5000, 4, false);
        memory.u32(0x5000);
      });
      rig.driver("driver", port -> {
        port.put32(0x6000, 1);
        port.ready();
      });
      rig.requireReady().run().assertNoAccessBeforeReady();
    });
    shouldPass(10, rig -> {
      Rig.Device device = device(rig, (self, memory) -> {
        memory.poll32(self.page);
        memory.poll32(self.page);
        memory.put32(self.page + 8, 1);
        memory.u32(self.page + 8);
      });
      rig.run().assertNoDoubleFetch();
      assertThat(rig.read(device.window(0) + 8, 4)).isEqualTo(1);
    });
  }

  @Test
  void shouldJudgeExitsStepsAndTimes() {
    shouldFail("exit: trap at 0xfeb00000", rig -> {
      rig.driver("driver", port -> port.trap(0xFEB00000L));
      rig.run().assertNoExits(0xFEB00000L, 4096);
    });
    shouldFail("exit: trap", rig -> {
      rig.driver("driver", port -> port.trap(0x100));
      rig.run().assertNoExits();
    });
    shouldFail("exits: 2 by doorbell, expected at most 1", rig -> {
      Rig.Device device = device(rig, (self, memory) -> { });
      rig.driver("driver", port -> {
        port.kick(device);
        port.kick(device);
      });
      rig.run().assertNoExits(0, 4096).assertExits("doorbell", 1);
    });
    shouldFail("long step: 5 accesses, 20 bytes", rig -> {
      device(rig, (self, memory) -> {
        for (int i = 0; i < 5; i++) {
          memory.put32(self.page + 4 * i, 1);
        }
      });
      rig.run().assertBoundedStep(4, 100);
    });
    shouldFail("more than 3 accesses or 100 bytes in one step", rig -> {
      device(rig, (self, memory) -> {
        while (true) {
          memory.poll32(self.page);
        }
      });
      rig.limits(new StepLimits(3, 100)).run();
    });
    shouldFail("never came true", rig -> rig.run().assertEventually(() -> false, Duration.ofSeconds(1)));
    shouldFail("too late", rig -> {
      rig.driver("driver", port -> port.put32(0x100, 1));
      rig.run().assertEventually(() -> true, Duration.ZERO);
    });
    shouldFail("too long", rig -> {
      device(rig, (self, memory) -> { });
      rig.driver("a", port -> {
        for (int i = 0; ; i++) {
          port.put32(0x100, i);
        }
      });
      rig.run().assertNoLostWakeup().assertFinished();
    });
  }

  @Test
  void shouldPassOnWhatADeviceOrDriverThrows() {
    shouldFail("bug", rig -> {
      device(rig, (self, memory) -> {
        throw new IllegalStateException("bug");
      });
      rig.run();
    });
    shouldFail("expected it to depend on its port and local variables alone", rig -> {
      int[] calls = new int[1];
      rig.driver("a", port -> {
        port.put32(0x100, ++calls[0]);
        port.put32(0x104, 1);
      });
      rig.driver("b", port -> port.put32(0x200, 1));
      rig.run();
    });
  }

  @ParameterizedTest
  @EnumSource(Strategy.class)
  void shouldDoTheSameAgainForTheSameSeed(Strategy strategy) {
    StringBuilder[] traces = {new StringBuilder(), new StringBuilder()};
    for (StringBuilder trace : traces) {
      Exploration.of("test").withStrategy(strategy).withSchedules(50).withSeed(99).run(rig -> {
        requests(rig);
        rig.inject(Fault.crash(1));
        rig.run();
        trace.append(java.util.Arrays.toString(rig.scheduler().taken())).append('\n');
      });
    }
    assertThat(traces[0].toString()).isEqualTo(traces[1].toString());
    assertThat(traces[0].toString().lines().distinct().count()).isGreaterThan(20);
  }

  @ParameterizedTest
  @ValueSource(strings = {"-", "0*3.2.~1", "1.0.1", "~0*2.5*100"})
  void shouldReadReplaysThatItPrints(String text) {
    assertThat(Report.format(Report.parse(text))).isEqualTo(text);
  }

  @Test
  void shouldRefuseBadConfiguration() {
    assertThatThrownBy(() -> Report.parse("0*x")).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("0*x");
    assertThatThrownBy(() -> Exploration.of("test").withSchedules(0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Exploration.of("test").withStoreBuffer(65)).isInstanceOf(IllegalArgumentException.class);
    shouldFail("overlaps", rig -> {
      rig.attach(() -> new RequestDevice("one", Window.at(0x2000000, 4096), 0));
      rig.attach(() -> new RequestDevice("two", Window.at(0x2000000, 4096), 0));
      rig.run();
    });
    shouldFail("expected devices, drivers and faults before that", rig -> {
      rig.run();
      rig.attach(RequestDevice::new);
    });
  }

  @Test
  void shouldKeepLatenciesOfAllRequests() {
    Report report = explore(100, rig -> {
      requests(rig);
      rig.run().assertFinished();
    });
    assertThat(report.latencies().getTotalCount()).isEqualTo(100 * REQUESTS);
    assertThat(report.latencies().getMaxValue()).isBetween(50L, 100_000L);
  }
}
