package dev.gnomon.vmm.harness;

/**
 * The store buffer of a real guest's processor, the other way round: its stores are in memory at once, so that its own loads, walks and fetches
 * find them, and what was there before is kept for all others until the store becomes visible.
 */
final class InvertedBuffer {
  private final int[] offsets;
  private final int[] sizes;
  private final long[] before;
  private int count;

  InvertedBuffer(int depth) {
    offsets = new int[depth];
    sizes = new int[depth];
    before = new long[depth];
  }

  int count() {
    return count;
  }

  boolean isFull() {
    return count == offsets.length;
  }

  /** Offset of the oldest store, the next to become visible. */
  int headOffset() {
    return offsets[0];
  }

  int headSize() {
    return sizes[0];
  }

  /** A store of 1 to 8 bytes is about to happen; the buffer is not full. */
  void push(int offset, int size, long old) {
    offsets[count] = offset;
    sizes[count] = size;
    before[count++] = old;
  }

  /** The oldest store is visible now. */
  void pop() {
    count--;
    System.arraycopy(offsets, 1, offsets, 0, count);
    System.arraycopy(sizes, 1, sizes, 0, count);
    System.arraycopy(before, 1, before, 0, count);
  }

  void clear() {
    count = 0;
  }

  private int oldest(int offset) {
    for (int i = 0; i < count; i++) {
      if (offset >= offsets[i] && offset < offsets[i] + sizes[i]) {
        return i;
      }
    }
    return -1;
  }

  /** What others see where the processor sees {@code memory}. */
  long outside(int offset, int size, long memory) {
    if (count == 0) {
      return memory;
    }
    long value = 0;
    for (int i = 0; i < size; i++) {
      int entry = oldest(offset + i);
      long from = entry < 0 ? memory >>> 8 * i : before[entry] >>> 8 * (offset + i - offsets[entry]);
      value |= (from & 0xFF) << 8 * i;
    }
    return value;
  }

  /**
   * Somebody else stores a byte.
   *
   * @return false if that goes to memory; true if a store of the processor, which is not visible yet, comes after it
   */
  boolean absorb(int offset, int value) {
    int entry = oldest(offset);
    if (entry < 0) {
      return false;
    }
    int shift = 8 * (offset - offsets[entry]);
    before[entry] = before[entry] & ~(0xFFL << shift) | (value & 0xFFL) << shift;
    return true;
  }
}
