package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import java.util.ArrayList;
import java.util.List;

/**
 * A multiboot1 image: an ELF file, or any file whose header gives load addresses (Multiboot Specification 0.6.96). It
 * is entered in 32-bit protected mode with 2BADB002h in EAX and the information structure in EBX.
 *
 * <p>Where the specification leaves room: load addresses in the header win over the ELF headers, and ELF64 files are
 * taken too, as GRUB does; the command line begins with the file's name and the selectors are 08h and 10h, as with
 * QEMU; an image that asks for a video mode is told of 80 by 25 text. Modules go behind the image, each at a page
 * boundary.
 */
final class MultibootImage implements GuestImage {
  private static final long LOADER_MAGIC = 0x2BADB002L;
  private static final int PAGE = 4096;

  private final BootRequest request;
  private final ImageBytes image;

  MultibootImage(BootRequest request) {
    this.request = request;
    this.image = new ImageBytes(request.kernel().name(), request.kernel().bytes());
  }

  @Override
  public String format() {
    return "multiboot1";
  }

  @Override
  public InitialState load(BootMemory memory) {
    if (request.entry() != BootRequest.Entry.DEFAULT && request.entry() != BootRequest.Entry.PROTECTED) {
      throw new ImageException(image.name(),
          "multiboot1 images are entered in 32-bit protected mode, found a request for "
          + switch (request.entry()) {
            case REAL -> "real mode";
            case PVH -> "PVH";
            default -> "64-bit mode";
          });
    }
    MultibootHeader header = MultibootHeader.parse(image);
    @Gpa long entry = header.has(MultibootHeader.ADDRESSES) ? loadByAddresses(header, memory) : loadElf(memory);
    List<MultibootInfo.Module> modules = loadModules(memory);
    String baseName = request.kernel().baseName();
    String text = request.commandLine().isEmpty() ? baseName : baseName + " " + request.commandLine();
    byte[] commandLine = ImageBytes.zeroTerminated(image.name(), "command line", text);
    @Gpa long info = MultibootInfo.write(image.name(), memory, commandLine, modules, header.has(MultibootHeader.VIDEO));
    return BootState.multiboot(image.name(), memory, entry, LOADER_MAGIC, Addresses.bits(info));
  }

  private @Gpa long loadElf(BootMemory memory) {
    if (!ElfFile.matches(image)) {
      throw image.fault("multiboot flags", MultibootHeader.offset(image) + 4, "no address fields (bit 16)",
          "them, since the file is not ELF");
    }
    ElfFile elf = ElfFile.parse(image);
    if (elf.entry() < 0 || elf.entry() >= BootMemory.LIMIT_4G) {
      throw image.fault("e_entry", 0x18, "0x" + Long.toHexString(elf.entry()),
          "an entry within a segment loaded below 4 GiB");
    }
    elf.load(image, memory);
    return elf.entry();
  }

  private @Gpa long loadByAddresses(MultibootHeader header, BootMemory memory) {
    long at = header.offset();
    if (header.headerAddress() < header.loadAddress() || header.headerAddress() - header.loadAddress() > at) {
      throw image.fault("header_addr", at + 12, "0x" + Long.toHexString(header.headerAddress()) + " with load_addr 0x"
          + Long.toHexString(header.loadAddress()), "a load address at most the header's offset in the file before it");
    }
    long from = at - Addresses.bits(header.headerAddress() - header.loadAddress());
    long length = header.loadEnd() == 0 ? image.length() - from
        : Addresses.bits(header.loadEnd() - header.loadAddress());
    if (length <= 0) {
      throw image.fault("load_end_addr", at + 20, "0x" + Long.toHexString(header.loadEnd()),
          "an address behind load_addr, 0x"
          + Long.toHexString(header.loadAddress()));
    }
    image.require(from, length, "multiboot load range");
    @Gpa long loadedEnd = header.loadAddress() + length;
    if (header.bssEnd() != 0 && header.bssEnd() < loadedEnd) {
      throw image.fault("bss_end_addr", at + 24, "0x" + Long.toHexString(header.bssEnd()), "0 or an address from 0x"
          + Long.toHexString(loadedEnd) + " on");
    }
    long total = Addresses.bits(Math.max(header.bssEnd(), loadedEnd) - header.loadAddress());
    memory.claim(image.name(), header.loadAddress(), total, "multiboot image");
    memory.write(header.loadAddress(), image.array(), from, length);
    memory.zero(loadedEnd, total - length);
    return header.entry();
  }

  private List<MultibootInfo.Module> loadModules(BootMemory memory) {
    List<MultibootInfo.Module> modules = new ArrayList<>();
    for (BootRequest.File file : request.modules()) {
      // Above 1 MiB, where kernels expect modules; low memory is left for what they start from there.
      @Gpa long start =
          memory.placeLow(file.name(), file.bytes().length, PAGE, 0x100000, BootMemory.LIMIT_4G, "module");
      memory.write(start, file.bytes());
      String text = file.arguments().isEmpty() ? file.baseName() : file.baseName() + " " + file.arguments();
      modules.add(new MultibootInfo.Module(start, start + file.bytes().length,
          ImageBytes.zeroTerminated(file.name(), "module text", text)));
    }
    return modules;
  }
}
