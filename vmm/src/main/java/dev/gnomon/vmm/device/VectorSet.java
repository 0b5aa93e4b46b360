package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/** One bit for each of the 256 vectors, as the local APIC's ISR, TMR and IRR: eight words of 32. */
final class VectorSet {
  static final int NONE = -1;
  static final int WORDS = 8;

  private final int[] bits = new int[WORDS];

  void clear() {
    Arrays.fill(bits, 0);
  }

  void add(int vector) {
    bits[vector >> 5] |= 1 << vector;
  }

  void remove(int vector) {
    bits[vector >> 5] &= ~(1 << vector);
  }

  boolean contains(int vector) {
    return (bits[vector >> 5] >>> vector & 1) != 0;
  }

  /** The highest vector, NONE if there is none. */
  int highest() {
    for (int i = WORDS - 1; i >= 0; i--) {
      if (bits[i] != 0) {
        return 32 * i + 31 - Integer.numberOfLeadingZeros(bits[i]);
      }
    }
    return NONE;
  }

  int word(int index) {
    return bits[index];
  }

  void save(DataOutput out) throws IOException {
    for (int word : bits) {
      out.writeInt(word);
    }
  }

  void load(DataInput in) throws IOException {
    for (int i = 0; i < WORDS; i++) {
      bits[i] = in.readInt();
    }
  }
}
