package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** What lies on a disk: sectors of 512 bytes, numbered from 0. */
public interface DiskImage {
  /** Bytes of a sector. */
  int SECTOR_BYTES = 512;

  /** How many sectors there are, at least 1. */
  long sectors();

  /**
   * Reads one sector.
   *
   * @param lba 0 to {@link #sectors()} − 1
   * @param offset where it goes in {@code into}
   * @throws IOException if the medium cannot be read there
   */
  void read(long lba, byte[] into, int offset) throws IOException;

  /** Writes one sector. @throws IOException if the medium cannot be written there */
  void write(long lba, byte[] from, int offset) throws IOException;

  /** Makes what was written durable. @throws IOException if that fails */
  default void flush() throws IOException {
  }

  /** Writes what a saved machine must hold of the contents; nothing for an image that lives outside the machine. */
  default void save(DataOutput out) throws IOException {
  }

  /** Reads what {@link #save} wrote. */
  default void load(DataInput in) throws IOException {
  }
}
