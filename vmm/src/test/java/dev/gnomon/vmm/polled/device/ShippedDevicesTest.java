package dev.gnomon.vmm.polled.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.DeviceHost.State;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.TestMachine;
import dev.gnomon.vmm.polled.Window;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Request device, ring and timer page through each way of reaching them, without a guest. */
class ShippedDevicesTest {
  private static final long PAGE = TestMachine.WINDOW;
  private static final long MMIO = 0xFEB00000L;
  private static final int PORT = 0x1000;

  /** A way to a device's registers. */
  private interface Access {
    void write(int offset, int size, long value);

    long read(int offset, int size);

    /** Virtual time goes on. */
    void pass(long nowNs);
  }

  private static Access access(String way, TestMachine machine) {
    return switch (way) {
      case "polled" -> new Access() {
        @Override
        public void write(int offset, int size, long value) {
          machine.memory.write(PAGE + offset, size, value);
        }

        @Override
        public long read(int offset, int size) {
          return machine.memory.read(PAGE + offset, size);
        }

        @Override
        public void pass(long nowNs) {
          machine.host().poll(nowNs);
        }
      };
      case "mmio" -> new Access() {
        @Override
        public void write(int offset, int size, long value) {
          machine.bus.mmioWrite(MMIO + offset, size, value, 5000);
        }

        @Override
        public long read(int offset, int size) {
          return machine.bus.mmioRead(MMIO + offset, size, 5000);
        }

        @Override
        public void pass(long nowNs) {
          machine.bus.advanceTo(nowNs);
        }
      };
      default -> new Access() {
        @Override
        public void write(int offset, int size, long value) {
          for (int i = 0; i < size; i += 4) {
            machine.bus.out(PORT + offset + i, Math.min(size, 4), (int) (value >>> 8 * i), 5000);
          }
        }

        @Override
        public long read(int offset, int size) {
          long low = machine.bus.in(PORT + offset, Math.min(size, 4), 5000) & 0xFFFF_FFFFL;
          return size < 8 ? low : low | (long) machine.bus.in(PORT + offset + 4, 4, 5000) << 32;
        }

        @Override
        public void pass(long nowNs) {
          machine.bus.advanceTo(nowNs);
        }
      };
    };
  }

  private static TestMachine machine(String way,
      java.util.function.Supplier<dev.gnomon.vmm.polled.PolledDevice> factory) {
    return new TestMachine(switch (way) {
      case "polled" -> DeviceSetup.polled(factory, PollPolicy.period(1)).withIrq(5);
      case "mmio" -> DeviceSetup.mmio(factory, MMIO).withIrq(5);
      default -> DeviceSetup.ports(factory, PORT).withIrq(5);
    });
  }

  private static TestMachine requests(String way) {
    return machine(way, () -> new RequestDevice("request", Window.anywhere(4096), 42));
  }

  private static void submit(Access access, int number, int operation, long a, long b) {
    access.write(RequestDevice.OPERATION, 4, operation);
    access.write(RequestDevice.OPERAND_A, 8, a);
    access.write(RequestDevice.OPERAND_B, 8, b);
    access.write(RequestDevice.SUBMIT, 4, number);
    access.pass(1);
  }

  @ParameterizedTest
  @CsvSource({"0, 9, 9, 0, 0", "1, -1, 1, 0, 0", "3, 0x1000, 4, 10, 0", "3, 0x1000, 4097, 0, 2", "3, 0x1000, -1, 0, 2",
      "3, 0x9fffe, 4, 0, 2", "3, 0x7fffffffffffffff, 8, 0, 2", "3, 0x400000, 8, 0, 2", "4, 1, 1, 0, 1",
      "-1, 1, 1, 0, 1"})
  void shouldAnswerGoodAndHostileRequestsAlikeByAllWays(int operation, String a, long b, long result, int status) {
    for (String way : new String[] {"polled", "mmio", "ports"}) {
      TestMachine machine = requests(way);
      Access access = access(way, machine);
      machine.memory.write(0x1000, new byte[] {1, 2, 3, 4});
      submit(access, 1, operation, Long.decode(a), b);
      assertThat(access.read(RequestDevice.RESULT, 8)).as(way).isEqualTo(result);
      assertThat(access.read(RequestDevice.STATUS, 4)).as(way).isEqualTo(status);
      assertThat(access.read(RequestDevice.COMPLETE, 4)).as(way).isEqualTo(1);
      assertThat(machine.host().domain().pinnedPages()).isZero();
      assertThat(machine.host().state()).isEqualTo(State.RUNNING);
    }
  }

  @Test
  void shouldServeEachRequestOnce() {
    TestMachine machine = requests("polled");
    submit(access("polled", machine), 5, RequestDevice.OP_ADD, 1, 1);
    for (int t = 2; t < 10; t++) {
      machine.host().poll(t);
    }
    assertThat(machine.host().completed()).isEqualTo(1);
    assertThat(machine.host().idleSteps()).isEqualTo(8);
    machine.host().restart();
    machine.host().poll(100);
    assertThat(machine.host().completed()).as("nor again after a restart").isEqualTo(1);
  }

