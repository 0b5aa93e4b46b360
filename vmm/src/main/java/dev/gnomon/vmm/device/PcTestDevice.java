package dev.gnomon.vmm.device;

import dev.gnomon.guest.memory.Gpa;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/**
 * QEMU's pc-testdev (hw/misc/pc-testdev.c), with which test kernels try instruction emulation and interrupt routing:
 *
 * <pre>
 *  E0–E3          four bytes that keep what is written, in any width
 *  E4–E7          takes the address of a page whose mapping the host shall drop; nothing that a guest sees follows
 *  E8, EA–EC      the same four bytes as at E0; E9 is the debug console's
 *  2000–2017      level of global system interrupt 0 to 23: a byte, 0 or not
 *  FF000000       64 KiB of device memory that keep what is written, in any width
 * </pre>
 */
public final class PcTestDevice implements PortDevice, MmioDevice {
  public static final @Gpa long GPA = 0xFF00_0000L;
  public static final int IRQ_PORT = 0x2000;
  public static final int INTERRUPTS = 24;

  private static final int VERSION = 1;
  private static final int PORT = 0xE0;
  private static final int FLUSH_PORT = 0xE4;
  private static final int BYTE_PORT = 0xE8;
  private static final int MEMORY_BYTES = 0x10000;
  private static final int DATA_BYTES = 4;

  private final InterruptLine[] lines = new InterruptLine[INTERRUPTS];
  private final byte[] data = new byte[DATA_BYTES];
  private final byte[] memory = new byte[MEMORY_BYTES];

  /** @param lines gives the wire of each global system interrupt, 0 to 23 */
  public PcTestDevice(IntFunction<InterruptLine> lines) {
    for (int i = 0; i < INTERRUPTS; i++) {
      this.lines[i] = lines.apply(i);
    }
  }

  @Override
  public String name() {
    return "pc-testdev";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT, 9), new PortRange(0xEA, 3), new PortRange(IRQ_PORT, INTERRUPTS));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public MmioRange range() {
    return new MmioRange(GPA, MEMORY_BYTES);
  }

  @Override
  public void reset() {
    Arrays.fill(data, (byte) 0);
    Arrays.fill(memory, (byte) 0);
  }

  private static boolean isData(int port) {
    return port < FLUSH_PORT || port >= BYTE_PORT && port < IRQ_PORT;
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    int value = 0;
    for (int i = 0; i < size; i++) {
      value |= (isData(port + i) ? data[port + i & DATA_BYTES - 1] & 0xFF : 0) << 8 * i;
    }
    return value;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    for (int i = 0; i < size; i++) {
      int part = value >>> 8 * i & 0xFF;
      if (port >= IRQ_PORT) {
        lines[port + i - IRQ_PORT].set(part != 0);
      } else if (isData(port + i)) {
        data[port + i & DATA_BYTES - 1] = (byte) part;
      }
    }
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return peek(offset, size);
  }

  @Override
  public long peek(long offset, int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (memory[(int) offset + i] & 0xFFL) << 8 * i;
    }
    return value;
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    for (int i = 0; i < size; i++) {
      memory[(int) offset + i] = (byte) (value >>> 8 * i);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.write(data);
    out.write(memory);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    in.readFully(data);
    in.readFully(memory);
  }
}
