package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.IdeBits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * One ATA disk of an {@link IdeChannel}: its copy of the task file, its commands and its buffer. Commands take no time.
 *
 * <p>A sector outside the disk gives IDNF, one that the image cannot read UNC, one that it cannot write DF with ABRT,
 * a command that the disk has not ABRT. After an error the address registers hold the first sector that was not
 * transferred.
 */
final class IdeDrive {
  private static final int SECTOR = DiskImage.SECTOR_BYTES;
  private static final int MAX_MULTIPLE = 16;
  private static final int HEADS = 16;
  private static final int TRACK_SECTORS = 63;
  private static final int MAX_CYLINDERS = 16383;
  private static final int LBA28_COUNT = 0x100;
  private static final int LBA48_COUNT = 0x10000;

  private static final int IDLE_STATE = 0;
  private static final int READING = 1;
  private static final int WRITING = 2;

  private final int index;
  private final DiskImage disk;
  private final int resetResult;
  private final Runnable changed;
  private final int[] registers = new int[REGISTERS];
  /** What the registers held before, the high bytes of 48-bit commands. */
  private final int[] previous = new int[REGISTERS];
  private int status;
  private int error;
  private boolean interrupt;
  private int heads = HEADS;
  private int trackSectors = TRACK_SECTORS;
  private int multiple;

  private final byte[] buffer = new byte[MAX_MULTIPLE * SECTOR];
  private int state;
  private int position;
  private int limit;
  /** The next sector to transfer and how many there are to come, those in the buffer included. */
  private long lba;
  private int remaining;
  private int blockSectors = 1;
  private boolean extended;

  /**
   * A disk after a reset.
   *
   * @param index 0 or 1, its number on the channel
   * @param resetResult what word 93 of its identity says
   * @param changed is called when {@link #interrupt()} may have changed
   */
  IdeDrive(int index, DiskImage disk, int resetResult, Runnable changed) {
    this.index = index;
    this.disk = disk;
    this.resetResult = resetResult;
    this.changed = changed;
    reset();
  }

  /** A hardware reset. */
  void reset() {
    heads = HEADS;
    trackSectors = TRACK_SECTORS;
    multiple = 0;
    interrupt = false;
    signature();
  }

  /** Registers after a reset or a diagnosis. */
  void signature() {
    registers[COUNT] = 1;
    registers[LBA_LOW] = 1;
    registers[LBA_MID] = 0;
    registers[LBA_HIGH] = 0;
    registers[DEVICE] = DEVICE_FIXED;
    error = PASSED;
    state = IDLE_STATE;
    status = DRDY | DSC;
  }

  /** Whether it wants an interrupt. */
  boolean interrupt() {
    return interrupt;
  }

  /** Wants an interrupt, or no longer. */
  void drive(boolean level) {
    interrupt = level;
    changed.run();
  }

  /** A register other than data and status. @param high the older byte of those that keep two */
  int register(int register, boolean high) {
    return switch (register) {
      case FEATURES -> error;
      case DEVICE -> registers[DEVICE];
      default -> high ? previous[register] : registers[register];
    };
  }

  int status() {
    return status;
  }

  /** Writes a register other than data and command. */
  void write(int register, int value) {
    if (register == DEVICE) {
      registers[DEVICE] = value | DEVICE_FIXED;
    } else {
      previous[register] = registers[register];
      registers[register] = value;
    }
  }

  /** The next bytes of data, zeros if there are none. */
  int peekData(int size) {
    int value = 0;
    for (int i = 0; i < size && state == READING && position + i < limit; i++) {
      value |= (buffer[position + i] & 0xFF) << 8 * i;
    }
    return value;
  }

  /** Takes the next bytes of data. */
  int readData(int size) {
    int value = peekData(size);
    if (state == READING) {
      position += Math.min(size, limit - position);
      if (position >= limit) {
        blockRead();
      }
    }
    return value;
  }

  void writeData(int size, int value) {
    if (state != WRITING) {
      return;
    }
    for (int i = 0; i < size && position < limit; i++) {
      buffer[position++] = (byte) (value >>> 8 * i);
    }
    if (position >= limit) {
      blockWritten();
    }
  }

