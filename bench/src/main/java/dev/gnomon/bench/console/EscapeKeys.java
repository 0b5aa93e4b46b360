package dev.gnomon.bench.console;

import java.io.ByteArrayOutputStream;

/**
 * Takes out of what is typed the commands that Ctrl-A begins, as QEMU's {@code -nographic} has them; Ctrl-A twice is
 * Ctrl-A. Any other key behind it is dropped.
 */
final class EscapeKeys {
  static final String HELP = """
      Ctrl-A H    this help
      Ctrl-A X    leave
      Ctrl-A W    tell the guest's shell the window's size (types stty)
      Ctrl-A A    send Ctrl-A
      """;
  private static final int CTRL_A = 1;

  /** What a key asks for. */
  enum Command {
    LEAVE, HELP, WINDOW_SIZE
  }

  /** Told of commands, between the bytes typed before and after them. */
  interface Listener {
    void typed(byte[] bytes);

    void command(Command command);
  }

  private final Listener listener;
  private boolean prefixed;

  EscapeKeys(Listener listener) {
    this.listener = listener;
  }

  void accept(byte[] bytes, int length) {
    ByteArrayOutputStream plain = new ByteArrayOutputStream();
    for (int i = 0; i < length; i++) {
      int key = bytes[i] & 0xFF;
      if (!prefixed) {
        prefixed = key == CTRL_A;
        if (!prefixed) {
          plain.write(key);
        }
        continue;
      }
      prefixed = false;
      if (key == CTRL_A || key == 'a' || key == 'A') {
        plain.write(CTRL_A);
        continue;
      }
      Command command = switch (key) {
        case 'x', 'X' -> Command.LEAVE;
        case 'h', 'H', '?' -> Command.HELP;
        case 'w', 'W' -> Command.WINDOW_SIZE;
        default -> null;
      };
      if (command != null) {
        flush(plain);
        listener.command(command);
      }
    }
    flush(plain);
  }

  private void flush(ByteArrayOutputStream plain) {
    if (plain.size() > 0) {
      listener.typed(plain.toByteArray());
      plain.reset();
    }
  }
}
