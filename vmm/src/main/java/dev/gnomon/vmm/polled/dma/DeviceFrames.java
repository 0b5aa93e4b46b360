package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * Host memory for devices: second-level tables, and the windows of devices that are trapped. It is apart from all other
 * memory and begins at {@link #BASE}, so that no guest, native ones included, reaches it.
 */
public final class DeviceFrames {
  /** First host-physical address: 96 GiB. */
  public static final @Hpa long BASE = 3L << 35;

  private final HostMemory memory;
  private final int[] free;
  private int freeCount;

  /** @param frames of 4 KiB, at least 1 */
  public DeviceFrames(int frames) {
    memory = new HostMemory(BASE, (long) frames << HostMemory.FRAME_SHIFT, 0);
    free = new int[frames];
    for (int i = 0; i < frames; i++) {
      free[i] = frames - 1 - i;
    }
    freeCount = frames;
  }

  /** The memory that the frames are of. */
  public HostMemory memory() {
    return memory;
  }

  /** Frames still free. */
  public int available() {
    return freeCount;
  }

  /** @return a zeroed frame, the lowest that is free; −1 if none is */
  public @Hpa long allocate() {
    if (freeCount == 0) {
      return -1;
    }
    int offset = free[--freeCount] << HostMemory.FRAME_SHIFT;
    for (int i = 0; i < HostMemory.FRAME_SIZE; i += Long.BYTES) {
      memory.set64(offset + i, 0);
    }
    return memory.hpa(offset);
  }

  public void free(@Hpa long hpa) {
    free[freeCount++] = memory.offset(hpa) >>> HostMemory.FRAME_SHIFT;
  }
}
