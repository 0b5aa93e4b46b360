package dev.gnomon.workloads.linux;

import dev.gnomon.workloads.kernel.GuestPorts;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.GZIPOutputStream;

/**
 * An initial RAM disk that runs one shell script: a busybox with a link for each of its applets, the device files that
 * a kernel needs before devtmpfs is mounted, and an {@code /init} that mounts {@code /proc}, {@code /sys} and
 * {@code /dev}, runs {@code /script} on the console and powers off. If the script fails, {@code /init} gives its status
 * to the machine first ({@link GuestPorts#EXIT_GPA}), which ends the run. Equal contents give equal bytes.
 */
public final class Initramfs {
  private static final int EXECUTABLE = 0755;
  private static final String[] DIRECTORIES = {"bin", "sbin", "usr", "usr/bin", "usr/sbin", "dev", "dev/pts", "etc",
      "proc", "root", "run", "sys", "var"};

  private final CpioTree tree = new CpioTree();

  /**
   * @param scriptName for messages
   * @param script for busybox' sh
   * @throws IllegalArgumentException if the script cannot be one
   */
  public Initramfs(Busybox busybox, String scriptName, byte[] script) {
    checkScript(scriptName, script);
    for (String directory : DIRECTORIES) {
      tree.directory(directory, EXECUTABLE);
    }
    tree.directory("tmp", 01777);
    tree.characterDevice("dev/console", 0600, 5, 1);
    tree.characterDevice("dev/tty", 0666, 5, 0);
    tree.characterDevice("dev/ttyS0", 0600, 4, 64);
    tree.characterDevice("dev/null", 0666, 1, 3);
    tree.characterDevice("dev/zero", 0666, 1, 5);
    tree.characterDevice("dev/random", 0666, 1, 8);
    tree.characterDevice("dev/urandom", 0666, 1, 9);
    tree.characterDevice("dev/kmsg", 0644, 1, 11);
    tree.characterDevice("dev/mem", 0600, 1, 1);
    tree.file("etc/passwd", 0644, ascii("root:x:0:0:root:/root:/bin/sh\n"));
    tree.file("etc/group", 0644, ascii("root:x:0:\n"));
    tree.file("bin/busybox", EXECUTABLE, busybox.program());
    for (String applet : busybox.applets()) {
      if (!applet.equals("busybox")) {
        tree.symbolicLink("bin/" + applet, "busybox");
      }
    }
    // A shell has job control and Ctrl-C only on a terminal that is its session's own.
    String run = busybox.has("setsid") && busybox.has("cttyhack") ? "setsid cttyhack sh" : "sh";
    tree.file("init", EXECUTABLE, ascii(resource("init.sh").replace("@RUN@", run)
        .replace("@EXIT@", "0x" + Long.toHexString(GuestPorts.EXIT_GPA))));
    tree.file("script", EXECUTABLE, script);
  }

  private static void checkScript(String name, byte[] script) {
    int line = 1;
    boolean empty = true;
    for (int i = 0; i < script.length; i++) {
      int c = script[i];
      if (c == 0) {
        throw new IllegalArgumentException(name + ":" + line + ": a NUL byte, expected a shell script");
      }
      if (c == '\r' && i + 1 < script.length && script[i + 1] == '\n') {
        throw new IllegalArgumentException(name + ":" + line + ": the line ends with CR LF, expected LF alone");
      }
      empty &= c <= ' ';
      line += c == '\n' ? 1 : 0;
    }
    if (empty) {
      throw new IllegalArgumentException(name + ": is empty, expected a shell script");
    }
  }

  /**
   * Adds a file, and the directories that it lies in.
   *
   * @param path absolute in the guest
   * @throws IllegalArgumentException if it is no path, or there is something of that name
   */
  public Initramfs add(String path, int permissions, byte[] content) {
    if (!path.matches("(/[^/\0]+)+") || (path + "/").matches(".*/\\.\\.?/.*")) {
      throw new IllegalArgumentException("guest path '" + path + "': expected an absolute one such as /data/words");
    }
    String inner = path.substring(1);
    for (int slash = inner.indexOf('/'); slash >= 0; slash = inner.indexOf('/', slash + 1)) {
      if (!tree.contains(inner.substring(0, slash))) {
        tree.directory(inner.substring(0, slash), EXECUTABLE);
      }
    }
    tree.file(inner, permissions, content);
    return this;
  }

  /** The cpio archive, which a kernel takes as its initrd. */
  public byte[] cpio() {
    return tree.pack();
  }

  /** The archive compressed by gzip. */
  public byte[] gzip() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
      gzip.write(cpio());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return bytes.toByteArray();
  }

  /** A text of this package. @throws IllegalStateException if the jar lacks it */
  static String resource(String name) {
    try (InputStream in = Initramfs.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException | NullPointerException e) {
      throw new IllegalStateException("resource " + name + " is missing", e);
    }
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
