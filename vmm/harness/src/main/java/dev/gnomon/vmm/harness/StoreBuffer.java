package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;

/** The stores of one agent that others do not see yet, oldest first. */
final class StoreBuffer {
  final @Gpa long[] gpas;
  final int[] offsets;
  final int[] sizes;
  final long[] values;
  int count;

  StoreBuffer(int depth) {
    gpas = new @Gpa long[depth];
    offsets = new int[depth];
    sizes = new int[depth];
    values = new long[depth];
  }

  int depth() {
    return gpas.length;
  }

  boolean isFull() {
    return count == gpas.length;
  }

  void push(@Gpa long gpa, int offset, int size, long value) {
    gpas[count] = gpa;
    offsets[count] = offset;
    sizes[count] = size;
    values[count++] = value;
  }

  /** Takes an entry out; those behind it move up. */
  void remove(int index) {
    int rest = count - index - 1;
    System.arraycopy(gpas, index + 1, gpas, index, rest);
    System.arraycopy(offsets, index + 1, offsets, index, rest);
    System.arraycopy(sizes, index + 1, sizes, index, rest);
    System.arraycopy(values, index + 1, values, index, rest);
    count--;
  }

  /** The newest store to a byte, −1 if none. */
  private int newest(int offset) {
    for (int i = count - 1; i >= 0; i--) {
      if (offset >= offsets[i] && offset < offsets[i] + sizes[i]) {
        return i;
      }
    }
    return -1;
  }

  /** A load of the agent itself: {@code memory} where it has no store of its own. */
  long forward(int offset, int size, long memory) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      int entry = newest(offset + i);
      long from = entry < 0 ? memory >>> 8 * i : values[entry] >>> 8 * (offset + i - offsets[entry]);
      value |= (from & 0xFF) << 8 * i;
    }
    return value;
  }
}