  @Test
  void shouldMixByTheSeedAlikeByAllWays() {
    long expected = 0;
    for (String way : new String[] {"polled", "mmio", "ports"}) {
      Access access = access(way, requests(way));
      submit(access, 1, RequestDevice.OP_MIX, 123, 456);
      expected = expected == 0 ? access.read(RequestDevice.RESULT, 8) : expected;
      assertThat(access.read(RequestDevice.RESULT, 8)).isEqualTo(expected).isNotZero();
    }
  }

  @Test
  void shouldKeepTheDevicesRegistersFromTheGuestAndReadOnesBehindThem() {
    TestMachine machine = requests("mmio");
    machine.bus.mmioWrite(MMIO + RequestDevice.RESULT, 8, 77, 0);
    machine.bus.mmioWrite(MMIO + RequestDevice.COMPLETE, 4, 77, 0);
    machine.bus.mmioWrite(MMIO + RequestDevice.OPERAND_B + 4, 8, -1, 0);
    machine.bus.mmioWrite(MMIO + 0xFF8, 8, 77, 0);
    assertThat(machine.bus.mmioRead(MMIO + RequestDevice.OPERAND_B, 8, 0)).as("half of it is the guest's")
        .isEqualTo(0xFFFFFFFF00000000L);
    assertThat(machine.bus.mmioRead(MMIO + RequestDevice.RESULT, 8, 0)).isZero();
    assertThat(machine.bus.mmioRead(MMIO + RequestDevice.COMPLETE, 4, 0)).isZero();
    assertThat(machine.bus.mmioRead(MMIO + RequestDevice.SIZE, 8, 0)).isEqualTo(-1);
    assertThat(machine.bus.peekMmio(MMIO + RequestDevice.STATUS, 8)).isEqualTo(0xFFFFFFFF00000000L);
  }

  @ParameterizedTest
  @ValueSource(strings = {"polled", "mmio", "ports"})
  void shouldForgetRequestsAtAReset(String way) {
    TestMachine machine = requests(way);
    Access access = access(way, machine);
    submit(access, 1, RequestDevice.OP_ADD, 1, 2);
    if (way.equals("polled")) {
      machine.host().reset();
    } else {
      machine.bus.reset();
    }
    assertThat(access.read(RequestDevice.RESULT, 8)).isZero();
    submit(access, 1, RequestDevice.OP_ADD, 5, 5);
    access.pass(100);
    assertThat(access.read(RequestDevice.RESULT, 8)).isEqualTo(10);
  }

  private static TestMachine ring(String way, int sleepAfter) {
    return machine(way, () -> new SharedRing("ring", Window.anywhere(4096), sleepAfter));
  }

  private static void entry(Access access, int index, long id, long address, int length, int operation) {
    int at = SharedRing.ENTRY_0 + (index & SharedRing.ENTRIES - 1) * SharedRing.ENTRY_BYTES;
    access.write(at + SharedRing.ID, 8, id);
    access.write(at + SharedRing.ADDRESS, 8, address);
    access.write(at + SharedRing.LENGTH, 4, length);
    access.write(at + SharedRing.OPERATION, 4, operation);
  }

  private static long status(Access access, int index) {
    return access.read(SharedRing.ENTRY_0 + index * SharedRing.ENTRY_BYTES + SharedRing.STATUS, 4);
  }

  @ParameterizedTest
  @ValueSource(strings = {"polled", "mmio", "ports"})
  void shouldServeARingInOrderByAllWays(String way) {
    TestMachine machine = ring(way, 0);
    Access access = access(way, machine);
    entry(access, 0, 0x11, 0x5FF0, 0x20, SharedRing.OP_FILL);
    entry(access, 1, 2, 0x5FF0, 0x21, SharedRing.OP_SUM);
    entry(access, 2, 3, 0, 0, 9);
    access.write(SharedRing.GUEST_FLAGS, 4, SharedRing.WANTS_INTERRUPT);
    access.write(SharedRing.PRODUCER, 4, 3);
    access.pass(6000);
    assertThat(access.read(SharedRing.CONSUMER, 4)).isEqualTo(3);
    assertThat(machine.memory.read(0x600F, 2)).isEqualTo(0x11);
    assertThat(access.read(SharedRing.ENTRY_0 + SharedRing.ENTRY_BYTES + SharedRing.RESULT, 4)).isEqualTo(0x20 * 0x11);
    assertThat(status(access, 2)).isEqualTo(SharedRing.STATUS_UNKNOWN_OPERATION);
    assertThat(machine.interrupts).contains(5);
    assertThat(machine.host().completed()).isEqualTo(3);
  }

