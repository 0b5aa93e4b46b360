package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** A queue of 16 bytes; what is too much is dropped, as the keyboard's own buffer does. */
final class ByteQueue {
  private static final int CAPACITY = 16;

  private final byte[] bytes = new byte[CAPACITY];
  private int first;
  private int count;

  void clear() {
    first = 0;
    count = 0;
  }

  boolean isEmpty() {
    return count == 0;
  }

  void add(int value) {
    if (count < CAPACITY) {
      bytes[(first + count++) % CAPACITY] = (byte) value;
    }
  }

  /** The oldest byte, 0 to 255; not from an empty queue. */
  int take() {
    int value = bytes[first] & 0xFF;
    first = (first + 1) % CAPACITY;
    count--;
    return value;
  }

  void save(DataOutput out) throws IOException {
    out.writeByte(count);
    for (int i = 0; i < CAPACITY; i++) {
      out.writeByte(i < count ? bytes[(first + i) % CAPACITY] : 0);
    }
  }

  void load(DataInput in) throws IOException {
    first = 0;
    count = Math.min(CAPACITY, in.readUnsignedByte());
    in.readFully(bytes);
  }
}
