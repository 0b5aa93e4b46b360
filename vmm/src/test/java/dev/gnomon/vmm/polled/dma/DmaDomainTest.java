package dev.gnomon.vmm.polled.dma;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.TestMachine;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.vmm.polled.dma.DmaDomain.Policy;
import dev.gnomon.vmm.polled.dma.DmaFault.Reason;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a device may touch, rule by rule. */
class DmaDomainTest {
  private static final long OTHER_WINDOW = TestMachine.WINDOW + (2 << 20);

  private static DeviceSetup request(String name) {
    return DeviceSetup.polled(() -> new RequestDevice(name, Window.anywhere(4096), 0), PollPolicy.never());
  }

  private final TestMachine machine = new TestMachine(request("first"), request("second"));
  private final DeviceHost host = machine.host();
  private final DmaDomain domain = host.domain();
  private final DomainPort port = host.port();

  private Reason refused() {
    DmaFault fault = port.takeFault();
    return fault == null ? null : fault.reason();
  }

  @Test
  void shouldReachItsOwnWindowAndNothingElseByDefault() {
    port.put32(TestMachine.WINDOW + 0x800, 7);
    assertThat(machine.memory.read(TestMachine.WINDOW + 0x800, 4)).isEqualTo(7);
    assertThat(refused()).isNull();
    assertThat(port.u32(0x5000)).as("RAM").isEqualTo(-1);
    assertThat(refused()).isEqualTo(Reason.NO_READ);
    port.put32(OTHER_WINDOW, 1);
    assertThat(refused()).as("another device's window").isEqualTo(Reason.NO_WRITE);
    assertThat(machine.memory.read(OTHER_WINDOW, 4)).isZero();
    assertThat(machine.devices.faults().faults()).extracting(DmaFault::toString)
        .containsExactly("first: read of 0x5000 refused: NO_READ", "first: write of 0x600000 refused: NO_WRITE");
  }

  @ParameterizedTest
  @CsvSource({
      "0x1000, 0x3000,, RAM", "0x9f000, 0x1000,, the end of low RAM", "0x9f000, 0x1001, NOT_RAM, into the hole",
      "0xa0000, 1, NOT_RAM, video memory", "0xc0000, 1, NOT_RAM, ROM", "0x400000, 8, NOT_RAM, its own window",
      "0x600000, 8, NOT_RAM, another's window", "0x3ff000, 0x2000, NOT_RAM, over the end of RAM",
      "0xfee00000, 4, NOT_RAM, the local APIC", "0x1000000000, 0x1000, NOT_RAM, EPT's tables",
      "0x1800000000, 0x1000, NOT_RAM, its own tables", "0x1000, -1, BAD_LENGTH, negative length",
      "0x7ffffffffffffff0, 0x20, BAD_LENGTH, wrapping", "-4096, 0x1000, BAD_LENGTH, negative address",
      "0xffffffffff000, 0x2000, BEYOND_WIDTH, beyond 48 bits", "0x1234, 0,, nothing"})
  void shouldPinOnlyRam(String gpa, String length, Reason refusal, String what) {
    assertThat(domain.pin(Long.decode(gpa), Long.decode(length), true)).as(what).isEqualTo(refusal == null);
    assertThat(machine.devices.faults().faults()).extracting(DmaFault::reason).isEqualTo(refusal == null
        ? java.util.List.of()
        : java.util.List.of(refusal));
  }

  @Test
  void shouldFindPinnedPagesAgainWhenTheHostMovesThem() {
    domain.pin(0x5000, 8, true);
    domain.pin(0x6000, 8, false);
    port.put64(0x5000, 1);
    port.u64(0x6000);
    long misses = port.misses();
    domain.remap(0x5000, 0x3000);
    assertThat(port.u64(0x5000)).isEqualTo(1);
    assertThat(port.misses()).isEqualTo(misses + 1);
    port.put64(0x6000, 1);
    assertThat(refused()).as("pinned for reading").isEqualTo(Reason.NO_WRITE);
    port.u64(0x7000);
    assertThat(refused()).as("never pinned").isEqualTo(Reason.NO_READ);
    domain.unmap(0x5000, 8);
    port.u64(0x5000);
    assertThat(refused()).isEqualTo(Reason.NO_READ);
    domain.remap(0x5000, 8);
    assertThat(port.u64(0x5000)).as("given back").isEqualTo(1);
  }

  @Test
  void shouldPinForReadingOnly() {
    domain.pin(0x5000, 8, false);
    assertThat(port.u64(0x5000)).isZero();
    port.put64(0x5000, 1);
    assertThat(refused()).isEqualTo(Reason.NO_WRITE);
    domain.pin(0x5000, 8, true);
    port.put64(0x5000, 2);
    domain.unpin(0x5000, 8, true);
    assertThat(port.u64(0x5000)).as("still pinned for reading").isEqualTo(2);
    port.put64(0x5000, 3);
    assertThat(refused()).isEqualTo(Reason.NO_WRITE);
    domain.unpin(0x5000, 8, false);
    assertThat(port.u64(0x5000)).isEqualTo(-1);
    assertThat(domain.pinnedPages()).isZero();
  }

  @Test
  void shouldRefuseMorePagesThanADeviceMayHold() {
    for (int i = 0; i < 3; i++) {
      assertThat(domain.pin(0x100000, 0x300000, false)).isTrue();
    }
    assertThat(domain.pinnedPages()).isEqualTo(0x300);
    assertThat(domain.pin(0x1000, (long) DmaDomain.MAX_PINNED_PAGES << 12, false)).isFalse();
  }

