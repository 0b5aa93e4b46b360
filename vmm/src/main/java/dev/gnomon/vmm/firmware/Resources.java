package dev.gnomon.vmm.firmware;

/** A device's resources, as a resource template (ACPI specification 6, "Resource Data Types for ACPI"). */
final class Resources {
  private static final int IO = 0x47;
  private static final int IO_DECODES_16_BITS = 1;
  private static final int IRQ = 0x22;
  private static final int END_TAG = 0x79;
  private static final int MEMORY_32_FIXED = 0x86;
  private static final int MEMORY_32_FIXED_LENGTH = 9;
  private static final int DWORD_SPACE = 0x87;
  private static final int DWORD_SPACE_LENGTH = 23;
  private static final int WORD_SPACE = 0x88;
  private static final int WORD_SPACE_LENGTH = 13;
  private static final int SPACE_MEMORY = 0;
  private static final int SPACE_IO = 1;
  private static final int SPACE_BUS = 2;
  /** Both ends fixed; the bridge produces the range and decodes it positively. */
  private static final int FIXED_RANGE = 0x0C;
  private static final int ENTIRE_IO = 3;
  private static final int READ_WRITE = 1;

  private final TableBytes bytes = new TableBytes();

  /** Ports at a fixed address. */
  Resources ports(int first, int count) {
    bytes.u8(IO).u8(IO_DECODES_16_BITS).u16(first).u16(first).u8(1).u8(count);
    return this;
  }

  /** An edge-triggered, active-high ISA interrupt. */
  Resources irq(int number) {
    bytes.u8(IRQ).u16(1 << number);
    return this;
  }

  Resources memory(long base, long length) {
    bytes.u8(MEMORY_32_FIXED).u16(MEMORY_32_FIXED_LENGTH).u8(READ_WRITE).u32(base).u32(length);
    return this;
  }

  /** Bus numbers behind a bridge. */
  Resources buses(int first, int last) {
    return wordSpace(SPACE_BUS, 0, first, last);
  }

  /** Ports that a bridge passes on. */
  Resources bridgedPorts(int first, int last) {
    return wordSpace(SPACE_IO, ENTIRE_IO, first, last);
  }

  private Resources wordSpace(int type, int typeFlags, int first, int last) {
    bytes.u8(WORD_SPACE).u16(WORD_SPACE_LENGTH).u8(type).u8(FIXED_RANGE).u8(typeFlags);
    bytes.u16(0).u16(first).u16(last).u16(0).u16(last - first + 1);
    return this;
  }

  /** Memory addresses that a bridge passes on, not cacheable. */
  Resources bridgedMemory(long first, long last) {
    bytes.u8(DWORD_SPACE).u16(DWORD_SPACE_LENGTH).u8(SPACE_MEMORY).u8(FIXED_RANGE).u8(READ_WRITE);
    bytes.u32(0).u32(first).u32(last).u32(0).u32(last - first + 1);
    return this;
  }

  /** The template as an AML buffer. */
  byte[] toAml() {
    return Aml.buffer(new TableBytes().bytes(bytes.toArray()).u8(END_TAG).u8(0).toArray());
  }
}
