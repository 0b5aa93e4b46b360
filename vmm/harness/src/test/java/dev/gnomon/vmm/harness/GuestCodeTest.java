package dev.gnomon.vmm.harness;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Real x86 code as the driver: the same bugs, in the memory order of its processor. */
class GuestCodeTest {
  static final int REQUESTS = 2;

  private static GuestCode ringDriver(Mode mode, long window, Consumer<Assembler> fence) {
    return GuestCode.of(mode, ring(window, fence));
  }

  /**
   * Publishes requests of the ring one by one and waits for each.
   *
   * @param fence between the store of the index and the load of the flag
   */
  static Consumer<Assembler> ring(long window, Consumer<Assembler> fence) {
    return a -> {
      Label next = new Label("next");
      Label wait = new Label("wait");
      Label poll = new Label("poll");
      a.mov(RDI, window);
      a.xor(EBX, EBX);
      a.bind(next);
      a.inc(EBX);
      a.mov(ptr(RDI, SharedRing.PRODUCER), EBX);
      fence.accept(a);
      a.test(ptr(RDI, SharedRing.DEVICE_FLAGS).d(), SharedRing.ASLEEP);
      a.jz(poll);
      GuestCode.out(a, GuestCode.DOORBELL_PORT, 1);
      a.jmp(poll);
      a.bind(wait);
      a.pause();
      a.bind(poll);
      a.cmp(ptr(RDI, SharedRing.CONSUMER), EBX);
      a.jne(wait);
      a.cmp(EBX, REQUESTS);
      a.jb(next);
    };
  }

  private static void ring(Rig rig, Mode mode, Consumer<Assembler> fence) {
    Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
    rig.guest(ringDriver(mode, ring.window(0), fence));
    Outcome outcome = rig.run().assertNoLostWakeup().assertNoDoubleFetch().assertDmaConfined();
    outcome.assertNoExits(ring.window(0), 4096);
    assertThat(rig.read(ring.window(0) + SharedRing.CONSUMER, 4)).isEqualTo(REQUESTS);
  }

  private static final Exploration EXPLORATION = Exploration.of("x86 ring").withSchedules(1000);

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldLoseAWakeupWithoutAFenceInEveryMode(Mode mode) {
    Report report = EXPLORATION.run(rig -> ring(rig, mode, a -> { }));
    assertThat(report.isClean()).isFalse();
    assertThat(report.failure().cause())
        .hasMessageStartingWith("lost wake-up: guest waits for memory to change at rip");
    Report again = EXPLORATION.replay(report.failure().replay(), rig -> ring(rig, mode, a -> { }));
    assertThat(again.failure().timeline()).isEqualTo(report.failure().timeline())
        .contains("store becomes visible ring+0x0/4");
    assertThat(EXPLORATION.withModel(MemoryModel.SC).run(rig -> ring(rig, mode, a -> { })).isClean()).isTrue();
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldKeepItsWakeupsWithAFenceOrALockedInstruction(Mode mode) {
    assertThat(EXPLORATION.run(rig -> ring(rig, mode, Assembler::mfence)).isClean()).isTrue();
    assertThat(EXPLORATION.run(rig -> ring(rig, mode, a -> a.xchg(ptr(RSP, -8), RAX))).isClean()).isTrue();
  }

  /** Whatever the hypervisor does to RAM, windows cost no exit; under shadow paging a fill or two whenever it zaps. */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldNotExitForWindowsThoughWritesAreLoggedAndPagesMoved(Mode mode) {
    int[] logged = new int[1];
    Report report = EXPLORATION.run(rig -> {
      Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
      rig.guest(ringDriver(mode, ring.window(0), Assembler::mfence));
      rig.inject(Fault.dirtyLog()).inject(Fault.remap(GuestCode.DATA, 4096)).inject(Fault.remap(GuestCode.CODE, 4096));
      Outcome outcome = rig.run().assertNoLostWakeup().assertNoExits(ring.window(0), 4096)
          .assertWindowFills(mode == Mode.SHADOW ? 8 : 0);
      logged[0] = Math.max(logged[0], outcome.windowFills());
    });
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
    assertThat(logged[0] > 0).isEqualTo(mode == Mode.SHADOW);
    if (mode == Mode.SHADOW) {
      Report counted = EXPLORATION.run(rig -> {
        Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
        rig.guest(ringDriver(mode, ring.window(0), Assembler::mfence)).run().assertWindowFills(0);
      });
      assertThat(counted.failure().cause()).hasMessageStartingWith("window fills: ");
    }
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldBeginAgainAfterAReset(Mode mode) {
    int[] resets = new int[1];
    Report report = EXPLORATION.withSchedules(500).run(rig -> {
      Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
      rig.guest(GuestCode.of(mode, ring(ring.window(0), Assembler::mfence), a -> {
        a.mov(RSI, GuestCode.DATA);
        a.cmp(ptr(RSI).d(), 0);
        Label clean = new Label("clean");
        a.je(clean);
        // What it wrote before the reset is gone.
        a.ud2();
        a.bind(clean);
        a.mov(ptr(RSI).d(), 1);
      }));
      rig.inject(Fault.guestReset(2)).run().assertFinished().assertNoLostWakeup();
      resets[0] += rig.history().resets();
    });
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
    assertThat(resets[0]).isGreaterThan(100);
  }

  /** A device must leave a buffer alone until the driver is ready. */
  @Test
  void shouldSayThatItIsReady() {
    Report report = EXPLORATION.withSchedules(500).run(rig -> {
      Rig.Device device = rig.attach(() -> new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          long buffer = memory.poll64(page);
          if (buffer == 0 || !context.pin(buffer, 8, true)) {
            return Poll.IDLE;
          }
          memory.put64(buffer, 1);
          return Poll.SLEEP;
        }
      });
      rig.guest(GuestCode.of(Mode.EPT, a -> {
        a.mov(RDI, device.window(0));
        a.mov(ptr(RDI).q(), 0x5000);
        GuestCode.out(a, GuestCode.READY_PORT, 0);
      }));
      rig.requireReady().run().assertNoAccessBeforeReady();
    });
    assertThat(report.failure().cause())
        .hasMessageStartingWith("access before the driver was ready: device wrote 8 bytes at 0x5000");
  }

