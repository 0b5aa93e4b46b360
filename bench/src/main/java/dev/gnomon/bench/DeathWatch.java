package dev.gnomon.bench;

import dev.gnomon.vmm.device.ByteSink;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * Reads a guest's console along, line by line, for the words with which its kernel dies, and keeps its last lines from
 * then on.
 */
final class DeathWatch implements ByteSink {
  private static final int MAX_LINE = 256;
  /** Lines kept before the death, and those kept of what follows it: registers and a call trace. */
  private static final int BEFORE = 4;
  private static final int BEHIND = 40;

  private final Guest guest;
  private final ByteSink console;
  private final Runnable stop;
  private final byte[] line = new byte[MAX_LINE];
  private int length;
  private final Deque<String> lines = new ArrayDeque<>();
  private boolean died;

  /**
   * @param console takes all bytes
   * @param stop called in the line behind which the guest will say no more
   */
  DeathWatch(Guest guest, ByteSink console, Runnable stop) {
    this.guest = guest;
    this.console = console;
    this.stop = stop;
  }

  @Override
  public void accept(int value) {
    console.accept(value);
    if (value != '\n') {
      if (length < MAX_LINE && value != '\r') {
        line[length++] = (byte) value;
      }
      return;
    }
    String text = new String(line, 0, length, StandardCharsets.ISO_8859_1);
    length = 0;
    if (!died || lines.size() < BEFORE + BEHIND) {
      lines.add(text);
    }
    died |= guest.dies(text);
    if (!died && lines.size() > BEFORE) {
      lines.remove();
    }
    if (died && guest.ends(text)) {
      stop.run();
    }
  }

  /** The lines around the death, empty if there was none. */
  List<String> lastWords() {
    return died ? List.copyOf(lines) : List.of();
  }
}
