package dev.gnomon.vmm.boot;

import java.nio.charset.StandardCharsets;

/**
 * An image file with bounds-checked little-endian access; each access names the field it is for, so that a truncated
 * file's message does too. Offsets are {@code long}, because images give any.
 */
final class ImageBytes {
  private final String name;
  private final byte[] bytes;

  ImageBytes(String name, byte[] bytes) {
    this.name = name;
    this.bytes = bytes;
  }

  String name() {
    return name;
  }

  int length() {
    return bytes.length;
  }

  byte[] array() {
    return bytes;
  }

  int u8(long offset, String field) {
    require(offset, 1, field);
    return bytes[(int) offset] & 0xFF;
  }

  int u16(long offset, String field) {
    require(offset, 2, field);
    return raw8((int) offset) | raw8((int) offset + 1) << 8;
  }

  /** Unsigned 32 bits. */
  long u32(long offset, String field) {
    require(offset, 4, field);
    return raw32((int) offset);
  }

  /** 64 bits that must make sense as a non-negative {@code long}. */
  long u64(long offset, String field) {
    require(offset, 8, field);
    long value = raw64((int) offset);
    if (value < 0) {
      throw fault(field, offset, "0x" + Long.toHexString(value), "a value below 2^63");
    }
    return value;
  }

  /** Whether 32 bits at an offset have a value; false too if the file ends before. */
  boolean has32(long offset, long value) {
    return offset >= 0 && offset + 4 <= bytes.length && raw32((int) offset) == value;
  }

  boolean has16(long offset, int value) {
    return offset >= 0 && offset + 2 <= bytes.length && (raw8((int) offset) | raw8((int) offset + 1) << 8) == value;
  }

  /** Whether a range lies in the file. */
  boolean has(long offset, long length) {
    return offset >= 0 && length >= 0 && offset <= bytes.length && length <= bytes.length - offset;
  }

  /** Checks that a range lies in the file. */
  void require(long offset, long length, String field) {
    if (!has(offset, length)) {
      throw new ImageException(name, field + " at offset 0x" + Long.toHexString(offset) + " of " + length
          + " bytes: expected it within the file of " + bytes.length + " bytes");
    }
  }

  /** The exception for a field's value. */
  ImageException fault(String field, long offset, String found, String expected) {
    return new ImageException(name,
        field + " at offset 0x" + Long.toHexString(offset) + ": found " + found + ", expected " + expected);
  }

  /** 64 bits at an offset in the file, whatever they are. */
  long raw64(int offset) {
    return raw32(offset) | raw32(offset + 4) << 32;
  }

  private int raw8(int offset) {
    return bytes[offset] & 0xFF;
  }

  private long raw32(int offset) {
    return raw8(offset) | raw8(offset + 1) << 8 | raw8(offset + 2) << 16 | (long) raw8(offset + 3) << 24;
  }

  /** Bytes of a zero-terminated string; a zero inside it is refused. */
  static byte[] zeroTerminated(String file, String what, String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    byte[] terminated = new byte[utf8.length + 1];
    for (int i = 0; i < utf8.length; i++) {
      if (utf8[i] == 0) {
        throw new ImageException(file, what + ": found a zero byte at offset " + i + ", expected text");
      }
      terminated[i] = utf8[i];
    }
    return terminated;
  }
}
