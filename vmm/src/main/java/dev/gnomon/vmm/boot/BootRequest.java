package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Gpa;
import java.util.List;
import java.util.Objects;

/**
 * What the user asks to boot.
 *
 * @param kernel the image
 * @param commandLine text for the kernel, empty if none
 * @param modules multiboot modules; for Linux at most one, the initial RAM disk
 * @param entry the processor mode in which the image is entered
 * @param unpack who unpacks a compressed Linux kernel
 * @param loadAddress where a flat binary goes; other formats carry their own address
 */
public record BootRequest(File kernel, String commandLine, List<File> modules, Entry entry, Unpack unpack,
    @Gpa long loadAddress) {
  /** Where flat binaries go by default: 1 MiB. */
  public static final @Gpa long DEFAULT_LOAD_ADDRESS = 0x100000;

  /** The processor mode at the first instruction. */
  public enum Entry {
    /**
     * What the format says. Flat binaries: 32-bit protected mode; Linux: PVH, the boot protocol of its ELF class if its
     * kernel has no note for that, or if it is not packed or packed in a way that the host does not know, the image's
     * own 32-bit entry.
     */
    DEFAULT,
    /** Real mode; flat binaries only. */
    REAL,
    /** 32-bit protected mode, flat segments, paging off. */
    PROTECTED,
    /** 64-bit mode, the first 4 GiB mapped to themselves; flat binaries, and Linux kernels that offer it. */
    LONG,
    /**
     * 32-bit protected mode with EBX at {@code hvm_start_info}; ELF files with a PVH note and what bzImages hold of
     * them.
     */
    PVH
  }

  /** Who unpacks the kernel in a bzImage. */
  public enum Unpack {
    /** The host, before the machine starts; the 32-bit entry never. */
    HOST,
    /** The decompressor in the image, which may also move the kernel to a random address. */
    GUEST
  }

  /**
   * A file's name and contents.
   *
   * @param name as the user gave it, for messages
   * @param bytes contents, not copied
   * @param arguments text that belongs to a module, empty if none
   */
  public record File(String name, byte[] bytes, String arguments) {
    public File {
      Objects.requireNonNull(name);
      Objects.requireNonNull(bytes);
      Objects.requireNonNull(arguments);
    }

    public File(String name, byte[] bytes) {
      this(name, bytes, "");
    }

    /** The name without its directories, so that what the guest sees does not depend on where the file lies. */
    String baseName() {
      return name.substring(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
    }
  }

  public BootRequest {
    Objects.requireNonNull(kernel);
    Objects.requireNonNull(commandLine);
    Objects.requireNonNull(entry);
    Objects.requireNonNull(unpack);
    modules = List.copyOf(modules);
  }

  /** A request for a kernel alone. */
  public static BootRequest of(String name, byte[] bytes) {
    return new BootRequest(new File(name, bytes), "", List.of(), Entry.DEFAULT, Unpack.HOST, DEFAULT_LOAD_ADDRESS);
  }

  public BootRequest withCommandLine(String text) {
    return new BootRequest(kernel, text, modules, entry, unpack, loadAddress);
  }

  public BootRequest withModules(List<File> files) {
    return new BootRequest(kernel, commandLine, files, entry, unpack, loadAddress);
  }

  public BootRequest withEntry(Entry mode) {
    return new BootRequest(kernel, commandLine, modules, mode, unpack, loadAddress);
  }

  public BootRequest withUnpack(Unpack by) {
    return new BootRequest(kernel, commandLine, modules, entry, by, loadAddress);
  }

  public BootRequest withLoadAddress(@Gpa long address) {
    return new BootRequest(kernel, commandLine, modules, entry, unpack, address);
  }
}