  /** Carries out a command, or begins to. The interrupt of the one before it is taken back. */
  void execute(int command) {
    drive(false);
    state = IDLE_STATE;
    error = 0;
    status = DRDY | DSC;
    switch (command) {
      case READ_SECTORS, READ_SECTORS_NO_RETRY -> startRead(1, false);
      case READ_SECTORS_EXT -> startRead(1, true);
      case READ_MULTIPLE -> startRead(multiple, false);
      case READ_MULTIPLE_EXT -> startRead(multiple, true);
      case WRITE_SECTORS, WRITE_SECTORS_NO_RETRY -> startWrite(1, false);
      case WRITE_SECTORS_EXT -> startWrite(1, true);
      case WRITE_MULTIPLE -> startWrite(multiple, false);
      case WRITE_MULTIPLE_EXT -> startWrite(multiple, true);
      case VERIFY, VERIFY_NO_RETRY -> verify(false);
      case VERIFY_EXT -> verify(true);
      case IDENTIFY -> identify();
      case SET_MULTIPLE -> setMultiple();
      case FLUSH_CACHE, FLUSH_CACHE_EXT -> flush();
      case DIAGNOSTIC -> {
        signature();
        // Device 0 speaks for both.
        drive(index == 0);
      }
      case INITIALIZE_PARAMETERS -> initializeParameters();
      case STANDBY_IMMEDIATE, IDLE_IMMEDIATE, STANDBY, IDLE, SLEEP -> drive(true);
      case CHECK_POWER_MODE -> {
        registers[COUNT] = ACTIVE;
        drive(true);
      }
      case SET_FEATURES -> setFeatures();
      case READ_NATIVE_MAX -> nativeMax(false);
      case READ_NATIVE_MAX_EXT -> nativeMax(true);
      default -> {
        int group = command & 0xF0;
        if (group == RECALIBRATE || group == SEEK) {
          drive(true);
        } else {
          fail(ABRT);
        }
      }
    }
  }

  private void fail(int bits) {
    state = IDLE_STATE;
    error = bits;
    status = DRDY | DSC | ERR;
    drive(true);
  }

  /** Takes address and count from the registers. @return false if a sector number of 0 or beyond the track was given */
  private boolean address(boolean ext) {
    extended = ext;
    int count = registers[COUNT] | (ext ? previous[COUNT] << 8 : 0);
    remaining = count != 0 ? count : ext ? LBA48_COUNT : LBA28_COUNT;
    int low = registers[LBA_HIGH] << 16 | registers[LBA_MID] << 8 | registers[LBA_LOW];
    if (ext) {
      lba = (long) (previous[LBA_HIGH] << 16 | previous[LBA_MID] << 8 | previous[LBA_LOW]) << 24 | low;
    } else if ((registers[DEVICE] & DEVICE_LBA) != 0) {
      lba = (long) (registers[DEVICE] & DEVICE_HEAD) << 24 | low;
    } else {
      int sector = registers[LBA_LOW];
      int head = registers[DEVICE] & DEVICE_HEAD;
      lba = ((long) (low >>> 8) * heads + head) * trackSectors + sector - 1;
      return sector != 0 && sector <= trackSectors && head < heads;
    }
    return true;
  }

  /** Puts {@link #lba} into the registers. */
  private void showAddress() {
    if (!extended && (registers[DEVICE] & DEVICE_LBA) == 0) {
      long track = lba / trackSectors;
      registers[LBA_LOW] = (int) (lba % trackSectors) + 1;
      registers[LBA_MID] = (int) (track / heads) & 0xFF;
      registers[LBA_HIGH] = (int) (track / heads >> 8) & 0xFF;
      registers[DEVICE] = registers[DEVICE] & ~DEVICE_HEAD | (int) (track % heads);
      return;
    }
    registers[LBA_LOW] = (int) lba & 0xFF;
    registers[LBA_MID] = (int) (lba >> 8) & 0xFF;
    registers[LBA_HIGH] = (int) (lba >> 16) & 0xFF;
    if (extended) {
      previous[LBA_LOW] = (int) (lba >> 24) & 0xFF;
      previous[LBA_MID] = (int) (lba >> 32) & 0xFF;
      previous[LBA_HIGH] = (int) (lba >> 40) & 0xFF;
    } else {
      registers[DEVICE] = registers[DEVICE] & ~DEVICE_HEAD | (int) (lba >> 24) & DEVICE_HEAD;
    }
  }

  private void failAt(int bits) {
    showAddress();
    fail(bits);
  }

  private boolean onDisk() {
    return lba >= 0 && lba < disk.sectors();
  }

  private void startRead(int block, boolean ext) {
    if (block == 0) {
      fail(ABRT);
    } else if (!address(ext)) {
      fail(IDNF);
    } else {
      blockSectors = block;
      fillBlock();
    }
  }

  /** Brings the next block of a read into the buffer; its sectors before a bad one are dropped with it. */
  private void fillBlock() {
    int count = Math.min(blockSectors, remaining);
    for (int i = 0; i < count; i++) {
      if (!onDisk()) {
        failAt(IDNF);
        return;
      }
      try {
        disk.read(lba, buffer, i * SECTOR);
      } catch (IOException e) {
        failAt(UNC);
        return;
      }
      lba++;
    }
    offer(READING, count * SECTOR);
    drive(true);
  }

  private void offer(int newState, int bytes) {
    state = newState;
    position = 0;
    limit = bytes;
    status = DRDY | DSC | DRQ;
  }

  private void blockRead() {
    remaining -= limit / SECTOR;
    if (remaining > 0) {
      fillBlock();
    } else {
      state = IDLE_STATE;
      status = DRDY | DSC;
    }
  }

