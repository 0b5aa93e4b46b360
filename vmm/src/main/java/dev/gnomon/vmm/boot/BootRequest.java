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
 * @param loadAddress where a flat binary goes; other formats carry their own address
 */
public record BootRequest(File kernel, String commandLine, List<File> modules, Entry entry, @Gpa long loadAddress) {
  /** Where flat binaries go by default: 1 MiB. */
  public static final @Gpa long DEFAULT_LOAD_ADDRESS = 0x100000;

  /** The processor mode at the first instruction. */
  public enum Entry {
    /** What the format says; flat binaries and Linux: 32-bit protected mode. */
    DEFAULT,
    /** Real mode; flat binaries only. */
    REAL,
    /** 32-bit protected mode, flat segments, paging off. */
    PROTECTED,
    /** 64-bit mode, the first 4 GiB mapped to themselves; flat binaries, and Linux kernels that offer it. */
    LONG
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
    modules = List.copyOf(modules);
  }

  /** A request for a kernel alone. */
  public static BootRequest of(String name, byte[] bytes) {
    return new BootRequest(new File(name, bytes), "", List.of(), Entry.DEFAULT, DEFAULT_LOAD_ADDRESS);
  }

  public BootRequest withCommandLine(String text) {
    return new BootRequest(kernel, text, modules, entry, loadAddress);
  }

  public BootRequest withModules(List<File> files) {
    return new BootRequest(kernel, commandLine, files, entry, loadAddress);
  }

  public BootRequest withEntry(Entry mode) {
    return new BootRequest(kernel, commandLine, modules, mode, loadAddress);
  }

  public BootRequest withLoadAddress(@Gpa long address) {
    return new BootRequest(kernel, commandLine, modules, entry, address);
  }
}
