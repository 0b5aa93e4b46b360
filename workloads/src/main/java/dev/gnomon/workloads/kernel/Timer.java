package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;

/**
 * Channel 0 of the 8254 as a periodic interrupt through the first 8259, and the handler that counts its ticks. Without
 * a timer the controllers are moved away from the exceptions' vectors and masked all the same, since firmware may have
 * left a timer running.
 */
final class Timer {
  /** First vector of the interrupt controllers, and the timer's, IRQ 0. */
  static final int VECTOR = 0x20;
  /** IRQ 7, which the controller gives when a request goes away; it takes no end-of-interrupt. */
  static final int SPURIOUS = VECTOR + 7;
  private static final int SECOND_VECTOR = VECTOR + 8;

  private static final int PIC1 = 0x20;
  private static final int PIC1_DATA = 0x21;
  private static final int PIC2 = 0xA0;
  private static final int PIC2_DATA = 0xA1;
  private static final int ICW1_INIT_ICW4 = 0x11;
  private static final int ICW3_SLAVE_ON_2 = 0x04;
  private static final int ICW3_SLAVE_ID = 0x02;
  private static final int ICW4_8086 = 0x01;
  private static final int MASK_ALL_BUT_TIMER = 0xFE;
  private static final int MASK_ALL = 0xFF;
  private static final int OCW2_EOI = 0x20;

  private static final int PIT_CHANNEL_0 = 0x40;
  private static final int PIT_CONTROL = 0x43;
  /** Channel 0, low then high byte, mode 2 (rate generator), binary. */
  private static final int PIT_RATE = 0x34;
  private static final int PIT_HZ = 1_193_182;

  private final GuestKernel k;
  private final Assembler a;
  final Label initialize = new Label("timer_initialize");
  /** RDI: frame of a timer interrupt. */
  final Label handle = new Label("timer_interrupt");
  final Label ticks;

  Timer(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.ticks = k.variable("ticks", 8);
  }

  void emit() {
    emitInitialize();
    emitHandle();
  }

  private void emitInitialize() {
    a.bind(initialize);
    out(PIC1, ICW1_INIT_ICW4);
    out(PIC1_DATA, VECTOR);
    out(PIC1_DATA, ICW3_SLAVE_ON_2);
    out(PIC1_DATA, ICW4_8086);
    out(PIC2, ICW1_INIT_ICW4);
    out(PIC2_DATA, SECOND_VECTOR);
    out(PIC2_DATA, ICW3_SLAVE_ID);
    out(PIC2_DATA, ICW4_8086);
    out(PIC1_DATA, k.options.hz() == 0 ? MASK_ALL : MASK_ALL_BUT_TIMER);
    out(PIC2_DATA, MASK_ALL);
    if (k.options.hz() != 0) {
      int divisor = PIT_HZ / k.options.hz();
      out(PIT_CONTROL, PIT_RATE);
      out(PIT_CHANNEL_0, divisor & 0xFF);
      out(PIT_CHANNEL_0, divisor >> 8);
    }
    a.ret();
  }

  private void emitHandle() {
    a.bind(handle);
    a.inc(rip(ticks).q());
    out(PIC1, OCW2_EOI);
    if (k.options.preempt()) {
      Label inKernel = new Label();
      a.test(ptr(RDI, TrapFrame.CS).b(), 3);
      a.je(inKernel);
      a.call(k.processes.yield);
      a.bind(inKernel);
    }
    a.ret();
  }

  private void out(int port, int value) {
    a.mov(AL, value);
    a.out(port, AL);
  }
}
