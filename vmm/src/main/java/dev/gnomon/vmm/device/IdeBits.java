package dev.gnomon.vmm.device;

/**
 * Registers, bits and commands of an ATA channel by the names of the ATA/ATAPI-6 standard.
 *
 * <pre>
 *  1F0 data   1F1 error/features   1F2 sector count   1F3 LBA low   1F4 LBA mid   1F5 LBA high
 *  1F6 device   1F7 status/command                                     3F6 alternate status/device control
 *
 *            7     6     5     4     3     2     1     0
 *  device    1    LBA    1    DEV   [ LBA 27:24 or head  ]
 *  status   BSY   DRDY   DF   DSC   DRQ    0     0    ERR
 *  error     0    UNC    0    IDNF   0    ABRT   0     0
 *  control  HOB    -     -     -     -    SRST  nIEN   0
 * </pre>
 */
final class IdeBits {
  static final int DATA = 0;
  static final int FEATURES = 1;
  static final int COUNT = 2;
  static final int LBA_LOW = 3;
  static final int LBA_MID = 4;
  static final int LBA_HIGH = 5;
  static final int DEVICE = 6;
  static final int COMMAND = 7;
  static final int REGISTERS = 8;

  static final int DEVICE_FIXED = 0xA0;
  static final int DEVICE_LBA = 1 << 6;
  static final int DEVICE_DEV = 1 << 4;
  static final int DEVICE_HEAD = 0xF;

  static final int BSY = 1 << 7;
  static final int DRDY = 1 << 6;
  static final int DF = 1 << 5;
  static final int DSC = 1 << 4;
  static final int DRQ = 1 << 3;
  static final int ERR = 1 << 0;

  static final int UNC = 1 << 6;
  static final int IDNF = 1 << 4;
  static final int ABRT = 1 << 2;
  /** Diagnostic code: device 0 passed. */
  static final int PASSED = 1;

  static final int HOB = 1 << 7;
  static final int SRST = 1 << 2;
  static final int NIEN = 1 << 1;

  static final int RECALIBRATE = 0x10;
  static final int READ_SECTORS = 0x20;
  static final int READ_SECTORS_NO_RETRY = 0x21;
  static final int READ_SECTORS_EXT = 0x24;
  static final int READ_NATIVE_MAX_EXT = 0x27;
  static final int READ_MULTIPLE_EXT = 0x29;
  static final int WRITE_SECTORS = 0x30;
  static final int WRITE_SECTORS_NO_RETRY = 0x31;
  static final int WRITE_SECTORS_EXT = 0x34;
  static final int WRITE_MULTIPLE_EXT = 0x39;
  static final int VERIFY = 0x40;
  static final int VERIFY_NO_RETRY = 0x41;
  static final int VERIFY_EXT = 0x42;
  static final int SEEK = 0x70;
  static final int DIAGNOSTIC = 0x90;
  static final int INITIALIZE_PARAMETERS = 0x91;
  static final int READ_MULTIPLE = 0xC4;
  static final int WRITE_MULTIPLE = 0xC5;
  static final int SET_MULTIPLE = 0xC6;
  static final int STANDBY_IMMEDIATE = 0xE0;
  static final int IDLE_IMMEDIATE = 0xE1;
  static final int STANDBY = 0xE2;
  static final int IDLE = 0xE3;
  static final int CHECK_POWER_MODE = 0xE5;
  static final int SLEEP = 0xE6;
  static final int FLUSH_CACHE = 0xE7;
  static final int FLUSH_CACHE_EXT = 0xEA;
  static final int IDENTIFY = 0xEC;
  static final int SET_FEATURES = 0xEF;
  static final int READ_NATIVE_MAX = 0xF8;

  static final int SET_TRANSFER_MODE = 0x03;
  static final int ENABLE_WRITE_CACHE = 0x02;
  static final int DISABLE_WRITE_CACHE = 0x82;
  static final int ENABLE_LOOK_AHEAD = 0xAA;
  static final int DISABLE_LOOK_AHEAD = 0x55;
  /** Transfer modes above PIO begin here. */
  static final int FIRST_DMA_MODE = 0x10;
  /** What CHECK POWER MODE says of an active device. */
  static final int ACTIVE = 0xFF;

  private IdeBits() {
  }
}
