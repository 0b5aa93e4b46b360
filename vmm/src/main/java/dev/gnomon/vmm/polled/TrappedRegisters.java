package dev.gnomon.vmm.polled;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The request device's registers where the hypervisor keeps them: reads are answered from here, a write of {@code submit} is served at once. */
final class TrappedRegisters implements RequestRegisters {
  private static final int VERSION = 1;

  private final RequestEngine engine;
  private final ByteBuffer bytes = ByteBuffer.allocate(SIZE).order(ByteOrder.LITTLE_ENDIAN);

  TrappedRegisters(RequestEngine engine) {
    this.engine = engine;
  }

  RequestEngine engine() {
    return engine;
  }

  @Override
  public long read(int offset, int size) {
    return size == 8 ? bytes.getLong(offset) : bytes.getInt(offset) & 0xFFFF_FFFFL;
  }

  @Override
  public void write(int offset, int size, long value) {
    if (size == 8) {
      bytes.putLong(offset, value);
    } else {
      bytes.putInt(offset, (int) value);
    }
  }

  /** A guest's read of any size within the registers; outside of them all ones. */
  long guestRead(long offset, int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      long at = offset + i;
      value |= (at >= 0 && at < SIZE ? bytes.get((int) at) & 0xFFL : 0xFFL) << 8 * i;
    }
    return value;
  }

  /** A guest's write of any size; the device's own registers stay, and one that ends in {@code submit} submits. */
  void guestWrite(long offset, int size, long value) {
    for (int i = 0; i < size; i++) {
      long at = offset + i;
      if (at >= 0 && at < RESULT) {
        bytes.put((int) at, (byte) (value >>> 8 * i));
      }
    }
    if (offset < OPERATION && offset + size >= OPERATION) {
      engine.step(this);
    }
  }

  void reset() {
    engine.reset();
    for (int i = 0; i < SIZE; i++) {
      bytes.put(i, (byte) 0);
    }
  }

  void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.write(bytes.array());
    engine.save(out);
  }

  void load(DataInput in, String name) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(name + ": saved state has version " + version + ", expected " + VERSION);
    }
    in.readFully(bytes.array());
    engine.load(in);
  }
}
