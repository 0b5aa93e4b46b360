package dev.gnomon.bench.console;

import java.io.InputStream;

/** A terminal in raw mode: each key comes at once, unchanged and without echo. */
public interface HostTerminal extends AutoCloseable {
  /** What is typed. */
  InputStream input();

  /** Shows a message of the program's own. */
  void print(String text);

  int rows();

  int columns();

  /** Puts the terminal back as it was. */
  @Override
  void close();
}
