package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.device.MmioRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** A device's registers behind trapped memory: each access exits. */
public final class MmioFront implements MmioDevice {
  private static final int RANGE_BYTES = 4096;

  private final MmioRange range;
  private final TrappedWindow window;

  MmioFront(@Gpa long gpa, TrappedWindow window) {
    this.range = new MmioRange(gpa, RANGE_BYTES);
    this.window = window;
  }

  @Override
  public String name() {
    return window.host().name();
  }

  @Override
  public MmioRange range() {
    return range;
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

  @Override
  public void save(DataOutput out) throws IOException {
    window.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    window.load(in);
  }
}
