package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import java.util.List;

/** A device's registers behind ports: at the same offsets from the base port; 64-bit ones are accessed by halves. */
public final class PortFront extends TrappedFront implements PortDevice {
  private static final int WIDTH = 4;

  private final int base;

  PortFront(int base, TrappedWindow window) {
    super(window);
    this.base = base;
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
}
