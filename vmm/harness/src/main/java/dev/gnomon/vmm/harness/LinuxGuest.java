package dev.gnomon.vmm.harness;

import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.device.DebugExit;
import dev.gnomon.workloads.linux.Busybox;
import dev.gnomon.workloads.linux.Initramfs;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/**
 * An unmodified Linux as a driver: a kernel for x86-64 as Debian packages it, and a shell script that drives devices by
 * {@code busybox devmem}. It boots once; each schedule begins with the script's first command. Give one object to all
 * schedules of a test, for it keeps the machine.
 *
 * <p>{@code devmem} maps memory uncached, so this shows function and exits. The order of accesses is
 * {@link GuestCode}'s business: a Linux runs some thousand instructions at a time, and its stores are seen at once.
 *
 * <p>The script finds the address of a device's first window in a variable of the device's name, of further ones in
 * {@code NAME_2} and so on; each character of the name but letters and digits is {@code _}. It has these functions:
 * <pre>
 *  begin N   the request of this number begins
 *  end N     it has been found completed
 *  kick I    rings the doorbell of the device of this index
 *  ready     devices may touch what the script has named
 * </pre>
 * Its exit status is the guest's ({@link Outcome#assertGuestStatus}).
 */
public final class LinuxGuest {
  /** RAM of the guest. */
  static final long MEMORY_BYTES = 128L << 20;
  private static final long DEFAULT_INSTRUCTIONS = 200_000_000;

  private final Mode mode;
  private final byte[] kernel;
  private final Busybox busybox;
  private final String script;
  private final long instructions;
  /** Null until the first schedule. */
  private LinuxMachine machine;

  private LinuxGuest(Mode mode, byte[] kernel, Busybox busybox, String script, long instructions) {
    this.mode = Objects.requireNonNull(mode);
    this.kernel = kernel;
    this.busybox = busybox;
    this.script = Objects.requireNonNull(script);
    this.instructions = instructions;
    if (instructions < 1) {
      throw new IllegalArgumentException(instructions + " instructions of a script: expected at least 1");
    }
  }

  /**
   * A kernel and a statically linked busybox.
   *
   * @throws IllegalArgumentException if one cannot be read, or the busybox is none that a guest without libraries can
   *     run
   */
  public static LinuxGuest of(Mode mode, Path kernel, Path busybox) {
    return new LinuxGuest(mode, read(kernel, "a kernel"),
        Busybox.parse(busybox.toString(), read(busybox, "a busybox")), "true\n",
        DEFAULT_INSTRUCTIONS);
  }

  private static byte[] read(Path file, String expected) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new IllegalArgumentException(file.toAbsolutePath() + ": cannot be read, expected " + expected, e);
    }
  }

  /** A Linux that runs a script for busybox' sh. */
  public LinuxGuest withScript(String value) {
    return new LinuxGuest(mode, kernel, busybox, value, instructions);
  }

  /** A Linux whose script may take so many instructions in a schedule, which is given up then. */
  public LinuxGuest withInstructions(long most) {
    LinuxGuest guest = new LinuxGuest(mode, kernel, busybox, script, most);
    guest.machine = machine;
    return guest;
  }

  long instructions() {
    return instructions;
  }

  /** The machine with the windows of these devices, booted. */
  LinuxMachine machine(List<Rig.Device> devices) {
    if (machine == null || !machine.hasWindowsOf(devices)) {
      machine = LinuxMachine.boot(mode, kernel, new Initramfs(busybox, "script", wholeScript(devices)).cpio(), devices);
    }
    return machine;
  }

  private byte[] wholeScript(List<Rig.Device> devices) {
    StringBuilder text = new StringBuilder();
    for (Rig.Device device : devices) {
      for (int i = 0; i < device.windows().size(); i++) {
        text.append(device.name().replaceAll("[^A-Za-z0-9]", "_")).append(i == 0 ? "" : "_" + (i + 1)).append("=0x")
            .append(Long.toHexString(device.window(i))).append('\n');
      }
    }
    text.append(function("begin", HarnessPorts.BEGIN)).append(function("end", HarnessPorts.END))
        .append(function("kick", HarnessPorts.DOORBELL)).append(function("ready", HarnessPorts.READY));
    text.append("devmem 0x").append(Long.toHexString(HarnessPorts.PAGE + HarnessPorts.START)).append(" 32 1\n(\n")
        .append(script).append("\n)\ndevmem 0x").append(Long.toHexString(DebugExit.GPA)).append(" 8 $?\n");
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static String function(String name, int offset) {
    return name + "() {\n  devmem 0x" + Long.toHexString(HarnessPorts.PAGE + offset) + " 32 ${1:-0}\n}\n";
  }
}
