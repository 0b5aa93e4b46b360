package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;

/**
 * A Linux kernel as an ELF file, {@code vmlinux}: entered by PVH where its note says (Xen, docs/misc/pvh.pandoc: 32-bit
 * protected mode, EBX at {@code hvm_start_info}), or at its ELF entry in 64-bit mode with RSI, in 32-bit mode with ESI
 * at {@code boot_params} (Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol" and "32-bit Boot Protocol"; it
 * is what its decompressor would jump to). It runs where it is linked to: only its own decompressor moves it.
 */
final class VmlinuxImage implements GuestImage {
  /** x86's COMMAND_LINE_SIZE without the zero. */
  private static final long COMMAND_LINE_LIMIT = 2047;
  private static final @Gpa long INITRD_LIMIT = 0x8000_0000L;

  private static final long COMFORTABLE_MEMORY = 128L << 20;
  private static final long RAM_DISK_FACTOR = 4;

  private final BootRequest request;
  private final ImageBytes image;
  /** The bzImage that it comes out of; null if it came as a file. */
  private final ImageBytes header;

  VmlinuxImage(BootRequest request, ImageBytes image, ImageBytes header) {
    this.request = request;
    this.image = image;
    this.header = header;
  }

  static boolean matches(ImageBytes image) {
    return ElfFile.matches(image) && Addresses.bits(PvhNote.entry(image)) != Addresses.bits(PvhNote.NONE);
  }

  @Override
  public String format() {
    return "ELF, " + protocol();
  }

  /** How it is entered, in words. */
  String protocol() {
    return switch (entry()) {
      case LONG -> "64-bit boot protocol";
      case PROTECTED -> "32-bit boot protocol";
      default -> "PVH";
    };
  }

  /** What is asked for, or else PVH if the kernel has that, or the boot protocol of its ELF class. */
  private BootRequest.Entry entry() {
    if (request.entry() != BootRequest.Entry.DEFAULT) {
      return request.entry();
    }
    return Addresses.bits(PvhNote.entry(image)) != Addresses.bits(PvhNote.NONE) ? BootRequest.Entry.PVH
        : protocolEntry();
  }

  /** The boot protocol of its ELF class. */
  private BootRequest.Entry protocolEntry() {
    return ElfFile.is64(image) ? BootRequest.Entry.LONG : BootRequest.Entry.PROTECTED;
  }

  @Override
  public long comfortableMemory() {
    return comfortableMemory(request);
  }

  /** A distribution's kernel wants 80 MiB; the initial RAM disk lies in memory packed and unpacked. */
  static long comfortableMemory(BootRequest request) {
    long bytes = COMFORTABLE_MEMORY;
    for (BootRequest.File file : request.modules()) {
      bytes += RAM_DISK_FACTOR * file.bytes().length;
    }
    return (bytes + COMFORTABLE_MEMORY - 1) / COMFORTABLE_MEMORY * COMFORTABLE_MEMORY;
  }

  @Override
  public InitialState load(BootMemory memory) {
    ElfFile elf = ElfFile.parse(image);
    BootRequest.Entry entry = entry();
    if (entry != BootRequest.Entry.PVH && entry != protocolEntry()) {
      String found = switch (entry) {
        case REAL -> "real mode";
        case LONG -> "64-bit mode";
        default -> "32-bit mode";
      };
      throw new ImageException(image.name(),
          "a kernel of class " + (ElfFile.is64(image) ? "ELF64 is entered by PVH or in 64-bit mode"
          : "ELF32 is entered by PVH or in 32-bit mode") + ", found a request for " + found);
    }
    requireMemory(elf, memory);
    elf.load(image, memory);
    long limit = header == null ? COMMAND_LINE_LIMIT : LinuxImage.commandLineLimit(header);
    @Gpa long commandLine = LinuxExtras.commandLine(memory, image.name(), request.commandLine(), limit);
    LinuxExtras.RamDisk disk =
        LinuxExtras.ramDisk(memory, request, header == null ? INITRD_LIMIT : LinuxImage.ramDiskLimit(header));
    if (entry == BootRequest.Entry.PVH) {
      @Gpa long start = PvhNote.entry(image);
      if (start == PvhNote.NONE) {
        throw new ImageException(image.name(),
            "ELF kernel without a PVH note (CONFIG_PVH): expected one, or no --entry");
      }
      @Gpa long info = HvmStartInfo.write(image.name(), memory, commandLine, disk, memory.rsdp());
      return BootState.protectedMode(image.name(), memory, start, 0, Addresses.bits(info), 0);
    }
    ZeroPage zeroPage = header == null ? ZeroPage.bare(image.name(), memory.map(), limit)
        : ZeroPage.ofHeader(header, memory.map());
    @Gpa long params = zeroPage.commandLine(commandLine).ramDisk(disk).write(memory);
    return entry == BootRequest.Entry.LONG
        ? BootState.longMode(image.name(), memory, elf.entry(), Addresses.bits(params))
        : BootState.protectedMode(image.name(), memory, elf.entry(), 0, 0, Addresses.bits(params));
  }

  private void requireMemory(ElfFile elf, BootMemory memory) {
    @Gpa long start = elf.segments().get(0).address();
    @Gpa long end = start;
    for (ElfFile.Segment segment : elf.segments()) {
      start = Math.min(start, segment.address());
      end = Math.max(end, segment.address() + segment.memorySize());
    }
    memory.require(image.name(), start, Addresses.bits(end - start), "kernel");
  }
}
