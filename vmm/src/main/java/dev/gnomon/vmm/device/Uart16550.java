package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.Uart16550Bits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * A 16550A UART on eight ports (National Semiconductor PC16550D).
 *
 * <p>Transmission takes no time: a byte written to THR is in the sink when the write returns, so LSR always shows THRE
 * and TEMT. The THRE interrupt goes down with the write and up again after it, so that an edge-triggered controller
 * sees one edge a byte. QEMU does the same.
 *
 * <p>Input comes from {@link #input}, which holds bytes back while there is no room, or from {@link #receive}; the
 * queue is the chip's own FIFO of 16 bytes, or the single RBR with FIFOs off, and {@link #canReceive} tells whether a
 * byte would fit. A byte received that does not fit is an overrun: it is lost with FIFOs on, and replaces RBR with
 * FIFOs off. The receive timeout is four character times, as divisor and LCR set them, after the last byte came or was
 * read. Divisor 0 counts as 1 in it, so that bytes are never stuck.
 *
 * <p>The interrupt pin is gated by OUT2, as PC boards wire it, and so is silent in loopback, where OUT2 is
 * disconnected. Teaching kernels that never set OUT2 work under QEMU, which has no gate; the constructor's switch is
 * for machines that do as it does.
 */
public final class Uart16550 implements PortDevice {
  /** First port and IRQ of the PC's first serial port. */
  public static final int COM1_PORT = 0x3F8;
  public static final int COM1_IRQ = 4;
  /** The modem lines that a cable to a ready terminal holds: CTS, DSR and DCD, as in MSR. */
  public static final int TERMINAL_READY = MSR_CTS | MSR_DSR | MSR_DCD;

  private static final int VERSION = 2;
  private static final int FIFO_SIZE = 16;
  private static final int FIFO_MASK = FIFO_SIZE - 1;
  private static final int BYTE = 0xFF;
  /** A FIFO entry holds the byte and above it the LSR error bits that came with it. */
  private static final int ENTRY_ERRORS_SHIFT = 8;
  private static final int[] TRIGGER_LEVELS = {1, 4, 8, 14};
  /** The divisor that firmware leaves: 9600 baud. */
  private static final int RESET_DIVISOR = 12;
  private static final int MAX_DIVISOR = 0xFFFF;
  /** Bits a second at divisor 1: a 1.8432 MHz crystal over 16. */
  private static final long BASE_BAUD = 115_200;
  private static final long NS_PER_SECOND = 1_000_000_000;
  private static final int TIMEOUT_CHARACTERS = 4;

  private final String name;
  private final int base;
  private final InterruptLine interrupt;
  private final ByteSink sink;
  private final boolean gatedByOut2;

  private final SerialInput input = new SerialInput();

  private int divisor;
  private int ier;
  private int lcr;
  private int mcr;
  private int scratch;
  private boolean fifosOn;
  private int trigger;
  /** LSR error bits not yet read. */
  private int errors;
  private int modemStatus;
  /** The lines at the connector, in the high bits of MSR. */
  private int connector = TERMINAL_READY;
  private boolean thrEmptyPending;
  private boolean timeoutPending;
  private long timeoutAt;
  private final short[] fifo = new short[FIFO_SIZE];
  private int head;
  private int count;
  private int lastRead;
  private boolean level;
  private long now;

  /** A UART whose interrupt OUT2 gates, as on a PC. */
  public Uart16550(String name, int base, InterruptLine interrupt, ByteSink sink) {
    this(name, base, interrupt, sink, true);
  }

  /**
   * @param base first of its eight ports
   * @param sink takes transmitted bytes
   * @param gatedByOut2 whether the interrupt needs MCR.OUT2
   * @throws IllegalArgumentException if the ports do not fit the port space
   */
  public Uart16550(String name, int base, InterruptLine interrupt, ByteSink sink, boolean gatedByOut2) {
    this.name = name;
    this.base = new PortRange(base, REGISTERS).first();
    this.interrupt = interrupt;
    this.sink = sink;
    this.gatedByOut2 = gatedByOut2;
    reset();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(base, REGISTERS));
  }

  @Override
  public void reset() {
    divisor = RESET_DIVISOR;
    ier = 0;
    lcr = 0;
    mcr = 0;
    scratch = 0;
    fifosOn = false;
    trigger = TRIGGER_LEVELS[0];
    errors = 0;
    modemStatus = connector;
    thrEmptyPending = false;
    clearFifo();
    lastRead = 0;
    updateInterrupt();
  }

  /** What comes over the cable, at its times. */
  public SerialInput input() {
    return input;
  }

  /** Whether a byte from outside would be stored: there is room, and the receiver is not looped back. */
  public boolean canReceive() {
    return (mcr & MCR_LOOP) == 0 && count < (fifosOn ? FIFO_SIZE : 1);
  }

  /** A byte arrives at the connector. In loopback it is lost, with no room left it is an overrun. */
  public void receive(int value, long nowNs) {
    now = Math.max(now, nowNs);
    if ((mcr & MCR_LOOP) == 0) {
      push(value & BYTE, 0);
      updateInterrupt();
    }
  }

  /** The connector's line is held in the break condition for longer than a character. */
  public void receiveBreak(long nowNs) {
    now = Math.max(now, nowNs);
    if ((mcr & MCR_LOOP) == 0) {
      push(0, LSR_BI | LSR_FE);
      updateInterrupt();
    }
  }

  /** Sets the modem lines at the connector: CTS, DSR, RI and DCD as in the high half of MSR. */
  public void setModemLines(int lines) {
    connector = lines & MSR_LINES;
    updateModemStatus();
    updateInterrupt();
  }

  @Override
  public boolean hasTimer() {
    return true;
  }

  @Override
  public long nextDeadline() {
    return canReceive() ? Math.min(timeoutAt, input.nextNs()) : timeoutAt;
  }

  @Override
  public void advanceTo(long nowNs) {
    now = Math.max(now, nowNs);
    if (timeoutAt <= now) {
      timeoutAt = Long.MAX_VALUE;
      timeoutPending = true;
      updateInterrupt();
    }
    if (input.nextNs() <= now && canReceive()) {
      receiveDue();
      updateInterrupt();
    }
  }

  private void receiveDue() {
    while (input.nextNs() <= now && canReceive()) {
      push(input.take(), 0);
    }
  }

  @Override
  public int in(int port, int size, long nowNs) {
    advanceTo(nowNs);
    int value = peek(port, size);
    switch (register(port)) {
      case REG_DATA -> {
        if ((lcr & LCR_DLAB) == 0 && count > 0) {
          pop();
          receiveDue();
        }
      }
      case REG_IIR_FCR -> {
        if ((value & ~IIR_FIFOS_ON) == IIR_THR_EMPTY) {
          thrEmptyPending = false;
        }
      }
      case REG_LSR -> {
        errors = 0;
        if (count > 0) {
          fifo[head] &= BYTE;
        }
      }
      case REG_MSR -> modemStatus &= ~MSR_DELTAS;
      default -> {
        return value;
      }
    }
    updateInterrupt();
    return value;
  }

  @Override
  public int peek(int port, int size) {
    boolean dlab = (lcr & LCR_DLAB) != 0;
    return switch (register(port)) {
      case REG_DATA -> dlab ? divisor & BYTE : count > 0 ? fifo[head] & BYTE : lastRead;
      case REG_IER -> dlab ? divisor >> 8 : ier;
      case REG_IIR_FCR -> pendingSource() | (fifosOn ? IIR_FIFOS_ON : 0);
      case REG_LCR -> lcr;
      case REG_MCR -> mcr;
      case REG_LSR -> lineStatus();
      case REG_MSR -> modemStatus;
      default -> scratch;
    };
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    advanceTo(nowNs);
    int v = value & BYTE;
    boolean dlab = (lcr & LCR_DLAB) != 0;
    switch (register(port)) {
      case REG_DATA -> {
        if (dlab) {
          divisor = divisor & ~BYTE | v;
        } else {
          transmit(v);
        }
      }
      case REG_IER -> {
        if (dlab) {
          divisor = divisor & BYTE | v << 8;
        } else {
          writeInterruptEnable(v & IER_WRITABLE);
        }
      }
      case REG_IIR_FCR -> writeFifoControl(v);
      case REG_LCR -> {
        boolean breakStarts = (v & ~lcr & LCR_BREAK) != 0;
        lcr = v;
        if (breakStarts && (mcr & MCR_LOOP) != 0) {
          push(0, LSR_BI | LSR_FE);
        }
      }
      case REG_MCR -> {
        mcr = v & MCR_WRITABLE;
        updateModemStatus();
      }
      case REG_SCR -> scratch = v;
      default -> {
        return;
      }
    }
    receiveDue();
    updateInterrupt();
  }

  private int register(int port) {
    return port - base & REGISTERS - 1;
  }

  private void transmit(int v) {
    thrEmptyPending = false;
    updateInterrupt();
    if ((mcr & MCR_LOOP) != 0) {
      push(v, 0);
    } else {
      sink.accept(v);
    }
    thrEmptyPending = true;
  }

  /** Enabling the THRE interrupt raises it at once although nothing was sent: drivers start their output by that. */
  private void writeInterruptEnable(int v) {
    if ((v & ~ier & IER_THRI) != 0) {
      thrEmptyPending = true;
    }
    ier = v;
  }

  private void writeFifoControl(int v) {
    boolean on = (v & FCR_ENABLE) != 0;
    if (on != fifosOn || (v & FCR_RESET_RX) != 0) {
      clearFifo();
    }
    fifosOn = on;
    trigger = TRIGGER_LEVELS[on ? v >> FCR_TRIGGER_SHIFT : 0];
  }

  private void clearFifo() {
    head = 0;
    count = 0;
    timeoutPending = false;
    timeoutAt = Long.MAX_VALUE;
  }

  private void push(int value, int flags) {
    short entry = (short) (value | flags << ENTRY_ERRORS_SHIFT);
    if (!fifosOn) {
      errors |= flags | (count > 0 ? LSR_OE : 0);
      fifo[head] = entry;
      count = 1;
      return;
    }
    if (count == FIFO_SIZE) {
      errors |= LSR_OE;
    } else {
      fifo[head + count & FIFO_MASK] = entry;
      count++;
      if (count == 1) {
        errors |= flags;
      }
    }
    restartTimeout();
  }

  private void pop() {
    lastRead = fifo[head] & BYTE;
    head = head + 1 & FIFO_MASK;
    count--;
    timeoutPending = false;
    timeoutAt = Long.MAX_VALUE;
    if (count > 0) {
      errors |= entryErrors(head);
      restartTimeout();
    }
  }

  private int entryErrors(int index) {
    return (fifo[index] & 0xFFFF) >> ENTRY_ERRORS_SHIFT;
  }

  private void restartTimeout() {
    int bits = 1 + 5 + (lcr & LCR_WORD) + ((lcr & LCR_PARITY) != 0 ? 1 : 0) + ((lcr & LCR_TWO_STOP_BITS) != 0 ? 2 : 1);
    long wait = TIMEOUT_CHARACTERS * bits * Math.max(1, divisor) * NS_PER_SECOND / BASE_BAUD;
    timeoutAt = now > Long.MAX_VALUE - wait ? Long.MAX_VALUE : now + wait;
  }

  private int lineStatus() {
    int lsr = LSR_THRE | LSR_TEMT | errors | (count > 0 ? LSR_DR : 0);
    for (int i = 0; fifosOn && i < count; i++) {
      if (entryErrors(head + i & FIFO_MASK) != 0) {
        return lsr | LSR_RXFE;
      }
    }
    return lsr;
  }

  private void updateModemStatus() {
    int lines = connector;
    if ((mcr & MCR_LOOP) != 0) {
      lines = ((mcr & MCR_RTS) != 0 ? MSR_CTS : 0) | ((mcr & MCR_DTR) != 0 ? MSR_DSR : 0)
          | ((mcr & MCR_OUT1) != 0 ? MSR_RI : 0) | ((mcr & MCR_OUT2) != 0 ? MSR_DCD : 0);
    }
    int changed = (lines ^ modemStatus) & MSR_LINES;
    // RI has a delta for its trailing edge only.
    changed &= ~(lines & MSR_RI);
    modemStatus = lines | modemStatus & MSR_DELTAS | changed >> MSR_LINE_SHIFT;
  }

  private int pendingSource() {
    if ((ier & IER_RLSI) != 0 && (errors & LSR_ERRORS) != 0) {
      return IIR_LINE_STATUS;
    }
    if ((ier & IER_RDI) != 0 && count >= trigger) {
      return IIR_RECEIVED_DATA;
    }
    if ((ier & IER_RDI) != 0 && timeoutPending) {
      return IIR_RECEIVE_TIMEOUT;
    }
    if ((ier & IER_THRI) != 0 && thrEmptyPending) {
      return IIR_THR_EMPTY;
    }
    if ((ier & IER_MSI) != 0 && (modemStatus & MSR_DELTAS) != 0) {
      return IIR_MODEM_STATUS;
    }
    return IIR_NONE;
  }

  private void updateInterrupt() {
    boolean open = !gatedByOut2 || (mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    boolean wanted = open && pendingSource() != IIR_NONE;
    if (wanted != level) {
      level = wanted;
      interrupt.set(wanted);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(divisor);
    out.writeByte(ier);
    out.writeByte(lcr);
    out.writeByte(mcr);
    out.writeByte(scratch);
    out.writeBoolean(fifosOn);
    out.writeByte(trigger);
    out.writeByte(errors);
    out.writeByte(modemStatus);
    out.writeByte(connector);
    out.writeBoolean(thrEmptyPending);
    out.writeBoolean(timeoutPending);
    out.writeLong(timeoutAt);
    for (int i = 0; i < FIFO_SIZE; i++) {
      out.writeShort(fifo[i]);
    }
    out.writeByte(head);
    out.writeByte(count);
    out.writeByte(lastRead);
    out.writeBoolean(level);
    out.writeLong(now);
    input.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name, VERSION);
    divisor = in.readInt() & MAX_DIVISOR;
    ier = in.readByte() & IER_WRITABLE;
    lcr = in.readByte() & BYTE;
    mcr = in.readByte() & MCR_WRITABLE;
    scratch = in.readByte() & BYTE;
    fifosOn = in.readBoolean();
    trigger = Math.max(1, in.readByte() & FIFO_MASK);
    errors = in.readByte() & LSR_ERRORS;
    modemStatus = in.readByte() & BYTE;
    connector = in.readByte() & MSR_LINES;
    thrEmptyPending = in.readBoolean();
    timeoutPending = in.readBoolean();
    timeoutAt = in.readLong();
    for (int i = 0; i < FIFO_SIZE; i++) {
      fifo[i] = (short) (in.readShort() & (LSR_ERRORS << ENTRY_ERRORS_SHIFT | BYTE));
    }
    head = in.readByte() & FIFO_MASK;
    count = Math.max(0, Math.min(FIFO_SIZE, in.readByte()));
    lastRead = in.readByte() & BYTE;
    level = in.readBoolean();
    now = in.readLong();
    input.load(in);
  }
}
