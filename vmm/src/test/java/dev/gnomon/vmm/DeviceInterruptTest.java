package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Interrupts of the devices by way of the two 8259 reach a sleeping guest alike in every mode. */
class DeviceInterruptTest {
  static final int BASE = 0x20;
  private static final int SLAVE_BASE = 0x28;
  private static final int EVENTS = 4;

  static void out(Assembler a, int port, int value) {
    a.mov(AL, value);
    a.out(port, AL);
  }

  static void outDx(Assembler a, int port, int value) {
    a.mov(DX, port);
    a.mov(AL, value);
    a.out(DX, AL);
  }

  /** Both 8259 at 20h and 28h with the given mask. */
  static void startPics(Assembler a, int mask) {
    int[][] writes = {{0x20, 0x11}, {0x21, BASE}, {0x21, 4}, {0x21, 1}, {0x21, mask & 0xFF}, {0xA0, 0x11},
        {0xA1, SLAVE_BASE}, {0xA1, 2}, {0xA1, 1}, {0xA1, mask >> 8}};
    for (int[] write : writes) {
      out(a, write[0], write[1]);
    }
  }

  /** Logs the time of each interrupt, does {@code acknowledge}, and ends the run after {@link #EVENTS}. */
  static void handler(Assembler a, Label handler, Consumer<Assembler> acknowledge) {
    Label more = new Label("more");
    a.bind(handler);
    a.rdtsc();
    a.shl(RDX, 32);
    a.or(RAX, RDX);
    a.mov(RDX, InterruptTest.LOG);
    a.mov(ptr(RDX, R15, 8), RAX);
    a.inc(R15);
    acknowledge.accept(a);
    a.cmp(R15, EVENTS);
    a.jb(more);
    Machines.exit(a, 1);
    a.bind(more);
    a.iretq();
  }

  static Consumer<Assembler> guest(int vector, Consumer<Assembler> acknowledge, Consumer<Assembler> start) {
    return a -> {
      Label handler = new Label("handler");
      Label begin = new Label("begin");
      a.jmp(begin);
      handler(a, handler, acknowledge);
      a.bind(begin);
      InterruptTest.loadIdt(a);
      InterruptTest.gate(a, vector, handler);
      a.xor(R15, R15);
      start.accept(a);
      a.sti();
      Label top = a.here();
      a.hlt();
      a.jmp(top);
    };
  }

  private static void endOfInterrupt(Assembler a, int irq) {
    // Specific EOI, as Linux does it.
    if (irq >= 8) {
      out(a, 0xA0, 0x60 | irq & 7);
    }
    out(a, 0x20, irq >= 8 ? 0x62 : 0x60 | irq);
  }

  private static Consumer<Assembler> rtcGuest(int rate) {
    return guest(SLAVE_BASE, a -> {
      out(a, 0x70, 0x0C);
      a.in(AL, 0x71);
      endOfInterrupt(a, 8);
    }, a -> {
      startPics(a, 0xFEFB);
      out(a, 0x70, 0x0A);
      out(a, 0x71, 0x20 | rate);
      out(a, 0x70, 0x0B);
      out(a, 0x71, rate == 0 ? 0x12 : 0x42);
    });
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 6, 15})
  void shouldWakeByTheRealTimeClock(int rate) {
    InterruptTest.shouldAgree(rtcGuest(rate));
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldSleepThroughSecondsAtNoCost(Mode mode) {
    Vm vm = Machines.boot(Machines.options(mode), rtcGuest(0));
    vm.run(10_000);
    assertThat(vm.cpu().now()).isBetween(4_000_000_000L, 4_000_100_000L);
    assertThat(vm.cpu().retired).isLessThan(1000);
    for (int i = 0; i < EVENTS; i++) {
      long second = (i + 1) * 1_000_000_000L;
      assertThat(vm.guestMemory().read(InterruptTest.LOG + 8L * i, 8)).isBetween(second, second + 100);
    }
  }

  /**
   * Modes 0 and 4 as one-shots that the handler sets again, with IRQ 0 masked meanwhile as Linux does; 2 and 3 run on.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 2, 3, 4})
  void shouldWakeByTheIntervalTimerInEachMode(int timerMode) {
    Consumer<Assembler> shot = a -> {
      out(a, 0x40, 0x34);
      out(a, 0x40, 0x12);
    };
    Consumer<Assembler> guest = guest(BASE, a -> {
      out(a, 0x21, 0xFF);
      endOfInterrupt(a, 0);
      if (timerMode == 0 || timerMode == 4) {
        shot.accept(a);
      }
      out(a, 0x21, 0xFE);
    }, a -> {
      startPics(a, 0xFFFE);
      out(a, 0x43, 0x30 | timerMode << 1);
      shot.accept(a);
    });
    InterruptTest.shouldAgree(guest);
    Vm vm = Machines.boot(Machines.options(Mode.NATIVE), guest);
    vm.run(10_000);
    long period = 0x1234 * 1_000_000_000L / 1_193_182;
    long first = vm.guestMemory().read(InterruptTest.LOG + 8, 8);
    long second = vm.guestMemory().read(InterruptTest.LOG + 16, 8);
    assertThat(second - first).isBetween(period - 1000, period + 2000);
  }

  @Test
  void shouldInterruptByTheSerialPortWhenItsHolderIsEmpty() {
    InterruptTest.shouldAgree(guest(BASE + 4, a -> {
      outDx(a, 0x3F8, 'x');
      endOfInterrupt(a, 4);
    }, a -> {
      startPics(a, 0xFFEF);
      outDx(a, 0x3FC, 0x0B);
      outDx(a, 0x3F9, 0x02);
    }));
  }
}