  @ParameterizedTest
  @ValueSource(strings = {"polled", "mmio", "ports"})
  void shouldServeMoreThanABatchStepByStep(String way) {
    TestMachine machine = ring(way, 0);
    Access access = access(way, machine);
    for (int i = 0; i < SharedRing.ENTRIES; i++) {
      entry(access, i, i, 0, 0, SharedRing.OP_NONE);
    }
    access.write(SharedRing.PRODUCER, 4, SharedRing.ENTRIES);
    int passes = 0;
    for (long now = 10_000; access.read(SharedRing.CONSUMER, 4) != SharedRing.ENTRIES; now += 10_000) {
      access.pass(now);
      passes++;
    }
    assertThat(passes).isBetween(SharedRing.ENTRIES / SharedRing.BATCH - 1, SharedRing.ENTRIES / SharedRing.BATCH);
  }

  @ParameterizedTest
  @CsvSource({"0x5000, -1", "0x5000, 65537", "0xa0000, 4", "0x3ffff0, 0x20", "-16, 32", "0x400000, 64",
      "0x7ffffffffffffff8, 16"})
  void shouldEndARequestWithABadBuffer(String address, String length) {
    TestMachine machine = ring("polled", 0);
    Access access = access("polled", machine);
    entry(access, 0, 1, Long.decode(address), Integer.decode(length), SharedRing.OP_FILL);
    access.write(SharedRing.PRODUCER, 4, 1);
    access.pass(1);
    assertThat(status(access, 0)).isEqualTo(SharedRing.STATUS_BAD_BUFFER);
    assertThat(access.read(SharedRing.CONSUMER, 4)).as("the ring goes on").isEqualTo(1);
    assertThat(machine.host().state()).isEqualTo(State.RUNNING);
  }

  @ParameterizedTest
  @ValueSource(ints = {65, -1, Integer.MIN_VALUE, Integer.MAX_VALUE})
  void shouldRefuseAnImpossibleProducerIndexOnce(int producer) {
    TestMachine machine = ring("polled", 0);
    Access access = access("polled", machine);
    access.write(SharedRing.PRODUCER, 4, producer);
    for (int t = 1; t < 10; t++) {
      access.pass(t);
    }
    assertThat(machine.host().state()).isEqualTo(State.ERROR);
    assertThat(machine.host().steps()).isEqualTo(1);
    assertThat(machine.reports).singleElement().asString()
        .contains("producer index " + Integer.toUnsignedString(producer));
    machine.host().reset();
    entry(access, 0, 1, 0, 0, SharedRing.OP_NONE);
    access.write(SharedRing.PRODUCER, 4, 1);
    access.pass(20);
    assertThat(access.read(SharedRing.CONSUMER, 4)).isEqualTo(1);
  }

  @Test
  void shouldSleepAfterAWhileAndSaySo() {
    TestMachine machine = ring("polled", 3);
    Access access = access("polled", machine);
    for (int t = 1; t < 10; t++) {
      access.pass(t);
    }
    DeviceHost host = machine.host();
    assertThat(host.steps()).isEqualTo(3);
    assertThat(host.lastPoll()).isEqualTo(Poll.SLEEP);
    assertThat(access.read(SharedRing.DEVICE_FLAGS, 4)).isEqualTo(SharedRing.ASLEEP);
    entry(access, 0, 1, 0, 0, SharedRing.OP_NONE);
    access.write(SharedRing.PRODUCER, 4, 1);
    access.pass(20);
    assertThat(access.read(SharedRing.CONSUMER, 4)).isZero();
    host.ring(30);
    access.pass(30);
    assertThat(access.read(SharedRing.CONSUMER, 4)).isEqualTo(1);
    assertThat(access.read(SharedRing.DEVICE_FLAGS, 4)).isZero();
  }

  @Test
  void shouldTakeItsPlaceInTheRingFromDurableStateAfterARestart() {
    TestMachine machine = ring("polled", 0);
    Access access = access("polled", machine);
    entry(access, 0, 1, 0, 0, SharedRing.OP_NONE);
    access.write(SharedRing.PRODUCER, 4, 1);
    access.pass(1);
    access.write(SharedRing.CONSUMER, 4, 0);
    machine.host().restart();
    access.pass(10);
    assertThat(machine.host().completed()).isEqualTo(1);
    assertThat(access.read(SharedRing.CONSUMER, 4)).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"polled", "mmio", "ports"})
  void shouldTellTheTime(String way) {
    TestMachine machine = machine(way, TimerPage::new);
    Access access = access(way, machine);
    access.pass(5000);
    assertThat(access.read(TimerPage.NANOSECONDS, 8)).isEqualTo(5000);
    assertThat(access.read(TimerPage.TSC, 8)).isEqualTo(6000);
    assertThat(access.read(TimerPage.SEQUENCE, 4) & 1).isZero();
    if (!way.equals("polled")) {
      access.write(TimerPage.NANOSECONDS, 8, 1);
      assertThat(access.read(TimerPage.NANOSECONDS, 8)).isEqualTo(5000);
    }
  }
}
