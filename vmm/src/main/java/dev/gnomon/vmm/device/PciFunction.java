package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/**
 * A function's configuration space of 256 bytes (PCI Local Bus Specification 3.0, "Configuration Space"), with a mask
 * of what can be written.
 *
 * <pre>
 *  00 vendor   02 device   04 command   06 status   08 revision   09 class code (3 bytes)   0E header type
 *  2C subsystem vendor     2E subsystem
 * </pre>
 *
 * <p>The subsystem is 1AF4:1100 as on all of QEMU's machines, by which firmware knows that it may ask the firmware
 * configuration device.
 */
public final class PciFunction {
  static final int BYTES = 256;
  static final int COMMAND = 0x04;
  static final int HEADER_TYPE = 0x0E;
  /** Command register: the function answers memory accesses, and is a bus master. */
  static final int COMMAND_MEMORY = 1 << 1;
  static final int COMMAND_IO = 1 << 0;
  static final int COMMAND_MASTER = 1 << 2;
  /** Header type: more functions than one. */
  static final int MULTI_FUNCTION = 0x80;

  private static final int VENDOR = 0x00;
  private static final int DEVICE = 0x02;
  private static final int REVISION = 0x08;
  private static final int SUBSYSTEM_VENDOR = 0x2C;
  private static final int SUBSYSTEM = 0x2E;
  private static final int RED_HAT = 0x1AF4;
  private static final int QEMU_MACHINE = 0x1100;

  private final byte[] config = new byte[BYTES];
  private final byte[] writable = new byte[BYTES];
  private byte[] initial;

  /**
   * A function.
   *
   * @param classCode base class, subclass and interface, 24 bits
   * @param command the command register, which is fixed
   */
  PciFunction(int vendor, int device, int classCode, int revision, int command, int headerType) {
    put(VENDOR, 2, vendor);
    put(DEVICE, 2, device);
    put(COMMAND, 2, command);
    put(REVISION, 4, classCode << 8 | revision);
    put(HEADER_TYPE, 1, headerType);
    put(SUBSYSTEM_VENDOR, 2, RED_HAT);
    put(SUBSYSTEM, 2, QEMU_MACHINE);
    initial = config.clone();
  }

  private void put(int offset, int size, int value) {
    for (int i = 0; i < size; i++) {
      config[offset + i] = (byte) (value >> 8 * i);
    }
  }

  /** Lets the guest write all bits of a range, which stay without effect. */
  PciFunction withMemory(int offset, int length) {
    Arrays.fill(writable, offset, offset + length, (byte) -1);
    return this;
  }

  /** What a register of the device holds after a reset. */
  PciFunction with(int offset, int size, int value) {
    put(offset, size, value);
    initial = config.clone();
    return this;
  }

  void reset() {
    System.arraycopy(initial, 0, config, 0, BYTES);
  }

  int read(int offset, int size) {
    int value = 0;
    for (int i = 0; i < size; i++) {
      value |= (config[offset + i] & 0xFF) << 8 * i;
    }
    return value;
  }

  void write(int offset, int size, int value) {
    for (int i = 0; i < size; i++) {
      int at = offset + i;
      config[at] = (byte) (config[at] & ~writable[at] | value >> 8 * i & writable[at]);
    }
  }

  void save(DataOutput out) throws IOException {
    out.write(config);
  }

  void load(DataInput in) throws IOException {
    byte[] saved = new byte[BYTES];
    in.readFully(saved);
    reset();
    for (int i = 0; i < BYTES; i++) {
      write(i, 1, saved[i]);
    }
  }
}
