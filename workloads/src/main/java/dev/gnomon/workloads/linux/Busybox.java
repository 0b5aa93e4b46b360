package dev.gnomon.workloads.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A statically linked busybox for x86-64 or, for 32-bit kernels, i386, and the applets that it has.
 *
 * @param program the executable, not copied
 * @param applets names by which it can be called, as its own table lists them
 */
public record Busybox(byte[] program, List<String> applets) {
  /** Of ELF64, whose header is the longer one. */
  private static final int ELF_HEADER = 64;
  private static final int ELF_CLASS = 4;
  private static final int ELF_MACHINE = 18;
  private static final int MACHINE_386 = 3;
  private static final int MACHINE_X86_64 = 62;
  private static final int PT_INTERP = 3;
  /** Its table of applets, sorted names ended by NUL and all ended by an empty one, begins with test's other names. */
  private static final byte[] TABLE_START = "[\0[[\0".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] BANNER = "BusyBox v".getBytes(StandardCharsets.US_ASCII);
  private static final int MAX_APPLETS = 1000;

  /** Where an ELF header has what, by its class (System V ABI, "ELF Header"). */
  private enum Layout {
    ELF32(1, MACHINE_386, 28, 42, 44, 32), ELF64(2, MACHINE_X86_64, 32, 54, 56, 56);

    private final int elfClass;
    private final int machine;
    private final int programHeaders;
    private final int programHeaderSize;
    private final int programHeaderCount;
    private final int programHeaderBytes;

    Layout(int elfClass, int machine, int programHeaders, int programHeaderSize, int programHeaderCount,
        int programHeaderBytes) {
      this.elfClass = elfClass;
      this.machine = machine;
      this.programHeaders = programHeaders;
      this.programHeaderSize = programHeaderSize;
      this.programHeaderCount = programHeaderCount;
      this.programHeaderBytes = programHeaderBytes;
    }

    /** Null if the file is for neither processor. */
    static Layout of(ByteBuffer elf) {
      for (Layout layout : values()) {
        if (elf.get(ELF_CLASS) == layout.elfClass && elf.getShort(ELF_MACHINE) == layout.machine) {
          return layout;
        }
      }
      return null;
    }
  }

  public Busybox {
    applets = List.copyOf(applets);
  }

  /**
   * Takes a busybox executable.
   *
   * @param name of the file, for messages
   * @throws IllegalArgumentException if it is none that a guest without libraries can run
   */
  public static Busybox parse(String name, byte[] program) {
    requireStaticElf(name, program);
    if (indexOf(program, BANNER, 0) < 0) {
      throw new IllegalArgumentException(name + ": is not a busybox, expected Debian's busybox-static or the like");
    }
    List<String> applets = List.of();
    for (int start = indexOf(program, TABLE_START, 0); start >= 0 && !suffice(applets);) {
      applets = applets(program, start);
      start = indexOf(program, TABLE_START, start + 1);
    }
    if (!suffice(applets)) {
      throw new IllegalArgumentException(name + ": found no table of applets with sh and mount in it, expected that of "
          + "Debian's busybox-static or the like");
    }
    return new Busybox(program, applets);
  }

  private static void requireStaticElf(String name, byte[] program) {
    ByteBuffer elf = ByteBuffer.wrap(program).order(ByteOrder.LITTLE_ENDIAN);
    if (program.length < ELF_HEADER || program[0] != 0x7F || program[1] != 'E' || program[2] != 'L'
        || program[3] != 'F') {
      throw new IllegalArgumentException(name + ": is no ELF program, expected a statically linked busybox for x86-64 "
          + "or i386");
    }
    Layout layout = Layout.of(elf);
    if (layout == null) {
      throw new IllegalArgumentException(name + ": is an ELF program for another processor, expected x86-64 or i386");
    }
    long headers = layout == Layout.ELF64 ? elf.getLong(layout.programHeaders)
        : Integer.toUnsignedLong(elf.getInt(layout.programHeaders));
    int count = elf.getShort(layout.programHeaderCount) & 0xFFFF;
    int size = elf.getShort(layout.programHeaderSize) & 0xFFFF;
    if (headers < 0 || size < layout.programHeaderBytes || headers > program.length - (long) count * size) {
      throw new IllegalArgumentException(name
          + ": its ELF program headers lie outside of the file, expected a whole file");
    }
    for (int i = 0; i < count; i++) {
      if (elf.getInt((int) headers + i * size) == PT_INTERP) {
        throw new IllegalArgumentException(name + ": is dynamically linked and would find no libraries in the guest, "
            + "expected a static one (Debian: busybox-static)");
      }
    }
  }

  private static boolean suffice(List<String> applets) {
    return applets.contains("sh") && applets.contains("mount");
  }

  private static List<String> applets(byte[] program, int start) {
    List<String> applets = new ArrayList<>();
    for (int at = start; at < program.length && applets.size() < MAX_APPLETS;) {
      int end = at;
      while (end < program.length && program[end] != 0) {
        end++;
      }
      String applet = new String(program, at, end - at, StandardCharsets.US_ASCII);
      if (!applet.matches("[a-z0-9_.\\[-]{1,32}")) {
        break;
      }
      applets.add(applet);
      at = end + 1;
    }
    return applets;
  }

  private static int indexOf(byte[] bytes, byte[] wanted, int from) {
    for (int i = from; i <= bytes.length - wanted.length; i++) {
      int matching = 0;
      while (matching < wanted.length && bytes[i + matching] == wanted[matching]) {
        matching++;
      }
      if (matching == wanted.length) {
        return i;
      }
    }
    return -1;
  }

  /** Whether it can be called by that name. */
  public boolean has(String applet) {
    return applets.contains(applet);
  }
}
