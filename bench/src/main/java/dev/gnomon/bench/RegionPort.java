package dev.gnomon.bench;

import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import dev.gnomon.workloads.kernel.GuestPorts;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** The port on which a workload marks its measured region. */
final class RegionPort implements PortDevice {
  private static final int VERSION = 1;

  private final Region region;

  RegionPort(Region region) {
    this.region = region;
  }

  @Override
  public String name() {
    return "region";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(GuestPorts.REGION, 1));
  }

  @Override
  public void reset() {}

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
    if (value == GuestPorts.REGION_BEGIN) {
      region.begin();
    } else if (value == GuestPorts.REGION_END) {
      region.end();
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
  }

  @Override
  public void load(DataInput in) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(name() + " section of version " + version + ": expected " + VERSION);
    }
  }
}
