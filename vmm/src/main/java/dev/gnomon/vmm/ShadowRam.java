package dev.gnomon.vmm;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.MemoryAttributes;
import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.device.MmioRange;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlots;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * The memory from C0000h to FFFFFh behind a 440FX's attribute map (82441FX, "PAM: Programmable Attribute Map
 * Registers"): ROM with RAM under it. The side that reads see lies in guest memory, the other here; a change of the
 * read side exchanges them. Only RAM that is read can be written without an exit; writes to RAM under a ROM that is
 * read arrive here by the device bus.
 *
 * <pre>
 *  read, write   reads   writes
 *    0     0     ROM     vanish
 *    0     1     ROM     RAM, by the bus
 *    1     0     RAM     vanish
 *    1     1     RAM     RAM
 * </pre>
 */
final class ShadowRam implements MmioDevice, MemoryAttributes {
  private static final int VERSION = 1;
  private static final int BYTES = (int) Addresses.bits(MemoryLayout.HIGH_START - MemoryLayout.ROM_START);

  /** Told of guest memory whose rights or contents changed, so that translations of it are dropped. */
  @FunctionalInterface
  interface Changed {
    void changed(@Gpa long gpa, long length);
  }

  private final MemorySlots slots;
  private final GuestPhysicalMemory memory;
  private final Changed changed;
  private final byte[] hidden = new byte[BYTES];
  private final boolean[] readRam = new boolean[SEGMENTS];
  private final boolean[] writeRam = new boolean[SEGMENTS];

  ShadowRam(MemorySlots slots, GuestPhysicalMemory memory, Changed changed) {
    this.slots = slots;
    this.memory = memory;
    this.changed = changed;
  }

  private static int start(int segment) {
    return segment * (int) MemoryLayout.ATTRIBUTE_SEGMENT;
  }

  private static int length(int segment) {
    return (segment == LAST ? BYTES : start(segment + 1)) - start(segment);
  }

  private static @Gpa long gpa(int segment) {
    return MemoryLayout.ROM_START + start(segment);
  }

  @Override
  public void set(int segment, boolean readEnabled, boolean writeEnabled) {
    boolean exchange = readRam[segment] != readEnabled;
    readRam[segment] = readEnabled;
    writeRam[segment] = writeEnabled;
    if (exchange) {
      byte[] seen = memory.read(gpa(segment), length(segment), BYTES);
      memory.write(gpa(segment), hidden, start(segment), length(segment));
      System.arraycopy(seen, 0, hidden, start(segment), seen.length);
    }
    map(segment, exchange);
  }

  private void map(int segment, boolean contentsChanged) {
    if (slots.setWritable(gpa(segment), readRam[segment] && writeRam[segment]) || contentsChanged) {
      changed.changed(gpa(segment), length(segment));
    }
  }

  @Override
  public String name() {
    return "shadow-ram";
  }

  @Override
  public MmioRange range() {
    return new MmioRange(MemoryLayout.ROM_START, BYTES);
  }

  /** The host bridge, reset too, sets the attributes back; RAM keeps its contents. */
  @Override
  public void reset() {
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return peek(offset, size);
  }

  @Override
  public long peek(long offset, int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= memory.read(MemoryLayout.ROM_START + offset + i, 1) << 8 * i;
    }
    return value;
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    for (int i = 0; i < size; i++) {
      int at = (int) offset + i;
      int segment = Math.min(LAST, at / (int) MemoryLayout.ATTRIBUTE_SEGMENT);
      if (writeRam[segment] && !readRam[segment]) {
        hidden[at] = (byte) (value >>> 8 * i);
      }
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    for (int segment = 0; segment < SEGMENTS; segment++) {
      out.writeBoolean(readRam[segment]);
      out.writeBoolean(writeRam[segment]);
    }
    out.write(hidden);
  }

  /** Reads what {@link #save} wrote; guest memory is restored by others. */
  @Override
  public void load(DataInput in) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(name() + ": saved state has version " + version + ", expected " + VERSION);
    }
    for (int segment = 0; segment < SEGMENTS; segment++) {
      readRam[segment] = in.readBoolean();
      writeRam[segment] = in.readBoolean();
    }
    in.readFully(hidden);
    for (int segment = 0; segment < SEGMENTS; segment++) {
      map(segment, true);
    }
  }
}
