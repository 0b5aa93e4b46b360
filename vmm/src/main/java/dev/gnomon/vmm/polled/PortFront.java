package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** A device's registers behind ports: at the same offsets from the base port; 64-bit ones are accessed by halves. */
public final class PortFront implements PortDevice {
  private static final int WIDTH = 4;

  private final int base;
  private final TrappedWindow window;

  PortFront(int base, TrappedWindow window) {
    this.base = base;
    this.window = window;
  }

  @Override
  public String name() {
    return window.host().name();
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(base, window.bytes()));
  }

  @Override
  public int portWidth() {
    return WIDTH;
  }

  @Override
  public boolean hasTimer() {
    return true;
  }

  @Override
  public long nextDeadline() {
    return window.nextDeadline();
  }

  @Override
  public void advanceTo(long nowNs) {
    window.advanceTo(nowNs);
  }

  @Override
  public void reset() {
    window.reset();
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return (int) window.read(port - base, size, nowNs);
  }

  @Override
  public int peek(int port, int size) {
    return (int) window.peek(port - base, size);
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    window.write(port - base, size, value & 0xFFFF_FFFFL, nowNs);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    window.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    window.load(in);
  }
}
