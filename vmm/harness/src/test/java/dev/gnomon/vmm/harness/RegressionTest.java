package dev.gnomon.vmm.harness;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.vmm.polled.device.TimerPage;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.util.Arrays;
import java.util.function.BiConsumer;
import java.util.function.LongFunction;
import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Bugs that polled devices are known for: each is found in the device that has it, and not in the device that was
 * mended.
 */
class RegressionTest {
  private static final int SUBMIT = 0x00;
  private static final int ARGUMENT = 0x08;
  private static final int LENGTH = 0x10;
  private static final int RESULT = 0x18;
  private static final int COMPLETE = 0x20;
  private static final int REQUESTS = 3;
  /** RAM that the guest names. */
  private static final long BUFFER = 0x5000;

  /** Found with the bug in some schedule, as a failure of a kind; clean without it in as many. */
  private static void shouldFind(Exploration exploration, String kind, BiConsumer<Rig, Boolean> test) {
    Report buggy = exploration.run(rig -> test.accept(rig, true));
    assertThat(buggy.isClean()).as("clean with the bug").isFalse();
    assertThat(buggy.failure().cause().getMessage()).startsWith(kind);
    Report again = exploration.replay(buggy.failure().replay(), rig -> test.accept(rig, true));
    assertThat(again.failure().cause().getMessage()).isEqualTo(buggy.failure().cause().getMessage());
    Report mended = exploration.run(rig -> test.accept(rig, false));
    assertThat(mended.isClean()).as(mended.isClean() ? "" : mended.describe("")).isTrue();
  }

  private static Exploration exploration(Strategy strategy) {
    return Exploration.of("regression").withStrategy(strategy).withSchedules(5_000);
  }

  /** Doubles the argument of each request. */
  private abstract static class Doubler extends OnePageDevice {
    int served;

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      int submitted = memory.poll32(page + SUBMIT);
      if (submitted == served) {
        return Poll.IDLE;
      }
      serve(memory, submitted);
      served = submitted;
      return Poll.BUSY;
    }

