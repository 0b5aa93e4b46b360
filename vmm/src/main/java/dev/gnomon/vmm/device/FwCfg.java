package dev.gnomon.vmm.device;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * QEMU's firmware configuration device (QEMU, docs/specs/fw_cfg): numbered read-only items, some of which are files
 * with names. A 16-bit write at 510h selects an item, each byte read at 511h is its next one, and 0 behind its end.
 * Ports 514h to 51Bh hold the big-endian address of a request in memory, which is carried out when the low half is
 * written:
 *
 * <pre>
 *  0  control, big-endian     31      16  15    5    4       3       2      1      0
 *                             item                  write  select  skip   read   error
 *  4  length in bytes         8  address, both big-endian
 * </pre>
 *
 * <p>A request leaves 0 in its control word, or the error bit if it wanted to write an item or named memory that is no
 * RAM.
 */
public final class FwCfg implements PortDevice {
  // The keys of the items, by QEMU's names.
  public static final int SIGNATURE = 0x00;
  public static final int ID = 0x01;
  public static final int RAM_SIZE = 0x03;
  public static final int NOGRAPHIC = 0x04;
  public static final int NB_CPUS = 0x05;
  public static final int MAX_CPUS = 0x0F;
  public static final int FILE_DIR = 0x19;
  public static final int FILE_FIRST = 0x20;
  public static final int IRQ0_OVERRIDE = 0x8002;
  public static final int E820_TABLE = 0x8003;

