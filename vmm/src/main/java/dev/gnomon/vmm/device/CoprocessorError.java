package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The latch between the processor's FERR# and IRQ 13 (IBM PC AT Technical Reference, "Coprocessor"; SDM vol. 1,
 * "Guidelines for Handling x87 FPU Exceptions"): set by the processor, cleared by any write to F0h, which asserts
 * IGNNE# until the exception is gone. A write to F1h, which reset an 80287, does nothing.
 */
public final class CoprocessorError implements PortDevice {
  public static final int IRQ = 13;

  private static final int VERSION = 1;
  private static final int PORT = 0xF0;

  private final InterruptLine irq;
  private final Runnable ignore;
  private boolean latched;

  /**
   * A latch that is clear.
   *
   * @param irq the wire to IRQ 13
   * @param ignore asserts IGNNE#
   */
  public CoprocessorError(InterruptLine irq, Runnable ignore) {
    this.irq = irq;
    this.ignore = ignore;
  }

  /** FERR# is asserted. */
  public void raise() {
    latched = true;
    irq.set(true);
  }

  @Override
  public String name() {
    return "coprocessor";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT, 2));
  }

  @Override
  public void reset() {
    latched = false;
    irq.set(false);
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    return 0xFF;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    if (port == PORT && latched) {
      latched = false;
      irq.set(false);
      ignore.run();
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeBoolean(latched);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    latched = in.readBoolean();
  }
}
