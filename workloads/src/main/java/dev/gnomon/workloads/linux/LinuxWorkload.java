package dev.gnomon.workloads.linux;

import dev.gnomon.workloads.kernel.GuestPorts;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * A workload on a Linux kernel: a shell script that marks the region to be measured, checks its own result and gives
 * that as the run's status. The marks are stores by {@code busybox devmem}, so the end of one process and the start of
 * another belong to the region.
 *
 * @param name behind {@code linux:}
 * @param description in a line
 * @param count what its {@code count} counts, empty if it takes none
 * @param repetitions that count
 */
public record LinuxWorkload(String name, String description, String count, int repetitions) {
  /** Before a workload's name. */
  public static final String PREFIX = "linux:";
  private static final String COUNT = "count=";
  private static final int MAX_COUNT = 10_000_000;

  private static final List<LinuxWorkload> ALL = List.of(
      new LinuxWorkload("boot", "from the kernel's first instruction to the first program", "", 0),
      new LinuxWorkload("fork", "a shell forks itself and waits: copies of page tables, copy-on-write", "forks", 200),
      new LinuxWorkload("exec", "fork and exec of a small program: address spaces made and thrown away",
          "programs", 100),
      new LinuxWorkload("mmap", "programs that map 4 MiB, touch it and end: demand paging", "programs", 20),
      new LinuxWorkload("find", "a walk of a tree of 800 files", "walks", 10),
      new LinuxWorkload("sort", "sort of numbers in one process", "numbers", 8_000),
      new LinuxWorkload("gzip", "compression and decompression", "lines of text", 8_000),
      new LinuxWorkload("pipe", "4 KiB blocks through two pipes", "blocks", 2_000),
      new LinuxWorkload("ctxsw", "a token between two processes: context switches", "round trips", 1_000),
      new LinuxWorkload("polled", "requests by /dev/mem to the device of --polled request", "requests", 10));

  /** All of them. */
  public static List<LinuxWorkload> all() {
    return ALL;
  }

  /** Whether a name on the command line is that of one of these. */
  public static boolean isName(String text) {
    return text.startsWith(PREFIX);
  }

  /**
   * The workload of {@code linux:NAME} or {@code linux:NAME,count=N}.
   *
   * @throws IllegalArgumentException if there is none of that name, or the count is out of range
   */
  public static LinuxWorkload parse(String text) {
    String rest = text.substring(PREFIX.length());
    int comma = rest.indexOf(',');
    String name = comma < 0 ? rest : rest.substring(0, comma);
    for (LinuxWorkload workload : ALL) {
      if (workload.name.equals(name)) {
        return comma < 0 ? workload : workload.withCount(text, rest.substring(comma + 1));
      }
    }
    throw new IllegalArgumentException("workload '" + text + "' is unknown: expected " + PREFIX
        + String.join(", " + PREFIX, ALL.stream().map(LinuxWorkload::name).toList()));
  }

  private LinuxWorkload withCount(String text, String parameter) {
    if (count.isEmpty() || !parameter.matches(COUNT + "[0-9]{1,8}")
        || Integer.parseInt(parameter.substring(COUNT.length())) > MAX_COUNT
        || Integer.parseInt(parameter.substring(COUNT.length())) < 1) {
      throw new IllegalArgumentException("workload '" + text + "': expected " + (count.isEmpty() ? "no parameter"
          : COUNT + "N, the number of " + count + ", 1 to " + MAX_COUNT));
    }
    return new LinuxWorkload(name, description, count, Integer.parseInt(parameter.substring(COUNT.length())));
  }

  /** Whether its region begins with the guest's first instruction, where it can mark nothing yet. */
  public boolean measuresFromStart() {
    return name.equals("boot");
  }

  /** The script. */
  byte[] script() {
    String text = Initramfs.resource("marks.sh") + Initramfs.resource(name + ".sh") + Initramfs.resource("finish.sh");
    return text.replace("@REGION@", "0x" + Long.toHexString(GuestPorts.REGION_GPA))
        .replace("@EXIT@", "0x" + Long.toHexString(GuestPorts.EXIT_GPA))
        .replace("@name@", name).replace("@count@", Integer.toString(repetitions)).getBytes(StandardCharsets.US_ASCII);
  }

  /** An initial RAM disk that runs it. */
  public byte[] initramfs(Busybox busybox) {
    return new Initramfs(busybox, PREFIX + name, script()).cpio();
  }
}
