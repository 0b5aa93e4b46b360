package dev.gnomon.bench.cli;

import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Files that the command line names. */
final class InputFile {
  private static final long MAX_BYTES = 1L << 30;

  private InputFile() {}

  /** All bytes. @throws IllegalArgumentException if it is a directory or larger than a guest could take */
  static byte[] read(Path path) throws IOException {
    checkIsFile(path);
    if (Files.exists(path) && Files.size(path) > MAX_BYTES) {
      throw new IllegalArgumentException(path + ": " + Files.size(path) + " bytes, expected at most " + MAX_BYTES);
    }
    return Files.readAllBytes(path);
  }

  /**
   * The lines of a text.
   *
   * @param expected for the message if it is none.
   * @throws IllegalArgumentException if it is a directory or no UTF-8
   */
  static List<String> lines(Path path, String expected) throws IOException {
    checkIsFile(path);
    try {
      return Files.readAllLines(path);
    } catch (MalformedInputException e) {
      throw new IllegalArgumentException(path + ": is no text, expected " + expected, e);
    }
  }

  private static void checkIsFile(Path path) {
    if (Files.isDirectory(path)) {
      throw new IllegalArgumentException(path + ": is a directory, expected a file");
    }
  }

  /** Fails at once, rather than after long work, if the file could not be written. */
  static void checkTarget(String option, Path file) {
    Path directory = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file) || directory != null && !Files.isDirectory(directory)) {
      throw new IllegalArgumentException(option + " " + file + ": expected a file in a directory that exists");
    }
  }
}
