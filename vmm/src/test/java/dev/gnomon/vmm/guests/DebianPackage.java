package dev.gnomon.vmm.guests;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Files of Debian packages, fetched by {@code apt-get download} and unpacked below {@code target}; nothing of them is kept in the repository. */
final class DebianPackage {
  private DebianPackage() {}

  /** The bytes of one file of a package; the calling test is skipped, with the reason, where the package cannot be had. */
  static byte[] file(String packageName, String file) throws IOException, InterruptedException {
    Path folder = Path.of("target", "debian", packageName).toAbsolutePath();
    Path wanted = folder.resolve("root").resolve(file);
    if (!Files.exists(wanted)) {
      assumeTrue(onPath("apt-get") && onPath("dpkg"), "no apt-get and dpkg here to fetch " + packageName);
      Files.createDirectories(folder);
      assumeTrue(run(folder, List.of("apt-get", "download", packageName)) == 0, "apt-get cannot download " + packageName);
      try (Stream<Path> files = Files.list(folder)) {
        Path archive = files.filter(path -> path.toString().endsWith(".deb")).findFirst().orElseThrow();
        run(folder, List.of("dpkg", "-x", archive.toString(), "root"));
      }
    }
    assumeTrue(Files.exists(wanted), packageName + " has no file " + file);
    return Files.readAllBytes(wanted);
  }

  private static boolean onPath(String command) {
    return Stream.of(System.getenv("PATH").split(java.io.File.pathSeparator)).anyMatch(dir -> Files.isExecutable(Path.of(dir, command)));
  }

  private static int run(Path folder, List<String> command) throws IOException, InterruptedException {
    return new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
  }
}
