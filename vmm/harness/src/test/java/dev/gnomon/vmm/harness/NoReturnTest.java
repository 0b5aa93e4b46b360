package dev.gnomon.vmm.harness;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.time.Duration;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Devices and drivers that do not come back fail their test, by name and with their stack, instead of keeping it for
 * ever.
 */
class NoReturnTest {
  private static final Duration LIMIT = Duration.ofMillis(500);

  private volatile boolean over;

  @AfterEach
  void letThreadsEnd() {
    over = true;
  }

  private void spin() {
    while (!over) {
      Thread.onSpinWait();
    }
  }

  private Report explore(Consumer<Rig> test) {
    return Exploration.of("test").withSchedules(1000).withSeed(100).withStepLimit(LIMIT).run(test);
  }

  /** Spins in its third step if the driver has written by then, without touching its port. */
  private final class Spinner extends OnePageDevice {
    private int steps;

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      if (++steps == 3 && memory.u32(page) != 0) {
        spin();
      }
      return steps < 4 ? Poll.BUSY : Poll.IDLE;
    }
  }

  private void spinner(Rig rig) {
    Rig.Device device = rig.attach(Spinner::new);
    rig.driver("driver", port -> port.put32(device.window(0), 1));
    rig.run();
  }

  @Test
  void shouldFailWithTheDeviceTheStepTheSeedAndTheStack() {
    Report report = explore(this::spinner);
    assertThat(report.isClean()).isFalse();
    HarnessFailure failure = (HarnessFailure) report.failure().cause();
    assertThat(failure.kind()).isEqualTo("no return");
    assertThat(report.failure().seed()).isEqualTo(100 + report.schedules() - 1);
    assertThat(report.describe("mvn test"))
        .startsWith("no return: device device, step 3 has not returned for 0.5 s\n    at ")
        .contains("NoReturnTest.spin(NoReturnTest.java:", "NoReturnTest$Spinner.step(NoReturnTest.java:",
            "seed " + report.failure().seed(), "load device+0x0/4 = 0x1",
            "replay: mvn test -Dpolled.replay=").doesNotContain("DeviceActor.act");
    Report again = Exploration.of("test").withStepLimit(LIMIT).replay(report.failure().replay(), this::spinner);
    assertThat(again.failure().cause()).hasMessageStartingWith("no return: device device, step 3");
  }

  @ParameterizedTest
  @ValueSource(strings = {"attach", "restart", "reset"})
  void shouldNameACallThatIsNoStep(String call) {
    Report report = explore(rig -> {
      rig.attach(() -> new OnePageDevice() {
        private void come(String here) {
          if (call.equals(here)) {
            spin();
          }
        }

        @Override
        public void attach(DeviceContext given) {
          super.attach(given);
          come("attach");
        }

        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          memory.put32(page, 1);
          return Poll.IDLE;
        }

        @Override
        public void restart(DmaPort memory) {
          come("restart");
        }

        @Override
        public void reset() {
          come("reset");
        }
      });
      rig.inject(Fault.crash(1)).inject(Fault.guestReset(1)).run();
    });
    assertThat(report.failure().cause())
        .hasMessageStartingWith("no return: device device, " + call + " has not returned");
  }

  @Test
  void shouldNameADriverThatDoesNotReturn() {
    Report report = explore(rig -> {
      rig.attach(() -> new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          return memory.u32(page) == 0 ? Poll.IDLE : Poll.BUSY;
        }
      });
      rig.driver("careless", port -> spin());
      rig.run();
    });
    assertThat(report.failure().cause()).hasMessageStartingWith("no return: driver careless has not returned");
  }

  @Test
  void shouldReportAFailureWhoseShorterFormsDoNotReturn() {
    Report report = explore(rig -> {
      int[] seen = new int[1];
      Rig.Device device = rig.attach(() -> new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          if (memory.u32(page) == 2) {
            seen[0]++;
          } else if (memory.u32(page + 4) == 1) {
            spin();
          }
          return Poll.IDLE;
        }
      });
      rig.driver("driver", port -> {
        port.put32(device.window(0), 2);
        port.fence();
        port.put32(device.window(0) + 4, 1);
        port.put32(device.window(0), 1);
      });
      rig.run();
      assertThat(seen[0]).isZero();
    });
    assertThat(report.isClean()).isFalse();
    assertThat(report.failure().timeline()).isNotEmpty();
  }

  @Test
  void shouldWaitAsLongAsItTakesWithoutALimit() {
    Report report = Exploration.of("test").withSchedules(1).withStepLimit(Duration.ZERO).run(rig -> {
      rig.driver("slow", port -> {
        try {
          Thread.sleep(2 * LIMIT.toMillis());
        } catch (InterruptedException e) {
          throw new IllegalStateException(e);
        }
      });
      rig.run().assertFinished();
    });
    assertThat(report.isClean()).isTrue();
    assertThatThrownBy(() -> Exploration.of("test").withStepLimit(Duration.ofSeconds(-1)))
        .hasMessageContaining("expected at least 0");
  }

  /** A device that is left comes back before the next schedule begins, and must not go on with this one. */
  @Test
  void shouldEndAThreadThatComesBack() {
    Thread[] worker = new Thread[1];
    Report report = explore(rig -> {
      rig.attach(() -> new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          worker[0] = worker[0] == null ? Thread.currentThread() : worker[0];
          try {
            Thread.sleep(Duration.ofMinutes(5).toMillis());
          } catch (InterruptedException e) {
            return Poll.BUSY;
          }
          return Poll.IDLE;
        }
      });
      rig.run();
    });
    assertThat(report.failure().cause()).hasMessageStartingWith("no return: device device, step 1");
    while (worker[0].isAlive()) {
      Thread.onSpinWait();
    }
  }
}