  @Test
  void shouldForgetAtAResetWhatTheGuestNamed() {
    domain.pin(0x5000, 0x2000, true);
    port.put64(0x6000, 5);
    host.reset();
    assertThat(port.u64(0x6000)).isEqualTo(-1);
    assertThat(refused()).isEqualTo(Reason.NO_READ);
    assertThat(domain.pinnedPages()).isZero();
    port.put32(TestMachine.WINDOW, 1);
    assertThat(refused()).as("the window stays").isNull();
  }

  @Test
  void shouldHoldAnInvalidationOnceItReturns() {
    domain.pin(0x5000, 0x1000, true);
    port.put64(0x5000, 5);
    domain.unmap(0x5000, 0x1000);
    port.put64(0x5000, 6);
    assertThat(refused()).as("cached translations are gone").isEqualTo(Reason.NO_WRITE);
    assertThat(machine.memory.read(0x5000, 8)).isEqualTo(5);
  }

  @Test
  void shouldWaitForTheStepThatIsUnderWayBeforeAnInvalidationReturns() throws InterruptedException {
    CountDownLatch started = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    boolean[] doneFirst = new boolean[2];
    Thread step = new Thread(() -> {
      domain.boundary().enter();
      try {
        started.countDown();
        finish.await(10, TimeUnit.SECONDS);
        doneFirst[0] = true;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        domain.boundary().leave();
      }
    });
    step.start();
    started.await();
    Thread unmap = new Thread(() -> {
      domain.unmap(TestMachine.WINDOW, 4096);
      doneFirst[1] = doneFirst[0];
    });
    unmap.start();
    while (!domain.boundary().isAwaited()) {
      Thread.onSpinWait();
    }
    finish.countDown();
    step.join();
    unmap.join();
    assertThat(doneFirst[1]).isTrue();
  }

  @Test
  void shouldReachAllRamOnlyIfToldSo() {
    TestMachine open = new TestMachine(request("open").withDomain(Policy.ALL_RAM));
    DomainPort all = open.host().port();
    all.put64(0x5000, 1);
    all.put64(0x9FFF8, 1);
    all.put64(0x3FFFF8, 1);
    assertThat(all.takeFault()).isNull();
    for (long address : new long[] {0xA0000, 0xC0000, 0xFFFF8, 0xFEC00000L, 1L << 36}) {
      assertThat(all.u64(address)).isEqualTo(-1);
      assertThat(all.takeFault().reason()).as(Long.toHexString(address)).isEqualTo(Reason.NO_READ);
    }
    TestMachine closed = new TestMachine(request("closed").withDomain(Policy.WINDOWS_ONLY));
    assertThat(closed.host().pin(0x5000, 8, false)).isFalse();
    assertThat(closed.devices.faults().faults()).extracting(DmaFault::reason).containsExactly(Reason.NOT_ALLOWED);
  }

  @Test
  void shouldPoisonThePortUntilTheDeviceHasLooked() {
    port.u32(0x5000);
    port.put32(TestMachine.WINDOW + 0x800, 9);
    assertThat(port.u32(TestMachine.WINDOW + 0x800)).isEqualTo(-1);
    assertThat(machine.memory.read(TestMachine.WINDOW + 0x800, 4)).as("nothing is published after a refusal").isZero();
    assertThat(port.takeFault()).isNotNull();
    port.put32(TestMachine.WINDOW + 0x800, 9);
    assertThat(machine.memory.read(TestMachine.WINDOW + 0x800, 4)).isEqualTo(9);
    assertThat(machine.devices.faults().total()).as("recorded once").isEqualTo(1);
  }

  @Test
  void shouldCheckEachPageOfATransferBeforeItMovesAnything() {
    domain.pin(0x5000, 0x1000, true);
    byte[] bytes = new byte[100];
    java.util.Arrays.fill(bytes, (byte) 1);
    assertThat(port.write(0x5FD0, bytes, 0, 100)).isFalse();
    assertThat(refused()).isEqualTo(Reason.NO_WRITE);
    assertThat(machine.memory.read(0x5FF8, 8)).isZero();
    port.put64(0x5FFC, -1);
    assertThat(refused()).isEqualTo(Reason.NO_WRITE);
    assertThat(machine.memory.read(0x5FF8, 8)).isZero();
    domain.pin(0x6000, 1, true);
    assertThat(port.write(0x5FD0, bytes, 0, 100)).isTrue();
    port.put64(0x5FFC, 0x1122334455667788L);
    assertThat(port.u64(0x5FFC)).isEqualTo(0x1122334455667788L);
    assertThat(machine.memory.read(0x6000, 4)).isEqualTo(0x11223344L);
    assertThat(port.snapshot(0x6004, 4)).containsExactly(1, 1, 1, 1);
  }

  @Test
  void shouldRefuseTransfersLongerThanAStepMayBe() {
    port.beginStep();
    assertThat(port.snapshot(TestMachine.WINDOW, Integer.MAX_VALUE)).isNull();
    assertThat(refused()).isEqualTo(Reason.BAD_LENGTH);
    assertThat(port.snapshot(TestMachine.WINDOW, -1)).isNull();
    assertThat(refused()).isEqualTo(Reason.BAD_LENGTH);
    assertThat(port.read(Long.MAX_VALUE - 3, new byte[8], 0, 8)).isFalse();
    assertThat(refused()).isEqualTo(Reason.BAD_LENGTH);
  }

  @Test
  void shouldNotGrowItsFaultLogForEver() {
    for (int i = 0; i < 1000; i++) {
      domain.pin(0xA0000, 1, false);
    }
    FaultLog log = machine.devices.faults();
    assertThat(log.total()).isEqualTo(1000);
    assertThat(log.take()).hasSize(FaultLog.CAPACITY);
    assertThat(log.lost()).isZero();
    assertThat(log.faults()).isEmpty();
  }
}