    abstract void serve(DmaPort memory, int submitted);
  }

  private static void requests(DriverPort port, long page, int requests) {
    int first = port.u32(page + COMPLETE) + 1;
    for (int i = first; i <= requests; i++) {
      port.begin(i);
      port.put64(page + ARGUMENT, 21 * i);
      port.put32(page + SUBMIT, i);
      while (port.u32(page + COMPLETE) != i) {
        port.pause();
      }
      long result = port.u64(page + RESULT);
      port.end(i);
      assertThat(result).as("result of request " + i).isEqualTo(42L * i);
    }
  }

  /** What the processor forgets when it dies: without {@code restart} the last request is served again. */
  @ParameterizedTest
  @EnumSource(value = Strategy.class, names = {"RANDOM", "PCT"})
  void shouldFindACrashWithoutRecovery(Strategy strategy) {
    shouldFind(exploration(strategy), "completed twice", (rig, bug) -> {
      Supplier<Doubler> factory = () -> new Doubler() {
        @Override
        void serve(DmaPort memory, int submitted) {
          memory.put64(page + RESULT, 2 * memory.u64(page + ARGUMENT));
          memory.put32(page + COMPLETE, submitted);
          context.completed(submitted);
        }

        @Override
        public void restart(DmaPort memory) {
          served = bug ? 0 : memory.u32(page + COMPLETE);
        }
      };
      Rig.Device device = rig.attach(factory);
      rig.driver("driver", port -> requests(port, device.window(0), REQUESTS)).inject(Fault.crash(2));
      rig.run().assertCompletedExactlyOnce().assertNoLostWakeup();
    });
  }

  /** A clock of two words without a sequence number. */
  @ParameterizedTest
  @EnumSource(value = Strategy.class, names = {"RANDOM", "PCT"})
  void shouldFindATornMultiWordWrite(Strategy strategy) {
    shouldFind(exploration(strategy).withModel(MemoryModel.SC), "torn clock", (rig, bug) -> {
      Rig.Device clock = rig.attach(() -> bug ? new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock time) {
          memory.put64(page + TimerPage.NANOSECONDS, time.nanos());
          memory.put64(page + TimerPage.TSC, time.tsc());
          return time.nanos() > 2000 ? Poll.SLEEP : Poll.BUSY;
        }
      } : new TimerPage());
      rig.driver("reader", port -> {
        for (int i = 0; i < 3; i++) {
          long sequence;
          long nanoseconds;
          long tsc;
          do {
            sequence = port.u32(clock.window(0) + TimerPage.SEQUENCE);
            nanoseconds = port.u64(clock.window(0) + TimerPage.NANOSECONDS);
            tsc = port.u64(clock.window(0) + TimerPage.TSC);
          } while ((sequence & 1) != 0 || port.u32(clock.window(0) + TimerPage.SEQUENCE) != sequence);
          if (tsc != nanoseconds) {
            throw new HarnessFailure("torn clock", tsc + " and " + nanoseconds);
          }
        }
      });
      rig.run();
    });
  }

  /** A bulk write that tears, and a reader that trusts its first byte. */
  @ParameterizedTest
  @EnumSource(value = Strategy.class, names = {"RANDOM", "PCT", "EXHAUSTIVE"})
  void shouldFindATornBulkWrite(Strategy strategy) {
    shouldFind(exploration(strategy), "torn record", (rig, bug) -> {
      Rig.Device device = rig.attach(() -> new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          byte[] record = new byte[16];
          Arrays.fill(record, (byte) 7);
          if (bug) {
            memory.write(page, record, 0, 16);
          } else {
            memory.write(page + 8, record, 0, 8);
            memory.put64(page, 0x0707070707070707L);
          }
          return Poll.SLEEP;
        }
      });
      rig.inject(Fault.tearWrite(device.window(0), 16, 4));
      rig.driver("reader", port -> {
        if (port.u8(device.window(0)) == 7
            && (port.u32(device.window(0) + 4) != 0x07070707 || port.u32(device.window(0) + 12) != 0x07070707)) {
          throw new HarnessFailure("torn record", "its first byte is there");
        }
      });
      rig.run();
    });
  }

  /** The length is checked and fetched again. */
  @ParameterizedTest
  @EnumSource(value = Strategy.class, names = {"RANDOM", "EXHAUSTIVE"})
  void shouldFindADoubleFetch(Strategy strategy) {
    for (boolean judged : new boolean[] {true, false}) {
      shouldFind(exploration(strategy), judged ? "double fetch" : "overrun", (rig, bug) -> {
        Rig.Device device = rig.attach(() -> new Doubler() {
          @Override
          void serve(DmaPort memory, int submitted) {
            int length = memory.u32(page + LENGTH);
            if (length > 16) {
              return;
            }
            int used = bug ? memory.u32(page + LENGTH) : length;
            if (used > 16) {
              throw new HarnessFailure("overrun", used + " bytes into a buffer of 16");
            }
            memory.put32(page + COMPLETE, submitted);
          }
        });
        rig.driver("driver", port -> {
          port.put32(device.window(0) + LENGTH, 16);
          port.put32(device.window(0) + SUBMIT, 1);
        });
        Outcome outcome = rig.inject(Fault.mutateBetweenFetches(device.window(0) + LENGTH, 4, 4096)).run();
        if (judged) {
          outcome.assertNoDoubleFetch();
        }
      });
    }
  }

  /** After a reset the device goes on with the buffer that the guest had before. */
  @ParameterizedTest
  @EnumSource(DmaDomain.Policy.class)
  void shouldFindAStaleAddressAfterAReset(DmaDomain.Policy policy) {
    if (policy == DmaDomain.Policy.WINDOWS_ONLY) {
      // Nothing that the guest names is of use then.
      return;
    }
    shouldFind(exploration(Strategy.RANDOM), "access after a reset", (rig, bug) -> {
      Rig.Device device = rig.attach(() -> new OnePageDevice() {
        private long buffer;
        private int written;

        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          if (buffer == 0) {
            long named = memory.poll64(page + ARGUMENT);
            if (named == 0 || !context.pin(named, 8, true)) {
              return Poll.IDLE;
            }
            buffer = named;
          }
          memory.put64(buffer, ++written);
          memory.takeFault();
          return written < 4 ? Poll.BUSY : Poll.SLEEP;
        }

        @Override
        public void reset() {
          buffer = bug ? buffer : 0;
        }
      });
      rig.requireReady().domain(policy).inject(Fault.guestReset(1));
      rig.driver("driver", port -> {
        port.ready();
        port.put64(device.window(0) + ARGUMENT, BUFFER + 0x1000L * port.boots());
        port.fence();
      });
      rig.run().assertNoAccessAfterReset().assertNoAccessBeforeReady();
    });
  }

  /**
   * The completion is published before the result: what the device does wrong, or what its host reorders for want of a
   * release.
   */
  @ParameterizedTest
  @EnumSource(Strategy.class)
  void shouldFindAPublicationBeforeTheData(Strategy strategy) {
    shouldFind(exploration(strategy), "[result of request 1]", (rig, bug) -> {
      Rig.Device device = rig.attach(() -> new Doubler() {
        @Override
        void serve(DmaPort memory, int submitted) {
          long result = 2 * memory.u64(page + ARGUMENT);
          if (bug) {
            memory.put32(page + COMPLETE, submitted);
            memory.put64(page + RESULT, result);
          } else {
            memory.put64(page + RESULT, result);
            memory.put32(page + COMPLETE, submitted);
          }
          context.completed(submitted);
        }
      });
      rig.driver("driver", port -> requests(port, device.window(0), 1));
      rig.run().assertCompletedExactlyOnce().assertNoLostWakeup();
    });
    shouldFind(exploration(strategy), "[result of request 1]", (rig, bug) -> {
      Rig.Device device = rig.attach(() -> new Doubler() {
        @Override
        void serve(DmaPort memory, int submitted) {
          memory.put64(page + RESULT, 2 * memory.u64(page + ARGUMENT));
          if (!bug) {
            memory.fence();
          }
          memory.put32(page + COMPLETE, submitted);
        }
      });
      rig.driver("driver", port -> requests(port, device.window(0), 1));
      rig.inject(Fault.reorderPublication(device.window(0) + COMPLETE, 1)).run();
    });
  }

  private static final int ENTRIES = 4;

  /** A ring that believes its producer index, and the lengths in its entries. */
  private static final class Gullible extends OnePageDevice {
    private final boolean checksIndex;
    private final boolean checksLength;
    private int consumer;

    Gullible(boolean checksIndex, boolean checksLength) {
      this.checksIndex = checksIndex;
      this.checksLength = checksLength;
    }

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      int producer = memory.poll32(page + SUBMIT);
      if (checksIndex && Integer.compareUnsigned(producer - consumer, ENTRIES) > 0) {
        context.fail("producer index " + producer);
        return Poll.DEAD;
      }
      if (producer == consumer) {
        return Poll.IDLE;
      }
      while (consumer != producer) {
        int length = memory.poll32(page + LENGTH);
        if (!checksLength || length >= 0 && length <= 64) {
          byte[] local = new byte[64];
          for (int i = 0; i < length; i++) {
            if (i == local.length) {
              throw new HarnessFailure("overrun", length + " bytes into a buffer of 64");
            }
            local[i] = (byte) memory.u8(page + 0x100 + i);
          }
        }
        consumer++;
        memory.put32(page + COMPLETE, consumer);
      }
      return Poll.BUSY;
    }
  }

  private static void hostile(Rig rig, boolean checksIndex, boolean checksLength, LongFunction<Fault> fault) {
    Rig.Device device = rig.attach(() -> new Gullible(checksIndex, checksLength));
    rig.driver("driver", port -> {
      port.put32(device.window(0) + LENGTH, 4);
      port.put32(device.window(0) + SUBMIT, 1);
    });
    rig.inject(fault.apply(device.window(0))).run().assertBoundedStep(100, 400).assertDmaConfined();
  }

  @ParameterizedTest
  @EnumSource(Strategy.class)
  void shouldFindTrustInAHostileProducerIndex(Strategy strategy) {
    shouldFind(exploration(strategy).withSchedules(2000), "more than", (rig, bug) -> hostile(rig, !bug, true,
        window -> Fault.scribble(window + SUBMIT, 4, -1, Integer.MIN_VALUE, 5, 1 << 20)));
  }

  @ParameterizedTest
  @EnumSource(Strategy.class)
  void shouldFindTrustInAHostileLength(Strategy strategy) {
    shouldFind(exploration(strategy), "overrun", (rig, bug) -> hostile(rig, true, !bug,
        window -> Fault.scribble(window + LENGTH, 4, 65, -1, Integer.MAX_VALUE)));
  }

  /** The ring that comes with the machine, under everything at once. */
  @PolledDeviceTest(schedules = 10_000)
  void shouldNotBreakTheRing(Rig rig) {
    Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 2));
    rig.driver("driver", port -> {
      int first = port.u32(ring.window(0) + SharedRing.CONSUMER);
      for (int i = first; i < 3; i++) {
        long entry = ring.window(0) + SharedRing.ENTRY_0 + i * SharedRing.ENTRY_BYTES;
        port.begin(i);
        port.put64(entry + SharedRing.ID, i);
        port.put64(entry + SharedRing.ADDRESS, BUFFER + 0xFF8);
        port.put32(entry + SharedRing.LENGTH, 16);
        port.put32(entry + SharedRing.OPERATION, SharedRing.OP_FILL);
        port.put32(ring.window(0) + SharedRing.PRODUCER, i + 1);
        port.fence();
        if ((port.u32(ring.window(0) + SharedRing.DEVICE_FLAGS) & SharedRing.ASLEEP) != 0) {
          port.kick(ring);
        }
        while (port.u32(ring.window(0) + SharedRing.CONSUMER) != i + 1) {
          port.pause();
        }
        port.end(i);
        assertThat(port.u8(BUFFER + 0x1007)).isEqualTo(i);
      }
    });
    rig.inject(Fault.crash(1)).inject(Fault.spuriousKick(2)).inject(Fault.spuriousInterrupt(1));
    rig.run().assertNoLostWakeup().assertCompletedExactlyOnce().assertNoDoubleFetch().assertDmaConfined()
        .assertUsedLenWithinWritten().assertBoundedStep(64, 1024).assertExits("doorbell", 6);
  }

  /** The same ring and a guest that writes what it likes where it likes. */
  @PolledDeviceTest(schedules = 5_000)
  void shouldNotLetAHostileGuestBreakTheRing(Rig rig) {
    Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 2));
    long window = ring.window(0);
    rig.driver("driver", port -> {
      for (int i = 0; i < 2; i++) {
        port.put64(window + SharedRing.ENTRY_0 + i * SharedRing.ENTRY_BYTES + SharedRing.ADDRESS, BUFFER);
        port.put32(window + SharedRing.ENTRY_0 + i * SharedRing.ENTRY_BYTES + SharedRing.OPERATION, 1 + i);
        port.put32(window + SharedRing.ENTRY_0 + i * SharedRing.ENTRY_BYTES + SharedRing.LENGTH, 32);
        port.put32(window + SharedRing.PRODUCER, i + 1);
      }
    });
    rig.inject(Fault.scribble(window + SharedRing.PRODUCER, 4, -1, 64, 65, Integer.MIN_VALUE));
    rig.inject(Fault.scribble(window + SharedRing.CONSUMER, 4, -1, 7));
    rig.inject(Fault.scribble(window + SharedRing.ENTRY_0 + SharedRing.LENGTH, 4, -1, Integer.MAX_VALUE, 65536, 65537));
    rig.inject(Fault.scribble(window + SharedRing.ENTRY_0 + SharedRing.ADDRESS, 8, -1, Long.MAX_VALUE, Long.MIN_VALUE,
        window, Rig.RAM_BYTES - 1));
    rig.inject(Fault.unmap(BUFFER, 4096)).inject(Fault.guestReset(1));
    rig.run().assertNoDoubleFetch().assertBoundedStep(512, 1 << 20);
  }
}
