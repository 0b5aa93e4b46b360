package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The ports that software writes to pass time, 80h and EDh. Port 80h is also where firmware and tests post progress
 * codes, and reads back the last one, as the unused DMA page register behind it does; EDh reads all ones.
 */
public final class DelayPort implements PortDevice {
  private static final int VERSION = 1;
  private static final int PORT_POST = 0x80;
  private static final int PORT_ALTERNATIVE = 0xED;

  private final ByteSink posts;
  private int lastPost;

  /** @param posts takes each byte written to 80h */
  public DelayPort(ByteSink posts) {
    this.posts = posts;
  }

  @Override
  public String name() {
    return "delay";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT_POST, 1), new PortRange(PORT_ALTERNATIVE, 1));
  }

  @Override
  public void reset() {
    lastPost = 0;
  }

  /** The last byte written to port 80h, 0 after a reset. */
  public int lastPost() {
    return lastPost;
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    return port == PORT_POST ? lastPost : 0xFF;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    if (port == PORT_POST) {
      lastPost = value & 0xFF;
      posts.accept(lastPost);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeByte(lastPost);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    lastPost = in.readUnsignedByte();
  }
}
