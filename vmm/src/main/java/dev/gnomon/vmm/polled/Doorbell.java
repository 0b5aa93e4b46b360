package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** The port by which a guest wakes a polled device that sleeps. Whatever is written rings; it reads as 0. */
final class Doorbell implements PortDevice {
  private final DeviceHost host;
  private final int port;

  Doorbell(DeviceHost host, int port) {
    this.host = host;
    this.port = port;
  }

  @Override
  public String name() {
    return host.name() + "-doorbell";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(port, 4));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  /**
   * The bell is looked at by the run loop; until then the poll that it brings is a deadline, so that the run loop
   * looks.
   */
  @Override
  public boolean hasTimer() {
    return true;
  }

  @Override
  public long nextDeadline() {
    return host.rung() ? host.nextPoll() : Long.MAX_VALUE;
  }

  @Override
  public void reset() {}

  @Override
  public int in(int at, int size, long nowNs) {
    return 0;
  }

  @Override
  public int peek(int at, int size) {
    return 0;
  }

  @Override
  public void out(int at, int size, int value, long nowNs) {
    host.ring(nowNs);
  }

  @Override
  public void save(DataOutput out) throws IOException {}

  @Override
  public void load(DataInput in) throws IOException {}
}