  private void startWrite(int block, boolean ext) {
    if (block == 0) {
      fail(ABRT);
    } else if (!address(ext) || !onDisk()) {
      fail(IDNF);
    } else {
      blockSectors = block;
      offer(WRITING, Math.min(block, remaining) * SECTOR);
    }
  }

  private void blockWritten() {
    int count = limit / SECTOR;
    for (int i = 0; i < count; i++) {
      if (!onDisk()) {
        failAt(IDNF);
        return;
      }
      try {
        disk.write(lba, buffer, i * SECTOR);
      } catch (IOException e) {
        failAt(ABRT);
        status |= DF;
        return;
      }
      lba++;
    }
    remaining -= count;
    if (remaining > 0) {
      offer(WRITING, Math.min(blockSectors, remaining) * SECTOR);
    } else {
      state = IDLE_STATE;
      status = DRDY | DSC;
    }
    drive(true);
  }

  private void verify(boolean ext) {
    if (!address(ext)) {
      fail(IDNF);
      return;
    }
    long end = lba + remaining;
    while (lba < end && onDisk()) {
      try {
        disk.read(lba, buffer, 0);
      } catch (IOException e) {
        failAt(UNC);
        return;
      }
      lba++;
    }
    if (lba < end) {
      failAt(IDNF);
    } else {
      drive(true);
    }
  }

  private int cylinders() {
    return (int) Math.min(MAX_CYLINDERS, Math.max(1, disk.sectors() / (HEADS * TRACK_SECTORS)));
  }

  private void identify() {
    byte[] words = IdeIdentity.of(disk.sectors(), new int[] {cylinders(), HEADS, TRACK_SECTORS}, heads, trackSectors,
        multiple, MAX_MULTIPLE, resetResult);
    System.arraycopy(words, 0, buffer, 0, SECTOR);
    remaining = 1;
    offer(READING, SECTOR);
    drive(true);
  }

  private void setMultiple() {
    int count = registers[COUNT];
    if (count > MAX_MULTIPLE || Integer.bitCount(count) > 1) {
      fail(ABRT);
    } else {
      multiple = count;
      drive(true);
    }
  }

  private void initializeParameters() {
    if (registers[COUNT] == 0) {
      fail(ABRT);
    } else {
      trackSectors = registers[COUNT];
      heads = (registers[DEVICE] & DEVICE_HEAD) + 1;
      drive(true);
    }
  }

  private void setFeatures() {
    boolean known = switch (registers[FEATURES]) {
      case SET_TRANSFER_MODE -> registers[COUNT] < FIRST_DMA_MODE;
      case ENABLE_WRITE_CACHE, DISABLE_WRITE_CACHE, ENABLE_LOOK_AHEAD, DISABLE_LOOK_AHEAD -> true;
      default -> false;
    };
    if (known) {
      drive(true);
    } else {
      fail(ABRT);
    }
  }

  private void nativeMax(boolean ext) {
    extended = ext;
    registers[DEVICE] |= DEVICE_LBA;
    lba = disk.sectors() - 1;
    showAddress();
    drive(true);
  }

  private void flush() {
    try {
      disk.flush();
      drive(true);
    } catch (IOException e) {
      fail(ABRT);
      status |= DF;
    }
  }

  void save(DataOutput out) throws IOException {
    for (int i = 0; i < REGISTERS; i++) {
      out.writeByte(registers[i]);
      out.writeByte(previous[i]);
    }
    out.writeByte(status);
    out.writeByte(error);
    out.writeBoolean(interrupt);
    out.writeByte(heads);
    out.writeByte(trackSectors);
    out.writeByte(multiple);
    out.writeByte(state);
    out.writeInt(position);
    out.writeInt(limit);
    out.writeLong(lba);
    out.writeInt(remaining);
    out.writeByte(blockSectors);
    out.writeBoolean(extended);
    out.write(buffer);
    disk.save(out);
  }

  void load(DataInput in) throws IOException {
    for (int i = 0; i < REGISTERS; i++) {
      registers[i] = in.readUnsignedByte();
      previous[i] = in.readUnsignedByte();
    }
    status = in.readUnsignedByte();
    error = in.readUnsignedByte();
    interrupt = in.readBoolean();
    heads = Math.max(1, in.readUnsignedByte());
    trackSectors = Math.max(1, in.readUnsignedByte());
    multiple = Math.min(MAX_MULTIPLE, in.readUnsignedByte());
    state = in.readUnsignedByte();
    position = in.readInt();
    limit = in.readInt();
    lba = in.readLong();
    remaining = in.readInt();
    blockSectors = in.readUnsignedByte();
    extended = in.readBoolean();
    if (state > WRITING || position < 0 || position > limit || limit > buffer.length || blockSectors < 1
        || blockSectors > MAX_MULTIPLE) {
      throw new IOException("ide: saved state stands at byte " + position + " of " + limit + " in state " + state
          + ", expected a place in a buffer of " + buffer.length);
    }
    in.readFully(buffer);
    disk.load(in);
  }
}