  private static final int VERSION = 1;
  private static final int PORT_SELECT = 0x510;
  private static final int PORT_DATA = 0x511;
  private static final int PORT_DMA = 0x514;
  private static final int PORT_DMA_LOW = 0x518;
  private static final int DMA_PORTS = 8;
  private static final byte[] SIGNATURE_BYTES = "QEMU".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] DMA_SIGNATURE = "QEMU CFG".getBytes(StandardCharsets.US_ASCII);
  /** Features: the traditional interface and DMA. */
  private static final int FEATURES = 3;
  private static final int NAME_BYTES = 56;
  private static final int ENTRY_BYTES = 64;
  private static final byte[] NOTHING = {};

  private static final int ERROR = 1 << 0;
  private static final int READ = 1 << 1;
  private static final int SKIP = 1 << 2;
  private static final int SELECT = 1 << 3;
  private static final int WRITE = 1 << 4;
  private static final int REQUEST_BYTES = 16;
  private static final int CHUNK = 4096;

  private final GuestPhysicalMemory memory;
  private final TreeMap<Integer, byte[]> items = new TreeMap<>();
  private final TreeMap<String, byte[]> files = new TreeMap<>();
  private int selected;
  private int offset;
  private long dmaAddress;

  /** A device with no items but its signature and features. @param memory where requests lie and go */
  public FwCfg(GuestPhysicalMemory memory) {
    this.memory = memory;
    items.put(SIGNATURE, SIGNATURE_BYTES);
    items.put(ID, number(FEATURES, 4));
    listFiles();
  }

  /** Adds a little-endian number of some bytes, 1 to 8. */
  public FwCfg add(int key, long value, int size) {
    return add(key, number(value, size));
  }

  /** Adds an item. @throws IllegalArgumentException if there is one of that key */
  public FwCfg add(int key, byte[] contents) {
    if (key >= FILE_DIR && key < IRQ0_OVERRIDE || items.putIfAbsent(key, contents.clone()) != null) {
      throw new IllegalArgumentException("fw_cfg item " + Integer.toHexString(key) + "h: expected a key that is free");
    }
    return this;
  }

  /**
   * Adds a file. Files are numbered in the order of their names.
   *
   * @param name at most 55 characters of ASCII
   */
  public FwCfg addFile(String name, byte[] contents) {
    if (name.length() >= NAME_BYTES || files.putIfAbsent(name, contents.clone()) != null) {
      throw new IllegalArgumentException("fw_cfg file " + name + ": expected a new name of at most 55 characters");
    }
    listFiles();
    return this;
  }

  private static byte[] number(long value, int size) {
    byte[] bytes = new byte[size];
    for (int i = 0; i < size; i++) {
      bytes[i] = (byte) (value >>> 8 * i);
    }
    return bytes;
  }

  private void listFiles() {
    ByteBuffer directory = ByteBuffer.allocate(4 + files.size() * ENTRY_BYTES).order(ByteOrder.BIG_ENDIAN);
    directory.putInt(files.size());
    int key = FILE_FIRST;
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      int next = directory.position() + ENTRY_BYTES;
      directory.putInt(file.getValue().length).putShort((short) key).putShort((short) 0);
      directory.put(file.getKey().getBytes(StandardCharsets.US_ASCII)).position(next);
      items.put(key++, file.getValue());
    }
    items.put(FILE_DIR, directory.array());
  }

  @Override
  public String name() {
    return "fw-cfg";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT_SELECT, 2), new PortRange(PORT_DMA, DMA_PORTS));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public void reset() {
    selected = 0;
    offset = 0;
    dmaAddress = 0;
  }

  private byte[] item() {
    return items.getOrDefault(selected, NOTHING);
  }

  @Override
  public int in(int port, int size, long nowNs) {
    int value = peek(port, size);
    if (port == PORT_DATA) {
      advance(1);
    }
    return value;
  }

  /** Steps behind an item's end do not count, so that it cannot be left by wrapping. */
  private void advance(long bytes) {
    offset = (int) Math.min(item().length, offset + bytes);
  }

  @Override
  public int peek(int port, int size) {
    if (port == PORT_DATA) {
      return offset < item().length ? item()[offset] & 0xFF : 0;
    }
    int value = 0;
    for (int i = 0; port >= PORT_DMA && i < size; i++) {
      value |= DMA_SIGNATURE[port - PORT_DMA + i] << 8 * i;
    }
    return value;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    if (port == PORT_SELECT && size == 2) {
      select(value & 0xFFFF);
    } else if (size == 4 && port == PORT_DMA) {
      dmaAddress = (long) Integer.reverseBytes(value) << 32;
    } else if (size == 4 && port == PORT_DMA_LOW) {
      long address = dmaAddress | Integer.reverseBytes(value) & 0xFFFF_FFFFL;
      dmaAddress = 0;
      request(address);
    }
  }

  private void select(int key) {
    selected = key;
    offset = 0;
  }

  private void request(@Gpa long gpa) {
    if (!memory.isRam(gpa, REQUEST_BYTES)) {
      return;
    }
    ByteBuffer request = ByteBuffer.wrap(memory.read(gpa, REQUEST_BYTES, REQUEST_BYTES));
    int command = request.getInt();
    long length = request.getInt() & 0xFFFF_FFFFL;
    boolean done = carryOut(command, length, request.getLong());
    memory.write(gpa, ByteBuffer.allocate(4).putInt(done ? 0 : ERROR).array());
  }

  private boolean carryOut(int command, long length, @Gpa long target) {
    if ((command & SELECT) != 0) {
      select(command >>> 16);
    }
    if ((command & READ) != 0) {
      return read(length, target);
    }
    if ((command & WRITE) != 0) {
      return length == 0;
    }
    if ((command & SKIP) != 0) {
      advance(length);
    }
    return true;
  }

  private boolean read(long length, @Gpa long target) {
    if (!memory.isRam(target, length)) {
      return false;
    }
    byte[] chunk = new byte[CHUNK];
    for (long done = 0; done < length; done += CHUNK) {
      int bytes = (int) Math.min(CHUNK, length - done);
      byte[] item = item();
      int there = Math.min(bytes, item.length - offset);
      System.arraycopy(item, offset, chunk, 0, there);
      Arrays.fill(chunk, there, bytes, (byte) 0);
      memory.write(target + done, chunk, 0, bytes);
      advance(bytes);
    }
    return true;
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeShort(selected);
    out.writeInt(offset);
    out.writeLong(dmaAddress);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    selected = in.readUnsignedShort();
    offset = Math.max(0, Math.min(item().length, in.readInt()));
    dmaAddress = in.readLong();
  }
}
