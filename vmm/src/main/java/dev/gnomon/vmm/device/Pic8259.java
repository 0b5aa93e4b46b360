package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The PC's pair of 8259A interrupt controllers: master at 20h, slave at A0h on the master's input 2, edge/level
 * registers at 4D0h (Intel 8259A data sheet; Intel 82371 for the ELCR).
 *
 * <p>Where the data sheet leaves a choice this does what Linux KVM does (arch/x86/kvm/i8259.c). A rising edge stays
 * latched until it is acknowledged, although its line falls. ICW1 drops latched edges and the in-service bits; its LTIM
 * bit is ignored, as ELCR replaces it. The slave is on input 2 whatever ICW3 says, and ICW4 always means 8086 mode. An
 * acknowledge that finds no request gets level 7, sets no in-service bit on the chip without one, and so needs no EOI
 * there: IRQ 7, or IRQ 15 with the master's input 2 in service. Polling is the data sheet's: the next read of either
 * address acknowledges.
 *
 * <p>Until ICW1 to ICW4 have been written the pair requests nothing, but the mask registers can be written and read.
 */
public final class Pic8259 implements PortDevice {
  /** Inputs of the pair, IRQ 0 to 15. */
  public static final int IRQS = 16;
  /** The master's input that the slave drives. */
  public static final int CASCADE_IRQ = 2;

  private static final int VERSION = 1;
  private static final int MASTER_PORT = 0x20;
  private static final int SLAVE_PORT = 0xA0;
  private static final int MASTER_ELCR_PORT = 0x4D0;
  private static final int SLAVE_ELCR_PORT = 0x4D1;
  /** IRQ 0, 1, 2 and 8, 13 are always edge-triggered. */
  private static final int MASTER_ELCR_WRITABLE = 0xF8;
  private static final int SLAVE_ELCR_WRITABLE = 0xDE;

  private final Pic8259Chip master = new Pic8259Chip(1 << CASCADE_IRQ, MASTER_ELCR_WRITABLE);
  private final Pic8259Chip slave = new Pic8259Chip(0, SLAVE_ELCR_WRITABLE);
  private final InterruptLine[] inputs = new InterruptLine[IRQS];
  private final InterruptLine intr;
  private boolean pending;

  /** A pair whose INTR output is only polled, by {@link #pending()}. */
  public Pic8259() {
    this(InterruptLine.NONE);
  }

  /** @param intr the wire from the master's INT output */
  public Pic8259(InterruptLine intr) {
    this.intr = intr;
    for (int irq = 0; irq < IRQS; irq++) {
      Pic8259Chip chip = irq < Pic8259Chip.INPUTS ? master : slave;
      int input = irq % Pic8259Chip.INPUTS;
      inputs[irq] = level -> {
        chip.setLine(input, level);
        update();
      };
    }
  }

  @Override
  public String name() {
    return "pic";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(MASTER_PORT, 2), new PortRange(SLAVE_PORT, 2), new PortRange(MASTER_ELCR_PORT, 2));
  }

  /** The lines keep their levels, which belong to the devices. */
  @Override
  public void reset() {
    master.reset();
    slave.reset();
    update();
  }

  /**
   * The wire to an interrupt input. Two devices on one wire have to OR their levels themselves.
   *
   * @param irq 0 to 15, not 2
   * @throws IllegalArgumentException if there is no such input, or it is the cascade
   */
  public InterruptLine line(int irq) {
    if (irq < 0 || irq >= IRQS || irq == CASCADE_IRQ) {
      throw new IllegalArgumentException(
          "interrupt line " + irq + ": expected 0 to 15 and not " + CASCADE_IRQ + ", the cascade");
    }
    return inputs[irq];
  }

  /**
   * Sets the edge/level registers as firmware would.
   *
   * @param irqs one bit an IRQ; those that are always edge-triggered stay so
   */
  public void setLevelTriggered(int irqs) {
    master.writeElcr(irqs & 0xFF);
    slave.writeElcr(irqs >> Pic8259Chip.INPUTS);
    update();
  }

  /** The INTR output: whether an interrupt waits for {@link #acknowledge}. */
  public boolean pending() {
    return pending;
  }

  /** The vector that {@link #acknowledge} would return, with no effect; -1 if nothing is pending. */
  public int pendingVector() {
    int irq = master.request();
    if (irq != CASCADE_IRQ) {
      return irq == Pic8259Chip.NONE ? -1 : master.vector(irq);
    }
    int input = slave.request();
    return slave.vector(input == Pic8259Chip.NONE ? Pic8259Chip.SPURIOUS : input);
  }

  /**
   * The processor's interrupt acknowledge cycle. Returns the vector, 0 to 255; with nothing pending that of the
   * spurious IRQ 7.
   */
  public int acknowledge() {
    int irq = master.request();
    if (irq == Pic8259Chip.NONE) {
      return master.vector(Pic8259Chip.SPURIOUS);
    }
    master.acknowledge(irq);
    int vector = master.vector(irq);
    if (irq == CASCADE_IRQ) {
      int input = slave.request();
      if (input == Pic8259Chip.NONE) {
        vector = slave.vector(Pic8259Chip.SPURIOUS);
      } else {
        slave.acknowledge(input);
        vector = slave.vector(input);
      }
    }
    update();
    return vector;
  }

  @Override
  public int in(int port, int size, long nowNs) {
    Pic8259Chip chip = chip(port);
    if (!isElcr(port) && chip.polled()) {
      int value = peek(port, size);
      chip.endPoll();
      int input = chip.request();
      if (input != Pic8259Chip.NONE) {
        chip.acknowledge(input);
        if (chip == slave) {
          master.unlatch(CASCADE_IRQ);
        }
        update();
      }
      return value;
    }
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    Pic8259Chip chip = chip(port);
    if (isElcr(port)) {
      return chip.elcr();
    }
    if (chip.polled()) {
      int input = chip.request();
      return input == Pic8259Chip.NONE ? 0 : Pic8259Bits.POLL_INTERRUPT | input;
    }
    return (port & 1) != 0 ? chip.imr() : chip.readA0();
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    Pic8259Chip chip = chip(port);
    if (isElcr(port)) {
      chip.writeElcr(value);
    } else if ((port & 1) != 0) {
      chip.writeA1(value);
    } else {
      chip.writeA0(value);
    }
    update();
  }

  private Pic8259Chip chip(int port) {
    return port == SLAVE_PORT || port == SLAVE_PORT + 1 || port == SLAVE_ELCR_PORT ? slave : master;
  }

  private static boolean isElcr(int port) {
    return port == MASTER_ELCR_PORT || port == SLAVE_ELCR_PORT;
  }

  /**
   * The slave's request is latched at the master whenever it is seen, so that none is lost while the master is
   * initialised.
   */
  private void update() {
    if (slave.request() != Pic8259Chip.NONE) {
      master.latch(CASCADE_IRQ);
    }
    boolean wanted = master.request() != Pic8259Chip.NONE;
    if (wanted != pending) {
      pending = wanted;
      intr.set(wanted);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    master.save(out);
    slave.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    master.load(in);
    slave.load(in);
    pending = master.request() != Pic8259Chip.NONE;
  }
}
