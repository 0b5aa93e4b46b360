package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * An image whose written sectors stay in memory, so that the one below never changes and equal runs see equal disks.
 */
public final class SnapshotDiskImage implements DiskImage {
  private final DiskImage below;
  private final TreeMap<Long, byte[]> written = new TreeMap<>();

  /** @param below where sectors come from that nobody has written; may be shared */
  public SnapshotDiskImage(DiskImage below) {
    this.below = below;
  }

  /** A disk of some bytes, filled up with zeros to whole sectors; {@code contents} is not changed. */
  public static SnapshotDiskImage of(byte[] contents) {
    byte[] copy = Arrays.copyOf(contents,
        Math.max(1, (contents.length + SECTOR_BYTES - 1) / SECTOR_BYTES) * SECTOR_BYTES);
    return new SnapshotDiskImage(new DiskImage() {
      @Override
      public long sectors() {
        return copy.length / SECTOR_BYTES;
      }

      @Override
      public void read(long lba, byte[] into, int offset) {
        System.arraycopy(copy, (int) lba * SECTOR_BYTES, into, offset, SECTOR_BYTES);
      }

      @Override
      public void write(long lba, byte[] from, int offset) throws IOException {
        throw new IOException("image is read-only");
      }
    });
  }

  @Override
  public long sectors() {
    return below.sectors();
  }

  @Override
  public void read(long lba, byte[] into, int offset) throws IOException {
    byte[] sector = written.get(lba);
    if (sector == null) {
      below.read(lba, into, offset);
    } else {
      System.arraycopy(sector, 0, into, offset, SECTOR_BYTES);
    }
  }

  @Override
  public void write(long lba, byte[] from, int offset) {
    System.arraycopy(from, offset, written.computeIfAbsent(lba, key -> new byte[SECTOR_BYTES]), 0, SECTOR_BYTES);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(written.size());
    for (Map.Entry<Long, byte[]> sector : written.entrySet()) {
      out.writeLong(sector.getKey());
      out.write(sector.getValue());
    }
  }

  @Override
  public void load(DataInput in) throws IOException {
    written.clear();
    for (int count = in.readInt(); count > 0; count--) {
      long lba = in.readLong();
      byte[] sector = new byte[SECTOR_BYTES];
      in.readFully(sector);
      if (lba < 0 || lba >= sectors()) {
        throw new IOException("disk: saved state has sector " + lba + ", expected one of " + sectors());
      }
      written.put(lba, sector);
    }
  }
}
