package dev.gnomon.guest.oracle;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** The host's own processor, in a helper process, so that a fault is a result too. */
final class HostProcessor implements AutoCloseable {
  private static final int CPU_SECONDS = 120;

  private final Path program;
  private final Process process;
  private final OutputStream to;
  private final InputStream from;

  /** @param segments16 with 16-bit segments in the LDT */
  HostProcessor(boolean segments16) {
    try {
      program = Files.createTempFile("oracle", ".elf",
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      Files.write(program, OracleProgram.build(CPU_SECONDS, segments16));
      process = new ProcessBuilder(program.toString()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      to = process.getOutputStream();
      from = process.getInputStream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Sends cases; {@link #receive} must follow. */
  void send(byte[] records, int count) {
    try {
      to.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(count).array());
      to.write(records, 0, count * OracleLayout.RECORD);
      to.flush();
    } catch (IOException e) {
      throw new IllegalStateException("the helper is gone", e);
    }
  }

  /**
   * Gets the outcomes of the cases sent last.
   *
   * @param pages the two data pages after all of them
   * @return false if the helper died of one
   */
  boolean receive(byte[] records, int count, byte[] pages) {
    try {
      return from.readNBytes(records, 0, count * OracleLayout.RECORD) == count * OracleLayout.RECORD
          && from.readNBytes(pages, 0, pages.length) == pages.length;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor();
      Files.deleteIfExists(program);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
