package dev.gnomon.vmm.device;

import dev.gnomon.guest.memory.Gpa;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * QEMU's isa-debug-exit at F4h to F7h: a write of 1, 2 or 4 bytes anywhere in it ends the run with status {@code value
 * << 1 | 1} (32 bits). Reads give 0. Test kernels write 0 for success and so exit with 1.
 *
 * <p>A store at {@link #GPA} does the same, which QEMU has not: user programs of a Linux without {@code /dev/port}
 * reach that by {@code /dev/mem}.
 */
public final class DebugExit implements PortDevice, MmioDevice {
  /** A page in the hole below 4 GiB that no PC device uses. */
  public static final @Gpa long GPA = 0xFEDE_0000L;
  private static final int VERSION = 1;
  private static final int PORT = 0xF4;
  private static final int PORTS = 4;

  private final ExitRequest request;

  /** @param request told of the exit status */
  public DebugExit(ExitRequest request) {
    this.request = request;
  }

  @Override
  public String name() {
    return "debugexit";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT, PORTS));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public void reset() {
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return 0;
  }

  @Override
  public int peek(int port, int size) {
    return 0;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    int unsigned = value & -1 >>> 32 - 8 * size;
    request.exit(unsigned << 1 | 1);
  }

  @Override
  public MmioRange range() {
    return new MmioRange(GPA, PORTS);
  }

  @Override
  public int mmioWidth() {
    return 4;
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return 0;
  }

  @Override
  public long peek(long offset, int size) {
    return 0;
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    out(PORT, size, (int) value, nowNs);
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
