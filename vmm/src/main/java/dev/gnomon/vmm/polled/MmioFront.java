package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.device.MmioRange;

/** A device's registers behind trapped memory: each access exits. */
public final class MmioFront extends TrappedFront implements MmioDevice {
  private static final int RANGE_BYTES = 4096;

  private final MmioRange range;

  MmioFront(@Gpa long gpa, TrappedWindow window) {
    super(window);
    this.range = new MmioRange(gpa, RANGE_BYTES);
  }

  @Override
  public MmioRange range() {
    return range;
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return window.read(offset, size, nowNs);
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    window.write(offset, size, value, nowNs);
  }

  @Override
  public long peek(long offset, int size) {
    return window.peek(offset, size);
  }
}