  /** A guest that computes for ever and touches nothing is given up. */
  @Test
  void shouldGiveUpALoopWithoutAccesses() {
    Report report = EXPLORATION.withSchedules(1).withMaxPoints(20).run(rig -> {
      rig.guest(GuestCode.of(Mode.EPT, a -> a.jmp(a.here())));
      rig.run().assertFinished();
    });
    assertThat(report.failure().cause()).hasMessageStartingWith("too long: guest runs");
  }

  /** 10,000 schedules, the figure of the documentation. */
  @Test
  void shouldBeCleanInTenThousandSchedules() {
    Report report = EXPLORATION.withSchedules(10_000).run(rig -> ring(rig, Mode.EPT, Assembler::mfence));
    assertThat(report.isClean()).isTrue();
    assertThat(report.schedules()).isEqualTo(10_000);
  }

  /** A device whose step is the other thread of a litmus test: stores to {@code y}, then loads {@code x}. */
  private static Set<String> storeBuffering(Mode mode, Consumer<Assembler> fence, boolean deviceFence,
      MemoryModel model) {
    Set<String> seen = new TreeSet<>();
    Report report = Exploration.of("store buffering").withSchedules(600).withModel(model).run(rig -> {
      long[] loaded = {-1};
      Rig.Device device = rig.attach(() -> new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          memory.put32(page + 0x40, 1);
          if (deviceFence) {
            memory.fence();
          }
          loaded[0] = memory.u32(page);
          return Poll.SLEEP;
        }
      });
      rig.guest(GuestCode.of(mode, a -> {
        a.mov(RDI, device.window(0));
        a.mov(ptr(RDI).d(), 1);
        fence.accept(a);
        a.mov(EBX, ptr(RDI, 0x40));
      }));
      rig.run().assertFinished();
      seen.add(rig.register(3) + "" + loaded[0]);
    });
    assertThat(report.isClean()).isTrue();
    return seen;
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldOrderItsStoresAsX86Does(Mode mode) {
    assertThat(storeBuffering(mode, a -> { }, false, MemoryModel.TSO)).containsExactly("00", "01", "10", "11");
    assertThat(storeBuffering(mode, a -> { }, true, MemoryModel.TSO)).containsExactly("00", "01", "10", "11");
    assertThat(storeBuffering(mode, Assembler::mfence, false, MemoryModel.TSO)).containsExactly("00", "01", "10", "11");
    assertThat(storeBuffering(mode, Assembler::mfence, true, MemoryModel.TSO)).containsExactly("01", "10", "11");
    assertThat(storeBuffering(mode, Assembler::cpuid, true, MemoryModel.TSO)).containsExactly("01", "10", "11");
    assertThat(storeBuffering(mode, Assembler::lfence, true, MemoryModel.TSO)).contains("00");
    assertThat(storeBuffering(mode, a -> { }, false, MemoryModel.SC)).containsExactly("01", "10", "11");
  }

  /** Stores become visible in their order, and the guest sees its own before. */
  @ParameterizedTest
  @CsvSource({"NATIVE", "EPT", "SHADOW"})
  void shouldPassMessagesInOrder(Mode mode) {
    Report report = Exploration.of("message passing").withSchedules(1000).run(rig -> {
      Rig.Device device = rig.attach(() -> new OnePageDevice() {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          int flag = memory.poll32(page + 0x40);
          int data = memory.poll32(page + 2);
          if (flag == 1 && data != 0x55667788) {
            throw new HarnessFailure("data behind its flag", Integer.toHexString(data));
          }
          return flag == 1 ? Poll.SLEEP : Poll.IDLE;
        }
      });
      rig.guest(GuestCode.of(mode, a -> {
        a.mov(RDI, device.window(0));
        a.mov(RAX, 0x1122334455667788L);
        a.mov(ptr(RDI, 1), RAX);
        a.mov(ptr(RDI, 2), RAX);
        a.mov(ptr(RDI, 0x40).d(), 1);
        a.mov(RBX, ptr(RDI, 1));
      }));
      rig.run().assertFinished();
      assertThat(rig.register(3)).isEqualTo(0x2233445566778888L);
    });
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
  }

  /** A guest that dies fails its test with the reason. */
  @Test
  void shouldTellOfAGuestThatDies() {
    Report report = Exploration.of("dies").withSchedules(1).run(rig -> {
      rig.guest(GuestCode.of(Mode.EPT, Assembler::ud2));
      rig.run();
    });
    assertThat(report.failure().cause()).hasMessageContaining("guest died: ").hasMessageContaining("triple fault");
  }
}
