package dev.gnomon.bench.cli;

import dev.gnomon.bench.console.HostTerminal;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import org.jline.terminal.Attributes;
import org.jline.terminal.TerminalBuilder;

/** The terminal of standard input and output, by JLine. */
final class RawTerminal implements HostTerminal {
  private static final int DEFAULT_ROWS = 24;
  private static final int DEFAULT_COLUMNS = 80;

  private final org.jline.terminal.Terminal terminal;
  private final Attributes before;

  /** @throws IOException if the terminal cannot be switched to raw mode */
  RawTerminal() throws IOException {
    terminal = open();
    before = terminal.enterRawMode();
    Attributes raw = terminal.getAttributes();
    // Ctrl-C, Ctrl-Z and Ctrl-\ are the guest's; reads wait for a byte.
    raw.setLocalFlag(Attributes.LocalFlag.ISIG, false);
    raw.setControlChar(Attributes.ControlChar.VMIN, 1);
    raw.setControlChar(Attributes.ControlChar.VTIME, 0);
    terminal.setAttributes(raw);
  }

  private static org.jline.terminal.Terminal open() throws IOException {
    try {
      return TerminalBuilder.builder().system(true).provider("jni").dumb(false).nativeSignals(false).build();
    } catch (IllegalStateException | LinkageError e) {
      throw new IOException("the terminal cannot be switched to raw mode (" + e.getMessage() + ")", e);
    }
  }

  @Override
  public InputStream input() {
    return terminal.input();
  }

  @Override
  public void print(String text) {
    terminal.writer().print(text);
    terminal.writer().flush();
  }

  @Override
  public int rows() {
    int rows = terminal.getHeight();
    return rows > 0 ? rows : DEFAULT_ROWS;
  }

  @Override
  public int columns() {
    int columns = terminal.getWidth();
    return columns > 0 ? columns : DEFAULT_COLUMNS;
  }

  @Override
  public void close() {
    terminal.setAttributes(before);
    try {
      terminal.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
