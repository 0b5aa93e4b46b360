package dev.gnomon.vmm.firmware;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** A growing table of little-endian values. */
final class TableBytes {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  TableBytes u8(long value) {
    return value(1, value);
  }

  TableBytes u16(long value) {
    return value(2, value);
  }

  TableBytes u32(long value) {
    return value(4, value);
  }

  TableBytes u64(long value) {
    return value(8, value);
  }

  TableBytes value(int size, long value) {
    for (int i = 0; i < size; i++) {
      bytes.write((int) (value >>> 8 * i));
    }
    return this;
  }

  /** Exactly {@code length} characters, padded with a filler. */
  TableBytes text(String text, int length, char filler) {
    for (int i = 0; i < length; i++) {
      bytes.write(i < text.length() ? text.charAt(i) : filler);
    }
    return this;
  }

  TableBytes text(String text) {
    return bytes(text.getBytes(StandardCharsets.US_ASCII));
  }

  TableBytes bytes(byte[] more) {
    bytes.writeBytes(more);
    return this;
  }

  /** Zeros up to a length. */
  TableBytes padTo(int length) {
    while (bytes.size() < length) {
      bytes.write(0);
    }
    return this;
  }

  int size() {
    return bytes.size();
  }

  byte[] toArray() {
    return bytes.toByteArray();
  }

  /** Sets byte {@code at} so that the bytes of a range sum up to zero. */
  static void checksum(byte[] table, int at, int length) {
    table[at] = 0;
    int sum = 0;
    for (int i = 0; i < length; i++) {
      sum += table[i];
    }
    table[at] = (byte) -sum;
  }
}
