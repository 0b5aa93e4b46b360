package dev.gnomon.vmm.guests;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Files of Debian packages, fetched by {@code apt-get download} and unpacked below {@code target}; nothing of them is
 * kept in the repository.
 */
public final class DebianPackage {
  private DebianPackage() {}

  /**
   * The bytes of one file of a package; the calling test is skipped, with the reason, where the package cannot be had.
   */
  public static byte[] file(String packageName, String file) throws IOException, InterruptedException {
    Path wanted = root(packageName).resolve(file);
    assumeTrue(Files.exists(wanted), packageName + " has no file " + file);
    return Files.readAllBytes(wanted);
  }

  /**
   * The kernel image that a package without files of its own depends on, such as {@code linux-image-cloud-amd64}, or
   * {@code linux-image-686:i386} where dpkg has that architecture.
   */
  public static byte[] kernel(String metaPackage) throws IOException, InterruptedException {
    assumeTrue(onPath("apt-cache"), "no apt-cache here to ask for " + metaPackage);
    Process asked = new ProcessBuilder("apt-cache", "depends", metaPackage)
        .redirectError(ProcessBuilder.Redirect.DISCARD).start();
    String answer = new String(asked.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    asked.waitFor();
    Matcher image = Pattern.compile("Depends: (linux-image-([^:\\s]+)\\S*)").matcher(answer);
    assumeTrue(image.find(), "apt-cache knows no kernel that " + metaPackage + " depends on");
    return file(image.group(1), "boot/vmlinuz-" + image.group(2));
  }

  /** Where a package is unpacked. Two tests at a time may ask. */
  private static synchronized Path root(String packageName) throws IOException, InterruptedException {
    Path folder = Path.of("target", "debian", packageName).toAbsolutePath();
    Path root = folder.resolve("root");
    if (!Files.exists(root)) {
      assumeTrue(onPath("apt-get") && onPath("dpkg"), "no apt-get and dpkg here to fetch " + packageName);
      Files.createDirectories(folder);
      assumeTrue(run(folder, List.of("apt-get", "download", packageName)) == 0,
          "apt-get cannot download " + packageName);
      try (Stream<Path> files = Files.list(folder)) {
        Path archive = files.filter(path -> path.toString().endsWith(".deb")).findFirst().orElseThrow();
        run(folder, List.of("dpkg", "-x", archive.toString(), "root"));
      }
    }
    return root;
  }

  private static boolean onPath(String command) {
    return Stream.of(System.getenv("PATH").split(java.io.File.pathSeparator))
        .anyMatch(dir -> Files.isExecutable(Path.of(dir, command)));
  }

  private static int run(Path folder, List<String> command) throws IOException, InterruptedException {
    return new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
  }
}
