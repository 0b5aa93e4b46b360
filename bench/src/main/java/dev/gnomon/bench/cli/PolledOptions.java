package dev.gnomon.bench.cli;

import dev.gnomon.bench.Guest;
import dev.gnomon.bench.polled.DeviceClass;
import dev.gnomon.bench.polled.PolledGuest;
import dev.gnomon.bench.polled.Polling;
import dev.gnomon.bench.polled.ThreadPolling;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** Options that put polled devices into a machine. */
final class PolledOptions {
  @Option(names = "--polled", paramLabel = "CLASS[,OPTION=VALUE…]",
      description =
          "A polled device (may be repeated): request, ring, timer, or a PolledDevice class of --class-path. Options: "
          + "address=HEX of its reserved page (default: behind all memory), mmio=HEX or ports=HEX to have it trapped "
          + "there instead, irq=N, doorbell=HEX (a port), name=NAME.")
  private List<String> devices = List.of();

  @Option(names = "--poll", paramLabel = "WHEN",
      description = "When they are polled, in virtual time: spin (every 40 ns), period=TIME, "
          + "adaptive[=STEP:MOST:FALLBACK] or random=MIN:MAX. Default: period=10us.")
  private String polling;

  @Option(names = "--class-path", paramLabel = "PATH",
      description = "Directories and jars with device classes, as for java. What they print goes to stderr.")
  private String classPath;

  @Option(names = "--step-limit", paramLabel = "SECONDS", converter = Quantity.Seconds.class,
      description = "Host time that a step of a device from --class-path may take before the device is stopped and "
          + "the guest goes on without it; 0 to wait for ever. Default: 10.")
  private Duration stepLimit;

  /** A guest with the devices that were asked for. @param threads null unless threads of the host are to poll them */
  Guest attach(Guest guest, Long seed, ThreadPolling threads) throws IOException {
    if (devices.isEmpty()) {
      if (polling != null || classPath != null || stepLimit != null) {
        throw new IllegalArgumentException((polling != null ? "--poll"
            : classPath != null ? "--class-path" : "--step-limit")
            + ": expected --polled CLASS with it");
      }
      if (threads != null) {
        throw new IllegalArgumentException("--poll-thread: expected --polled CLASS with it");
      }
      return guest;
    }
    if (threads != null && polling != null) {
      throw new IllegalArgumentException("--poll and --poll-thread contradict each other: expected one of them");
    }
    ClassLoader loader = loader();
    List<DeviceClass> classes = new ArrayList<>();
    for (String device : devices) {
      classes.add(DeviceClass.parse(device, loader, stepLimit == null ? DeviceClass.STEP_LIMIT : stepLimit));
    }
    if (threads != null && classes.stream().noneMatch(DeviceClass::isPolled)) {
      throw new IllegalArgumentException(
          "--poll-thread: all devices are trapped (mmio, ports), expected one that is polled");
    }
    Polling virtual = threads != null ? null : polling == null ? Polling.defaults() : Polling.parse(polling);
    return new PolledGuest(guest, classes, virtual, seed == null ? 0 : seed);
  }

  private ClassLoader loader() throws IOException {
    ClassLoader own = PolledOptions.class.getClassLoader();
    if (classPath == null) {
      return own;
    }
    List<URL> urls = new ArrayList<>();
    for (String entry : classPath.split(File.pathSeparator)) {
      Path path = Path.of(entry);
      if (!Files.exists(path)) {
        throw new IllegalArgumentException("--class-path: " + entry + ": no such file, expected a directory or a jar");
      }
      urls.add(path.toUri().toURL());
    }
    // What devices print must not get among the data that a command writes to standard output.
    System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8));
    // Not closed: devices may load classes as long as they run.
    return new URLClassLoader(urls.toArray(URL[]::new), own);
  }
}
