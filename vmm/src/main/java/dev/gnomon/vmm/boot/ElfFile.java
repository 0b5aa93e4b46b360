package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Gpa;
import java.util.ArrayList;
import java.util.List;

/**
 * The loadable segments and the entry of an ELF executable of class ELF32 or ELF64 for x86 (System V ABI, "Object
 * Files"). Section headers are not looked at.
 *
 * @param entry physical address of the first instruction
 * @param segments in the order of the program headers
 */
record ElfFile(@Gpa long entry, List<Segment> segments) {
  private static final long MAGIC = 0x464C457FL;
  private static final int CLASS = 4;
  private static final int CLASS_64 = 2;
  private static final int DATA = 5;
  private static final int TYPE = 0x10;
  private static final int MACHINE = 0x12;
  private static final int TYPE_EXECUTABLE = 2;
  private static final int MACHINE_386 = 3;
  private static final int MACHINE_X86_64 = 62;
  private static final long SEGMENT_LOAD = 1;
  private static final int MAX_SEGMENTS = 1024;

  /**
   * One loadable segment.
   *
   * @param fileOffset of its first byte in the file
   * @param fileSize bytes in the file
   * @param address physical, where it goes
   * @param memorySize bytes in memory; those past {@code fileSize} are zero
   */
  record Segment(long fileOffset, long fileSize, @Gpa long address, long memorySize) {}

  static boolean matches(ImageBytes image) {
    return image.has32(0, MAGIC);
  }

  /** Whether a file that {@link #matches} is of class ELF64. */
  static boolean is64(ImageBytes image) {
    return image.u8(CLASS, "ELF class") == CLASS_64;
  }

  static ElfFile parse(ImageBytes image) {
    boolean is64 = switch (image.u8(CLASS, "ELF class")) {
      case 1 -> false;
      case CLASS_64 -> true;
      default -> throw image.fault("ELF class", CLASS, "" + image.u8(CLASS, "ELF class"), "1 (32-bit) or 2 (64-bit)");
    };
    expect(image, "ELF data encoding", DATA, image.u8(DATA, "ELF data encoding"), 1, "1 (little-endian)");
    expect(image, "e_type", TYPE, image.u16(TYPE, "e_type"), TYPE_EXECUTABLE, "2 (executable)");
    int machine = image.u16(MACHINE, "e_machine");
    // An ELF32 file for x86-64 is what some linkers make of a 64-bit kernel with a 32-bit boot stub.
    if (machine != MACHINE_386 && machine != MACHINE_X86_64) {
      throw image.fault("e_machine", MACHINE, "" + machine, "3 (386) or 62 (x86-64)");
    }
    long entry = is64 ? upperHalf(image, 0x18, "e_entry") : image.u32(0x18, "e_entry");
    long table = is64 ? image.u64(0x20, "e_phoff") : image.u32(0x1C, "e_phoff");
    int sizeOffset = is64 ? 0x36 : 0x2A;
    int countOffset = is64 ? 0x38 : 0x2C;
    int entrySize = image.u16(sizeOffset, "e_phentsize");
    int count = image.u16(countOffset, "e_phnum");
    expect(image, "e_phentsize", sizeOffset, entrySize, is64 ? 56 : 32, is64 ? "56" : "32");
    if (count == 0 || count > MAX_SEGMENTS) {
      throw image.fault("e_phnum", countOffset, "" + count, "1 to " + MAX_SEGMENTS);
    }
    image.require(table, (long) count * entrySize, "program headers (e_phoff)");
    return segments(image, is64, entry, table, entrySize, count);
  }

  private static ElfFile segments(ImageBytes image, boolean is64, long entry, long table, int entrySize, int count) {
    List<Segment> segments = new ArrayList<>();
    @Gpa long entryAddress = entry;
    for (int i = 0; i < count; i++) {
      long header = table + (long) i * entrySize;
      if (image.u32(header, "p_type") != SEGMENT_LOAD) {
        continue;
      }
      long offset = is64 ? image.u64(header + 8, "p_offset") : image.u32(header + 4, "p_offset");
      long virtual = is64 ? upperHalf(image, header + 16, "p_vaddr") : image.u32(header + 8, "p_vaddr");
      long physical = is64 ? image.u64(header + 24, "p_paddr") : image.u32(header + 12, "p_paddr");
      long fileSize = is64 ? image.u64(header + 32, "p_filesz") : image.u32(header + 16, "p_filesz");
      long memorySize = is64 ? image.u64(header + 40, "p_memsz") : image.u32(header + 20, "p_memsz");
      if (memorySize == 0) {
        continue;
      }
      if (fileSize > memorySize) {
        throw image.fault("p_filesz of segment " + i, header, "" + fileSize, "at most p_memsz, " + memorySize);
      }
      image.require(offset, fileSize, "segment " + i);
      segments.add(new Segment(offset, fileSize, physical, memorySize));
      // e_entry is virtual; multiboot loaders enter at the physical address of that byte.
      if (entry - virtual >= 0 && entry - virtual < memorySize) {
        entryAddress = entry - virtual + physical;
      }
    }
    if (segments.isEmpty()) {
      throw new ImageException(image.name(),
          "no loadable segment among " + count + " program headers, expected at least one");
    }
    return new ElfFile(entryAddress, segments);
  }

  /** A virtual address: kernels are linked to the upper half too, so it may be anything. */
  private static long upperHalf(ImageBytes image, long offset, String field) {
    return image.u32(offset, field) | image.u32(offset + 4, field) << 32;
  }

  private static void expect(ImageBytes image, String field, long offset, int found, int wanted, String text) {
    if (found != wanted) {
      throw image.fault(field, offset, "" + found, text);
    }
  }

  /** Claims and writes the segments. */
  void load(ImageBytes image, BootMemory memory) {
    for (int i = 0; i < segments.size(); i++) {
      Segment segment = segments.get(i);
      memory.claim(image.name(), segment.address, segment.memorySize, "segment " + i);
      memory.write(segment.address, image.array(), segment.fileOffset, segment.fileSize);
      memory.zero(segment.address + segment.fileSize, segment.memorySize - segment.fileSize);
    }
  }
}
