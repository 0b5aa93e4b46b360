package dev.gnomon.workloads;

import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.device.MmioRange;
import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import dev.gnomon.workloads.kernel.GuestPorts;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.Objects;

/**
 * The device behind {@link GuestPorts#REGION} and {@link GuestPorts#REGION_GPA}, by which a guest marks the part of its
 * run that is to be measured. Reads give 1 while a region is open, else 0; a begin within a region and an end outside
 * of one have no effect.
 */
public final class RegionMarker implements PortDevice, MmioDevice {
  private static final int VERSION = 1;

  /** Told of the marks, from inside the guest's OUT: it may read counters but not run the machine. */
  public interface Listener {
    /** The region begins behind the OUT or store that runs. */
    void regionBegin();

    /** The region ended before the OUT or store that runs. */
    void regionEnd();
  }

  private final Listener listener;
  private boolean open;

  public RegionMarker(Listener listener) {
    this.listener = Objects.requireNonNull(listener);
  }

  /** The region has begun already, before the guest's first instruction; whoever says so tells the listener itself. */
  public void openFromStart() {
    open = true;
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
  public void reset() {
    open = false;
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    return open ? 1 : 0;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    int mark = value & 0xFF;
    if (mark == GuestPorts.REGION_BEGIN && !open) {
      open = true;
      listener.regionBegin();
    } else if (mark == GuestPorts.REGION_END && open) {
      open = false;
      listener.regionEnd();
    }
  }

  @Override
  public MmioRange range() {
    return new MmioRange(GuestPorts.REGION_GPA, 4);
  }

  @Override
  public int mmioWidth() {
    return 4;
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return peek(offset, size);
  }

  @Override
  public long peek(long offset, int size) {
    return open ? 1 : 0;
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    out(GuestPorts.REGION, size, (int) value, nowNs);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeBoolean(open);
  }

  @Override
  public void load(DataInput in) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(name() + ": saved state has version " + version + ", expected " + VERSION);
    }
    open = in.readBoolean();
  }
}
