package dev.gnomon.workloads;

/** How much memory a guest asks for. */
final class MachineMemory {
  private static final long MIB = 1L << 20;
  /** Low memory, the image and the allocator's tables, page tables, stacks. */
  private static final long KERNEL = 8 * MIB;

  private MachineMemory() {}

  /** Whole 2M pages for the kernel and for {@code bytes} of frames with their page tables. */
  static long forFrames(long bytes) {
    return (KERNEL + bytes + bytes / 256 + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
  }
}
