package dev.gnomon.vmm.lockstep;

import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.util.List;

/** Tells a test that the guest has come to a certain point: it wrote to the port. */
final class StepPort implements PortDevice {
  private final int port;
  /** Called on each write. */
  Runnable reached = () -> { };

  StepPort(int port) {
    this.port = port;
  }

  @Override
  public String name() {
    return "step";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(port, 1));
  }

  @Override
  public void reset() {
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return 0;
  }

  @Override
  public int peek(int port, int size) {
    return 0;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    reached.run();
  }

  @Override
  public void save(DataOutput out) {
  }

  @Override
  public void load(DataInput in) {
  }
}
