package dev.gnomon.guest.memory;

/**
 * Allocator of 4-KiB frames in the tables region of {@link HostMemory}. Frames come zeroed, lowest free first, so that
 * runs are reproducible.
 */
public final class TableFrames {
  private final HostMemory memory;
  private final int[] free;
  private int freeCount;

  public TableFrames(HostMemory memory) {
    this.memory = memory;
    this.free = new int[(int) (memory.tableBytes() >> HostMemory.FRAME_SHIFT)];
    for (int i = 0; i < free.length; i++) {
      free[i] = free.length - 1 - i;
    }
    this.freeCount = free.length;
  }

  /** Frames still free. */
  public int available() {
    return freeCount;
  }

  /** @return the zeroed frame, or −1 if none is left */
  public @Hpa long allocate() {
    if (freeCount == 0) {
      return -1;
    }
    @Hpa long hpa = HostMemory.TABLES_BASE + ((long) free[--freeCount] << HostMemory.FRAME_SHIFT);
    for (int i = 0; i < HostMemory.FRAME_SIZE; i += 8) {
      memory.write64(hpa + i, 0);
    }
    return hpa;
  }

  public void free(@Hpa long hpa) {
    free[freeCount++] = (int) ((hpa - HostMemory.TABLES_BASE) >> HostMemory.FRAME_SHIFT);
  }
}
