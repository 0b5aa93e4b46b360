package dev.gnomon.vmm.harness;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.guests.DebianPackage;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Debian's kernel and busybox, as packaged, drive devices of the harness; skipped where they cannot be fetched. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class LinuxGuestTest {
  /** Two requests; each answer is checked. */
  private static final String REQUESTS = """
      for i in 1 2; do
        begin $i
        devmem $((request + 0x04)) 32 1
        devmem $((request + 0x08)) 64 $((i * 1000000007))
        devmem $((request + 0x10)) 64 $((i * 35))
        devmem $request 32 $i
        until [ $(($(devmem $((request + 0x20)) 32))) -eq $i ]; do :; done
        [ $(($(devmem $((request + 0x18)) 64))) -eq $((i * 1000000042)) ] || exit 1
        end $i
      done
      """;

  private Path kernel;
  private Path busybox;

  @BeforeAll
  void fetch(@TempDir Path directory) throws IOException, InterruptedException {
    kernel = Files.write(directory.resolve("vmlinuz"), DebianPackage.kernel("linux-image-cloud-amd64"));
    busybox = Files.write(directory.resolve("busybox"), DebianPackage.file("busybox-static", "bin/busybox"));
  }

  private static final int SCHEDULES = Boolean.getBoolean("gnomon.full") ? 100 : 3;
  private static final Exploration EXPLORATION = Exploration.of("linux").withSchedules(SCHEDULES);

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldGetRightAnswersWithoutAnExitInEveryMode(Mode mode) {
    LinuxGuest linux = LinuxGuest.of(mode, kernel, busybox).withScript(REQUESTS);
    Report report = EXPLORATION.run(rig -> {
      rig.guest(linux);
      Rig.Device device = rig.attach(RequestDevice::new);
      rig.inject(Fault.delayPoll(Duration.ofNanos(100), Duration.ofMillis(1))).inject(Fault.crash(2))
          .inject(Fault.spuriousKick(1));
      rig.inject(Fault.dirtyLog());
      Outcome outcome = rig.run().assertGuestStatus(0).assertNoExits(device.window(0), 4096)
          .assertCompletedExactlyOnce().assertDmaConfined()
          .assertNoDoubleFetch().assertBoundedStep(10, 100).assertLatencyBelow(100, Duration.ofSeconds(1));
      // Each process that runs devmem maps the page anew.
      outcome.assertWindowFills(mode == Mode.SHADOW ? 200 : 0);
      assertThat(outcome.exits() > 0).as("timers, at least").isEqualTo(mode != Mode.NATIVE);
    });
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
    assertThat(report.work().completions()).isEqualTo(2 * SCHEDULES);
  }

  /** Adds numbers, and knows what it has served only as long as it lives. */
  private static final class Forgetful extends OnePageDevice {
    private int served;

    @Override
    public String name() {
      return "request";
    }

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      int submitted = memory.poll32(page);
      if (submitted == served) {
        return Poll.IDLE;
      }
      served = submitted;
      memory.put64(page + RequestDevice.RESULT,
          memory.u64(page + RequestDevice.OPERAND_A) + memory.u64(page + RequestDevice.OPERAND_B));
      memory.put32(page + RequestDevice.COMPLETE, submitted);
      context.completed(submitted);
      return Poll.BUSY;
    }
  }

  @Test
  void shouldFindABugAndReplayIt() {
    LinuxGuest linux = LinuxGuest.of(Mode.EPT, kernel, busybox).withScript(REQUESTS);
    Exploration exploration = EXPLORATION.withSchedules(20);
    Consumer<Rig> test = rig -> {
      rig.guest(linux).attach(Forgetful::new);
      rig.inject(Fault.crash(20)).run().assertGuestStatus(0).assertCompletedExactlyOnce();
    };
    Report report = exploration.run(test);
    assertThat(report.isClean()).isFalse();
    assertThat(report.failure().cause()).hasMessageMatching("completed twice: request [12] was completed [0-9]+ times");
    assertThat(report.failure().timeline())
        .contains("linux", "store request+0x0/4 = 0x1", "crash(request)  happens", "ends with status 0");
    Report again = exploration.replay(report.failure().replay(), test);
    assertThat(again.failure().timeline()).isEqualTo(report.failure().timeline());
  }

  @Test
  void shouldBeginEachScheduleWhereTheScriptDoes() {
    LinuxGuest linux = LinuxGuest.of(Mode.NATIVE, kernel, busybox).withScript("""
        touch /tmp/here
        [ $(ls /tmp | wc -l) = 1 ] || exit 100
        read -r up rest </proc/uptime
        exit ${up%.*}
        """);
    Set<Integer> ups = new TreeSet<>();
    Report report = EXPLORATION.withSchedules(3).run(rig -> {
      rig.guest(linux).run().assertFinished();
      ups.add(rig.guestStatus());
    });
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
    assertThat(ups).hasSize(1);
    assertThat(EXPLORATION.withSchedules(1).run(rig -> rig.guest(linux).run().assertGuestStatus(255)).failure().cause())
        .hasMessageStartingWith("guest status: expected 255; linux finished with status ");
    LinuxGuest hurried = linux.withInstructions(1000);
    assertThat(EXPLORATION.withSchedules(1).run(rig -> rig.guest(hurried).run().assertFinished()).failure().cause())
        .hasMessageStartingWith("too long");
  }

  @Test
  void shouldRefuseWhatCannotBe() {
    LinuxGuest linux = LinuxGuest.of(Mode.NATIVE, kernel, busybox);
    assertThat(EXPLORATION.withStrategy(Strategy.PCT).run(rig -> rig.guest(linux)).failure().cause())
        .hasMessageContaining("expected RANDOM");
    assertThat(EXPLORATION.run(rig -> {
      rig.attach(RequestDevice::new);
      rig.guest(linux);
    }).failure().cause()).hasMessageContaining("expected it before them");
    assertThatThrownBy(() -> LinuxGuest.of(Mode.NATIVE, kernel, kernel)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected a statically linked busybox");
    assertThatThrownBy(() -> LinuxGuest.of(Mode.NATIVE, Path.of("nowhere"), busybox))
        .hasMessageContaining("nowhere: cannot be read, expected a kernel");
  }
}
