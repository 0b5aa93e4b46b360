package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.device.Device;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** What trapped memory and ports before a device's registers have in common: all but how they are accessed. */
abstract sealed class TrappedFront implements Device permits MmioFront, PortFront {
  final TrappedWindow window;

  TrappedFront(TrappedWindow window) {
    this.window = window;
  }

  @Override
  public final String name() {
    return window.host().name();
  }

  @Override
  public final boolean hasTimer() {
    return true;
  }

  @Override
  public final long nextDeadline() {
    return window.nextDeadline();
  }

  @Override
  public final void advanceTo(long nowNs) {
    window.advanceTo(nowNs);
  }

  @Override
  public final void reset() {
    window.reset();
  }

  @Override
  public final void save(DataOutput out) throws IOException {
    window.save(out);
  }

  @Override
  public final void load(DataInput in) throws IOException {
    window.load(in);
  }
}
