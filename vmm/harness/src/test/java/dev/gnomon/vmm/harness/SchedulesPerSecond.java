package dev.gnomon.vmm.harness;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.EBX;
import static dev.gnomon.guest.asm.Reg.RDI;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.SharedRing;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Measures how many schedules run in a second; no test, and run only by its name. */
class SchedulesPerSecond {
  private static final int ROUNDS = 4;

  private static void mock(Rig rig) {
    Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
    long window = ring.window(0);
    rig.driver("driver", port -> {
      for (int i = 1; i <= GuestCodeTest.REQUESTS; i++) {
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

  /** The first processor's requests, and on a second one as many loads and stores of its own. */
  private static Consumer<Rig> guest(Mode mode, int processors) {
    GuestCode[] code = new GuestCode[1];
    return rig -> {
      Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
      if (code[0] == null) {
        Consumer<Assembler> first = GuestCodeTest.ring(ring.window(0), Assembler::mfence);
        Consumer<Assembler> second = a -> {
          a.mov(RDI, GuestCode.DATA);
          for (int i = 0; i < 4 * GuestCodeTest.REQUESTS; i++) {
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
    Exploration tso = Exploration.of("ring of " + GuestCodeTest.REQUESTS);
    System.out.println("Best of " + ROUNDS + " rounds, " + System.getProperty("java.vm.name") + " "
        + System.getProperty("java.version"));
    measure("mock driver, SC", 100_000, tso.withModel(MemoryModel.SC), SchedulesPerSecond::mock);
    measure("mock driver, TSO", 100_000, tso, SchedulesPerSecond::mock);
    for (Mode mode : Mode.values()) {
      measure("x86 code, " + mode + ", TSO", 10_000, tso, guest(mode, 1));
    }
    measure("x86 code on two processors, EPT", 10_000, tso, guest(Mode.EPT, 2));
  }
}
