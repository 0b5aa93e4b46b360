package dev.gnomon.vmm.harness;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.dma.DmaPort;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The bug of this class of devices: who goes to sleep says so and looks once more, who publishes looks whether the
 * other sleeps; if either load passes its store, nobody wakes anybody.
 */
class LostWakeupTest {
  private static final int PRODUCER = 0x00;
  private static final int CONSUMER = 0x40;
  private static final int ASLEEP = 0x80;

  /** Completes what was published, and sleeps when there is nothing. */
  private static final class Sleeper extends OnePageDevice {
    private final boolean fenced;
    private int consumer;

    Sleeper(boolean fenced) {
      this.fenced = fenced;
    }

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      int producer = memory.poll32(page + PRODUCER);
      if (producer == consumer) {
        memory.put32(page + ASLEEP, 1);
        if (fenced) {
          memory.fence();
        }
        producer = memory.poll32(page + PRODUCER);
        if (producer == consumer) {
          return Poll.SLEEP;
        }
      }
      memory.put32(page + ASLEEP, 0);
      while (consumer != producer) {
        consumer++;
        memory.put32(page + CONSUMER, consumer);
        context.completed(consumer);
      }
      return Poll.BUSY;
    }
  }

  private static void test(Rig rig, int requests, boolean driverFence, boolean deviceFence) {
    Rig.Device device = rig.attach(() -> new Sleeper(deviceFence));
    rig.driver("driver", port -> {
      for (int i = 1; i <= requests; i++) {
        port.begin(i);
        port.put32(device.window(0) + PRODUCER, i);
        if (driverFence) {
          port.fence();
        }
        if (port.u32(device.window(0) + ASLEEP) != 0) {
          port.kick(device);
        }
        while (port.u32(device.window(0) + CONSUMER) != i) {
          port.pause();
        }
        port.end(i);
      }
    });
    rig.run().assertNoLostWakeup().assertCompletedExactlyOnce().assertNoDoubleFetch().assertDmaConfined();
  }

  private static final Exploration EXPLORATION = Exploration.of("lost wake-up").withSchedules(200_000);

  @Test
  void shouldNotShowWithoutStoreBuffers() {
    assertThat(EXPLORATION.withModel(MemoryModel.SC).run(rig -> test(rig, 2, false, false)).isClean()).isTrue();
  }

  @ParameterizedTest
  @CsvSource({"false, false, RANDOM", "true, false, RANDOM", "false, true, RANDOM", "false, false, PCT",
      "true, false, PCT", "false, true, PCT", "false, false, EXHAUSTIVE", "true, false, EXHAUSTIVE",
      "false, true, EXHAUSTIVE"})
  void shouldBeFoundUnderTsoIfAFenceIsMissing(boolean driverFence, boolean deviceFence, Strategy strategy) {
    Report report = EXPLORATION.withStrategy(strategy).run(rig -> test(rig, 2, driverFence, deviceFence));
    assertThat(report.isClean()).isFalse();
    assertThat(report.failure().cause()).isInstanceOf(HarnessFailure.class)
        .hasMessageStartingWith("lost wake-up: driver waits").hasMessageContaining("device sleeps");
    assertThat(report.failure().choices().length).isLessThanOrEqualTo(report.failure().foundChoices());
    Report again = EXPLORATION.replay(report.failure().replay(), rig -> test(rig, 2, driverFence, deviceFence));
    assertThat(again.failure().timeline()).isEqualTo(report.failure().timeline());
    assertThat(again.failure().cause()).hasMessage(report.failure().cause().getMessage());
    // Both fences mend that very schedule.
    assertThat(EXPLORATION.replay(report.failure().replay(), rig -> test(rig, 2, true, true)).isClean()).isTrue();
  }

  @Test
  void shouldBeCleanWithBothFences() {
    assertThat(EXPLORATION.run(rig -> test(rig, 2, true, true)).isClean()).isTrue();
    assertThat(EXPLORATION.withStrategy(Strategy.PCT).withSchedules(20_000).run(rig -> test(rig, 2, true, true))
        .isClean()).isTrue();
  }

  @Test
  void shouldBeCleanWithBothFencesInEverySchedule() {
    Report report = EXPLORATION.withStrategy(Strategy.EXHAUSTIVE).withSchedules(100_000)
        .run(rig -> test(rig, 1, true, true));
    assertThat(report.isClean()).isTrue();
    assertThat(report.complete()).isTrue();
  }

  @Test
  void shouldTellHowItCameAboutAndHowToRunItAgain() {
    Report report = EXPLORATION.run(rig -> test(rig, 1, false, false));
    assertThat(report.describe("mvn test -Dtest='X#y'"))
        .contains("lost wake-up: driver waits for memory to change; device sleeps until its doorbell rings",
        "found in schedule ", "TSO with 8 stores, seed ", "shortened from ", "driver",
        "store (buffered) device+0x0/4 = 0x1", "store becomes visible device+0x0/4 = 0x1",
        "replay: mvn test -Dtest='X#y' -Dpolled.replay=");
  }

  @PolledDeviceTest(schedules = 5_000)
  void shouldRunAsATestOfJUnit(Rig rig) {
    test(rig, 3, true, true);
  }
}
