package dev.gnomon.workloads.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A statically linked busybox for x86-64 and the applets that it has.
 *
 * @param program the executable, not copied
 * @param applets names by which it can be called, as its own table lists them
 */
public record Busybox(byte[] program, List<String> applets) {
  private static final int ELF_HEADER = 64;
  private static final int ELF_CLASS = 4;
  private static final int CLASS_64 = 2;
  private static final int ELF_MACHINE = 18;
  private static final int MACHINE_X86_64 = 62;
  private static final int ELF_PROGRAM_HEADERS = 32;
  private static final int ELF_PROGRAM_HEADER_SIZE = 54;
  private static final int ELF_PROGRAM_HEADER_COUNT = 56;
  private static final int PROGRAM_HEADER_BYTES = 56;
  private static final int PT_INTERP = 3;
  /** Its table of applets, sorted names ended by NUL and all ended by an empty one, begins with test's other names. */
  private static final byte[] TABLE_START = "\0[\0[[\0".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] BANNER = "BusyBox v".getBytes(StandardCharsets.US_ASCII);
  private static final int MAX_APPLETS = 1000;

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
    List<String> applets = applets(program);
    if (!applets.contains("sh") || !applets.contains("mount")) {
      throw new IllegalArgumentException(name + ": found no table of applets with sh and mount in it, expected that of "
          + "Debian's busybox-static or the like");
    }
    return new Busybox(program, applets);
  }

  private static void requireStaticElf(String name, byte[] program) {
    ByteBuffer elf = ByteBuffer.wrap(program).order(ByteOrder.LITTLE_ENDIAN);
    if (program.length < ELF_HEADER || program[0] != 0x7F || program[1] != 'E' || program[2] != 'L'
        || program[3] != 'F') {
      throw new IllegalArgumentException(name + ": is no ELF program, expected a statically linked busybox for x86-64");
    }
    if (program[ELF_CLASS] != CLASS_64 || elf.getShort(ELF_MACHINE) != MACHINE_X86_64) {
      throw new IllegalArgumentException(name + ": is an ELF program for another processor, expected x86-64");
    }
    long headers = elf.getLong(ELF_PROGRAM_HEADERS);
    int count = elf.getShort(ELF_PROGRAM_HEADER_COUNT) & 0xFFFF;
    int size = elf.getShort(ELF_PROGRAM_HEADER_SIZE) & 0xFFFF;
    if (headers < 0 || size < PROGRAM_HEADER_BYTES || headers > program.length - (long) count * size) {
      throw new IllegalArgumentException(name + ": its ELF program headers lie outside of the file, expected a whole file");
    }
    for (int i = 0; i < count; i++) {
      if (elf.getInt((int) headers + i * size) == PT_INTERP) {
        throw new IllegalArgumentException(name + ": is dynamically linked and would find no libraries in the guest, "
            + "expected a static one (Debian: busybox-static)");
      }
    }
  }

  private static List<String> applets(byte[] program) {
    List<String> applets = new ArrayList<>();
    int start = indexOf(program, TABLE_START, 0);
    for (int at = start + 1; start >= 0 && at < program.length && applets.size() < MAX_APPLETS;) {
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
