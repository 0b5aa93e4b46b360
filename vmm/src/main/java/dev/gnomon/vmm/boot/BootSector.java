package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Gpa;

/**
 * The first sector of a disk, put at 7C00h and entered in real mode as firmware does it: CS:IP is 0:7C00 and DL the
 * drive. There is no firmware, so the interrupt vectors are zero.
 */
final class BootSector implements GuestImage {
  private static final @Gpa long ADDRESS = 0x7C00;
  private static final int BYTES = 512;
  private static final int SIGNATURE = 510;
  private static final int FIRST_HARD_DISK = 0x80;

  private final BootRequest.File disk;

  BootSector(BootRequest.File disk) {
    this.disk = disk;
  }

  @Override
  public String format() {
    return "boot sector";
  }

  @Override
  public InitialState load(BootMemory memory) {
    byte[] bytes = disk.bytes();
    if (bytes.length < BYTES || (bytes[SIGNATURE] & 0xFF) != 0x55 || (bytes[SIGNATURE + 1] & 0xFF) != 0xAA) {
      throw new ImageException(disk.name(), "no boot sector: expected 512 bytes with 55 AA at the end");
    }
    memory.claim(disk.name(), ADDRESS, BYTES, "boot sector");
    memory.write(ADDRESS, bytes, 0, BYTES);
    return BootState.realMode(ADDRESS).withRdx(FIRST_HARD_DISK);
  }
}
