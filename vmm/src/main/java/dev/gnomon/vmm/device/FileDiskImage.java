package dev.gnomon.vmm.device;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.NonWritableChannelException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A raw image file, read and written in place. An incomplete last sector is read as filled up with zeros. */
public final class FileDiskImage implements DiskImage, AutoCloseable {
  private final FileChannel file;
  private final long bytes;

  private FileDiskImage(FileChannel file, long bytes) {
    this.file = file;
    this.bytes = bytes;
  }

  /**
   * Opens an image.
   *
   * @param writable whether the guest's writes go to the file; otherwise they fail
   * @throws IOException if the file cannot be opened
   * @throws IllegalArgumentException if it is empty or no regular file
   */
  public static FileDiskImage open(Path path, boolean writable) throws IOException {
    if (!Files.isRegularFile(path) || Files.size(path) == 0) {
      throw new IllegalArgumentException(path + ": expected a disk image of at least one byte");
    }
    FileChannel file = writable ? FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)
        : FileChannel.open(path, StandardOpenOption.READ);
    return new FileDiskImage(file, file.size());
  }

  @Override
  public long sectors() {
    return (bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;
  }

  @Override
  public void read(long lba, byte[] into, int offset) throws IOException {
    ByteBuffer sector = ByteBuffer.wrap(into, offset, SECTOR_BYTES);
    long at = lba * SECTOR_BYTES;
    while (sector.hasRemaining()) {
      int got = at < bytes ? file.read(sector, at) : 0;
      if (got < 0) {
        throw new EOFException("image ends at byte " + at);
      }
      if (got == 0) {
        sector.put((byte) 0);
        got = 1;
      }
      at += got;
    }
  }

  @Override
  public void write(long lba, byte[] from, int offset) throws IOException {
    ByteBuffer sector = ByteBuffer.wrap(from, offset, SECTOR_BYTES);
    long at = lba * SECTOR_BYTES;
    try {
      while (sector.hasRemaining()) {
        at += file.write(sector, at);
      }
    } catch (NonWritableChannelException e) {
      throw new IOException("image is read-only", e);
    }
  }

  @Override
  public void flush() throws IOException {
    file.force(false);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
