package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The debug console of Bochs and QEMU at port E9h, and at 402h where SeaBIOS looks for it: each byte written is a
 * character, and reads give E9h, by which guests find it.
 */
public final class DebugConsole implements PortDevice {
  private static final int VERSION = 1;
  private static final int PORT = 0xE9;
  private static final int FIRMWARE_PORT = 0x402;
  private static final int SIGNATURE = 0xE9;

  private final ByteSink sink;

  /** @param sink takes each character */
  public DebugConsole(ByteSink sink) {
    this.sink = sink;
  }

  @Override
  public String name() {
    return "debugcon";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT, 1), new PortRange(FIRMWARE_PORT, 1));
  }

  @Override
  public void reset() {
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return SIGNATURE;
  }

  @Override
  public int peek(int port, int size) {
    return SIGNATURE;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    sink.accept(value & 0xFF);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
  }
}
