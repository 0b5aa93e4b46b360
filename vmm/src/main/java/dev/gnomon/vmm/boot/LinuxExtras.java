package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Gpa;

/** What every Linux kernel gets beside its image: command line and initial RAM disk. */
final class LinuxExtras {
  private static final int PAGE = 4096;

  /**
   * The initial RAM disk in memory.
   *
   * @param length bytes, 0 if there is none
   */
  record RamDisk(@Gpa long start, int length) {
    boolean exists() {
      return length > 0;
    }
  }

  private LinuxExtras() {}

  /**
   * Puts the command line into low memory.
   *
   * @param limit most bytes without the zero at the end
   * @return its address
   */
  static @Gpa long commandLine(BootMemory memory, String file, String commandLine, long limit) {
    byte[] text = ImageBytes.zeroTerminated(file, "command line", commandLine);
    if (text.length - 1 > limit) {
      throw new ImageException(file,
          "command line of " + (text.length - 1) + " bytes: expected at most " + limit + " (cmdline_size)");
    }
    @Gpa long at = memory.placeLow(file, text.length, PAGE, BootMemory.LIMIT_4G, "command line");
    memory.write(at, text);
    return at;
  }

  /**
   * Puts the RAM disk as high as the kernel allows.
   *
   * @param limit first address that it may not reach
   */
  static RamDisk ramDisk(BootMemory memory, BootRequest request, @Gpa long limit) {
    if (request.modules().isEmpty()) {
      return new RamDisk(0, 0);
    }
    BootRequest.File file = request.modules().get(0);
    if (request.modules().size() > 1) {
      throw new ImageException(request.modules().get(1).name(),
          "a second initial RAM disk: expected at most one for a Linux kernel");
    }
    @Gpa long at = memory.placeHigh(file.name(), file.bytes().length, PAGE, limit, "initial RAM disk");
    memory.write(at, file.bytes());
    return new RamDisk(at, file.bytes().length);
  }
}
