package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.device.MmioRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** The request device behind trapped memory: each access exits, and the write of {@code submit} serves the request. */
public final class MmioRequestDevice implements MmioDevice {
  private static final int RANGE_BYTES = 4096;

  private final String name;
  private final MmioRange range;
  private final TrappedRegisters registers;

  /** @param gpa where its page of registers lies */
  public MmioRequestDevice(String name, @Gpa long gpa, RequestEngine engine) {
    this.name = name;
    this.range = new MmioRange(gpa, RANGE_BYTES);
    this.registers = new TrappedRegisters(engine);
  }

  /** The device behind the registers. */
  public RequestEngine engine() {
    return registers.engine();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public MmioRange range() {
    return range;
  }

  @Override
  public void reset() {
    registers.reset();
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return registers.guestRead(offset, size);
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    registers.guestWrite(offset, size, value);
  }

  @Override
  public long peek(long offset, int size) {
    return registers.guestRead(offset, size);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    registers.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    registers.load(in, name);
  }
}
