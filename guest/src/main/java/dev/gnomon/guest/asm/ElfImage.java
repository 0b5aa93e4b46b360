package dev.gnomon.guest.asm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes a statically linked ELF executable with loadable segments and no sections: ELF64 for x86-64 (a Linux program,
 * or a 64-bit kernel) or ELF32 for the 386 (an image for a multiboot loader, see {@link MultibootHeader}). Layout and
 * constants are those of the System V ABI, "Object Files".
 *
 * <p>Segments lie in the file in the order they are added, each at an offset congruent to its address modulo 4 KiB, so
 * that they can be mapped. Two segments should not share a page.
 */
public final class ElfImage {

  /** Segment flag: executable. */
  public static final int EXECUTE = 1;
  /** Segment flag: writable. */
  public static final int WRITE = 2;
  /** Segment flag: readable. */
  public static final int READ = 4;

  private static final int MAGIC = 0x464C457F;
  private static final int CLASS_32 = 1;
  private static final int CLASS_64 = 2;
  private static final int LITTLE_ENDIAN = 1;
  private static final int VERSION = 1;
  private static final int TYPE_EXECUTABLE = 2;
  private static final int MACHINE_386 = 3;
  private static final int MACHINE_X86_64 = 62;
  private static final int SEGMENT_LOAD = 1;
  private static final int IDENT_SIZE = 16;
  private static final int PAGE = 0x1000;

  private record Segment(long virtualAddress, long physicalAddress, int flags, byte[] content, long memorySize) {
  }

  private final boolean is64;
  private final long entry;
  private final List<Segment> segments = new ArrayList<>();

  private ElfImage(boolean is64, long entry) {
    this.is64 = is64;
    this.entry = entry;
    checkAddress(entry);
  }

  /** An image of class ELF64 for x86-64 that starts at address {@code entry}. */
  public static ElfImage elf64(long entry) {
    return new ElfImage(true, entry);
  }

  /** An image of class ELF32 for the 386 that starts at address {@code entry}, below 4 GiB. */
  public static ElfImage elf32(long entry) {
    return new ElfImage(false, entry);
  }

  /** Adds a segment whose physical address is its virtual one and which is no longer than its content. */
  public ElfImage segment(long address, int flags, byte[] content) {
    return segment(address, address, flags, content, content.length);
  }

  /**
   * Adds a segment.
   *
   * @param virtualAddress where the program sees it
   * @param physicalAddress where a boot loader puts it
   * @param flags of {@link #READ}, {@link #WRITE} and {@link #EXECUTE}
   * @param content first bytes of the segment
   * @param memorySize size in bytes in memory, at least that of the content; the rest is zero
   */
  public ElfImage segment(long virtualAddress, long physicalAddress, int flags, byte[] content, long memorySize) {
    checkAddress(virtualAddress);
    checkAddress(physicalAddress);
    if (memorySize < content.length) {
      throw new IllegalArgumentException(
          "segment of " + memorySize + " bytes: expected at least the " + content.length + " of its content");
    }
    if ((flags & ~(READ | WRITE | EXECUTE)) != 0) {
      throw new IllegalArgumentException(
          "segment flags 0x" + Integer.toHexString(flags) + ": expected READ, WRITE, EXECUTE");
    }
    segments.add(new Segment(virtualAddress, physicalAddress, flags, content.clone(), memorySize));
    return this;
  }

  /** The bytes of the file. */
  public byte[] toBytes() {
    int headerSize = is64 ? 64 : 52;
    int programHeaderSize = is64 ? 56 : 32;
    int[] offsets = new int[segments.size()];
    int end = headerSize + segments.size() * programHeaderSize;
    for (int i = 0; i < offsets.length; i++) {
      Segment segment = segments.get(i);
      offsets[i] = end + (int) (segment.virtualAddress - end & PAGE - 1);
      end = offsets[i] + segment.content.length;
    }
    ByteBuffer file = ByteBuffer.allocate(end).order(ByteOrder.LITTLE_ENDIAN);
    header(file, headerSize, programHeaderSize);
    for (int i = 0; i < offsets.length; i++) {
      programHeader(file, segments.get(i), offsets[i]);
    }
    for (int i = 0; i < offsets.length; i++) {
      file.position(offsets[i]).put(segments.get(i).content);
    }
    return file.array();
  }

  private void header(ByteBuffer file, int headerSize, int programHeaderSize) {
    file.putInt(MAGIC).put((byte) (is64 ? CLASS_64 : CLASS_32)).put((byte) LITTLE_ENDIAN).put((byte) VERSION);
    file.position(IDENT_SIZE);
    file.putShort((short) TYPE_EXECUTABLE).putShort((short) (is64 ? MACHINE_X86_64 : MACHINE_386)).putInt(VERSION);
    word(file, entry);
    word(file, headerSize);
    word(file, 0);
    file.putInt(0).putShort((short) headerSize);
    file.putShort((short) programHeaderSize).putShort((short) segments.size());
    file.putShort((short) 0).putShort((short) 0).putShort((short) 0);
  }

  private void programHeader(ByteBuffer file, Segment segment, int offset) {
    file.putInt(SEGMENT_LOAD);
    if (is64) {
      file.putInt(segment.flags);
    }
    word(file, offset);
    word(file, segment.virtualAddress);
    word(file, segment.physicalAddress);
    word(file, segment.content.length);
    word(file, segment.memorySize);
    if (!is64) {
      file.putInt(segment.flags);
    }
    word(file, PAGE);
  }

  private void word(ByteBuffer file, long value) {
    if (is64) {
      file.putLong(value);
    } else {
      file.putInt((int) value);
    }
  }

  private void checkAddress(long address) {
    if (!is64 && address >>> 32 != 0) {
      throw new IllegalArgumentException(
          "address 0x" + Long.toHexString(address) + ": expected one below 4 GiB in ELF32");
    }
  }
}
