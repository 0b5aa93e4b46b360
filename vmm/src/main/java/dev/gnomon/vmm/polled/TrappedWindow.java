package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.HostMemory;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * A device's first window where the hypervisor keeps it: the guest's accesses trap and are answered from here by the
 * rules of the {@link RegisterFile}; the device finds the same bytes at the same address as if it were polled.
 */
final class TrappedWindow {
  private static final int VERSION = 1;
  /** Distance of the steps that follow a trap as long as the device is busy, in virtual nanoseconds. */
  private static final long BUSY_NS = 1000;

  private final DeviceHost host;
  private final RegisterFile registers;
  private final HostMemory memory;
  private final int offset;
  private long deadline = Long.MAX_VALUE;

  /** @param offset in {@code memory}, of the window's first byte */
  TrappedWindow(DeviceHost host, HostMemory memory, int offset) {
    this.host = host;
    this.registers = host.device().registers();
    this.memory = memory;
    this.offset = offset;
  }

  DeviceHost host() {
    return host;
  }

  int bytes() {
    return registers.bytes();
  }

  long read(long at, int size, long nowNs) {
    if (registers.stepsBeforeRead()) {
      step(nowNs);
    }
    return peek(at, size);
  }

  /** Registers as they are; all ones behind them. */
  long peek(long at, int size) {
    if (at + size <= registers.bytes()) {
      return memory.load(offset + (int) at, size);
    }
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (at + i < registers.bytes() ? memory.get8(offset + (int) at + i) & 0xFFL : 0xFFL) << 8 * i;
    }
    return value;
  }

  void write(long at, int size, long value, long nowNs) {
    boolean whole = at + size <= registers.bytes();
    for (int i = 0; i < size; i++) {
      whole &= registers.isWritable(at + i);
    }
    if (whole) {
      memory.store(offset + (int) at, size, value);
    } else {
      for (int i = 0; i < size; i++) {
        if (at + i < registers.bytes() && registers.isWritable(at + i)) {
          memory.set8(offset + (int) at + i, (byte) (value >>> 8 * i));
        }
      }
    }
    if (registers.rings(at, size)) {
      step(nowNs);
    }
  }

  private void step(long nowNs) {
    Poll result = host.trap(nowNs);
    deadline = result == Poll.BUSY ? nowNs + BUSY_NS : Long.MAX_VALUE;
  }

  long nextDeadline() {
    return deadline;
  }

  void advanceTo(long nowNs) {
    if (nowNs >= deadline) {
      deadline = host.step(nowNs) == Poll.BUSY ? nowNs + BUSY_NS : Long.MAX_VALUE;
    }
  }

  void reset() {
    host.reset();
    deadline = Long.MAX_VALUE;
  }

  void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeLong(deadline);
    for (int i = 0; i < registers.bytes(); i++) {
      out.writeByte(memory.get8(offset + i));
    }
    host.save(out);
  }

  void load(DataInput in) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(host.name() + ": saved state has version " + version + ", expected " + VERSION);
    }
    deadline = in.readLong();
    for (int i = 0; i < registers.bytes(); i++) {
      memory.set8(offset + i, in.readByte());
    }
    host.load(in);
  }
}
