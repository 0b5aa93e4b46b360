package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.IdeBits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The first ATA channel of a PC with one disk or two, by programmed I/O (ATA/ATAPI-6): ports 1F0h to 1F7h and 3F6h,
 * IRQ 14. Both disks hear what is written to the registers, the selected one answers and takes commands, so BSY is
 * seen only during a software reset. If device 1 is absent, device 0 answers for it with a status of 0, as the
 * standard has it.
 */
public final class IdeChannel implements PortDevice {
  public static final int IRQ = 14;
  public static final int PORT = 0x1F0;
  public static final int CONTROL_PORT = 0x3F6;
  /** Most disks of a channel. */
  public static final int DRIVES = 2;

  private static final int VERSION = 2;

  private final InterruptLine line;
  private final IdeDrive[] drives;
  private int control;
  /** Whether the registers name device 1, present or not. */
  private boolean second;

  /**
   * A channel after a reset.
   *
   * @param line the wire of IRQ 14
   * @param disks device 0, and device 1 if there is one
   * @throws IllegalArgumentException if there are no disks or more than {@link #DRIVES}
   */
  public IdeChannel(InterruptLine line, List<DiskImage> disks) {
    if (disks.isEmpty() || disks.size() > DRIVES) {
      throw new IllegalArgumentException(disks.size() + " disks on an IDE channel: expected 1 or " + DRIVES);
    }
    this.line = line;
    drives = new IdeDrive[disks.size()];
    for (int i = 0; i < drives.length; i++) {
      drives[i] = new IdeDrive(i, disks.get(i), IdeIdentity.resetResult(i, drives.length), this::raise);
    }
    reset();
  }

  @Override
  public String name() {
    return "ide";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT, REGISTERS), new PortRange(CONTROL_PORT, 1));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public void reset() {
    control = 0;
    second = false;
    for (IdeDrive drive : drives) {
      drive.reset();
    }
    raise();
  }

  /** Puts the selected disk's interrupt on the wire. */
  private void raise() {
    line.set((control & NIEN) == 0 && !absentSelected() && selected().interrupt());
  }

  private boolean absentSelected() {
    return second && drives.length < DRIVES;
  }

  /** The disk that answers. */
  private IdeDrive selected() {
    return drives[second ? drives.length - 1 : 0];
  }

  @Override
  public int in(int port, int size, long nowNs) {
    int register = port - PORT;
    if (register == DATA) {
      return selected().readData(size);
    }
    int value = peek(port, size);
    if (register <= COMMAND && register + size > COMMAND && !absentSelected()) {
      selected().drive(false);
    }
    return value;
  }

  @Override
  public int peek(int port, int size) {
    int register = port - PORT;
    if (register == DATA) {
      return selected().peekData(size);
    }
    int value = 0;
    for (int i = 0; i < size; i++) {
      int part = register + i >= COMMAND ? status() : selected().register(register + i, (control & HOB) != 0);
      value |= part << 8 * i;
    }
    return value;
  }

  private int status() {
    if ((control & SRST) != 0) {
      return BSY;
    }
    return absentSelected() ? 0 : selected().status();
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    if (port == CONTROL_PORT) {
      writeControl(value & 0xFF);
      return;
    }
    int register = port - PORT;
    if (register == DATA) {
      selected().writeData(size, value);
      return;
    }
    for (int i = 0; i < size; i++) {
      write(register + i, value >>> 8 * i & 0xFF);
    }
  }

  private void writeControl(int value) {
    boolean released = (control & ~value & SRST) != 0;
    control = value & (HOB | SRST | NIEN);
    if (released) {
      second = false;
      for (IdeDrive drive : drives) {
        drive.signature();
        drive.drive(false);
      }
    }
    raise();
  }

  private void write(int register, int value) {
    if ((control & SRST) != 0) {
      return;
    }
    control &= ~HOB;
    if (register == COMMAND) {
      command(value);
      return;
    }
    for (IdeDrive drive : drives) {
      drive.write(register, value);
    }
    if (register == DEVICE) {
      second = (value & DEVICE_DEV) != 0;
      raise();
    }
  }

  private void command(int command) {
    if (command == DIAGNOSTIC) {
      second = false;
      for (IdeDrive drive : drives) {
        drive.execute(command);
      }
    } else if (!absentSelected()) {
      selected().execute(command);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeByte(control);
    out.writeBoolean(second);
    for (IdeDrive drive : drives) {
      drive.save(out);
    }
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    control = in.readUnsignedByte() & (HOB | SRST | NIEN);
    second = in.readBoolean();
    for (IdeDrive drive : drives) {
      drive.load(in);
    }
  }
}
