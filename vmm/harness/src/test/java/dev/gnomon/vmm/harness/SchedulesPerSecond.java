package dev.gnomon.vmm.harness;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.EBX;
import static dev.gnomon.guest.asm.Reg.RDI;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.SharedRing;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Measures how many schedules run in a second; no test, and run only by its name. */
class SchedulesPerSecond {
  private static final int REQUESTS = 2;
  private static final int ROUNDS = 4;

  private static void mock(Rig rig) {
    Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
    long window = ring.window(0);
    rig.driver("driver", port -> {
      for (int i = 1; i <= REQUESTS; i++) {
        port.put32(window + SharedRing.PRODUCER, i);
        port.fence();
        if ((port.u32(window + SharedRing.DEVICE_FLAGS) & SharedRing.ASLEEP) != 0) {
          port.kick(ring);
        }
        while (port.u32(window + SharedRing.CONSUMER) != i) {
          port.pause();
        }
      }
    });
    rig.run().assertNoLostWakeup();
  }

  private static Consumer<Assembler> producer(long window, int first, int last) {
    return a -> {
      Label next = new Label("next");
      Label wait = new Label("wait");
      Label poll = new Label("poll");
      a.mov(RDI, window);
      a.mov(EBX, first);
      a.bind(next);
      a.inc(EBX);
      a.mov(ptr(RDI, SharedRing.PRODUCER), EBX);
      a.mfence();
      a.test(ptr(RDI, SharedRing.DEVICE_FLAGS).d(), SharedRing.ASLEEP);
      a.jz(poll);
      GuestCode.out(a, GuestCode.DOORBELL_PORT, 1);
      a.jmp(poll);
      a.bind(wait);
      a.pause();
      a.bind(poll);
      a.cmp(ptr(RDI, SharedRing.CONSUMER), EBX);
      a.jne(wait);
      a.cmp(EBX, last);
      a.jb(next);
    };
  }

  /** The first processor's requests, and on a second one as many loads and stores of its own. */
  private static Consumer<Rig> guest(Mode mode, int processors) {
    GuestCode[] code = new GuestCode[1];
    return rig -> {
      Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
      if (code[0] == null) {
        Consumer<Assembler> first = producer(ring.window(0), 0, REQUESTS);
        Consumer<Assembler> second = a -> {
          a.mov(RDI, GuestCode.DATA);
          for (int i = 0; i < 4 * REQUESTS; i++) {
            a.mov(ptr(RDI, 8 * i), EBX);
            a.mov(EBX, ptr(RDI, 8 * i));
          }
        };
        code[0] = processors == 1 ? GuestCode.of(mode, first) : GuestCode.of(mode, first, second);
      }
      rig.guest(code[0]);
      rig.run().assertNoLostWakeup();
    };
  }

  private static void measure(String name, int schedules, Exploration exploration, Consumer<Rig> test) {
    double[] rates = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      long begin = System.nanoTime();
      Report report = exploration.withSchedules(schedules).withSeed((long) round * schedules).run(test);
      if (!report.isClean()) {
        throw new IllegalStateException(report.describe(""));
      }
      rates[round] = schedules / ((System.nanoTime() - begin) / 1e9);
    }
    Arrays.sort(rates);
    System.out.printf("%-34s %,10.0f schedules/s%n", name, rates[ROUNDS - 1]);
  }

  @Test
  void print() {
    Exploration tso = Exploration.of("ring of " + REQUESTS);
    System.out.println("Best of " + ROUNDS + " rounds, " + System.getProperty("java.vm.name") + " " + System.getProperty("java.version"));
    measure("mock driver, SC", 100_000, tso.withModel(MemoryModel.SC), SchedulesPerSecond::mock);
    measure("mock driver, TSO", 100_000, tso, SchedulesPerSecond::mock);
    for (Mode mode : Mode.values()) {
      measure("x86 code, " + mode + ", TSO", 10_000, tso, guest(mode, 1));
    }
    measure("x86 code on two processors, EPT", 10_000, tso, guest(Mode.EPT, 2));
  }
}
