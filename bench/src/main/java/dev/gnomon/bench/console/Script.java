package dev.gnomon.bench.console;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;

/** Waits for texts on the console, one after the other, and answers each at the instruction that completed it. */
public final class Script {
  private static final int TAIL = 8192;
  private static final int SHOWN_LINES = 3;
  private static final int ESCAPE = 27;

  /**
   * One step.
   *
   * @param expect text to wait for, empty for none
   * @param send bytes to send then, may be empty
   */
  public record Step(String expect, byte[] send) {}

  private final List<Step> steps;
  private final long timeout;
  private final byte[] tail = new byte[TAIL];
  private int length;
  /** Nothing before this place in the tail counts for the step in hand. */
  private int from;
  private int next;
  private byte[] wanted = {};
  private long since;
  private Session session;

  /** @param timeout most instructions that a step may wait for its text */
  public Script(List<Step> steps, long timeout) {
    this.steps = List.copyOf(steps);
    this.timeout = timeout;
  }

  void begin(Session console) {
    session = console;
    since = console.vm().retired();
    advance();
  }

  /** Does all that need not wait. */
  private void advance() {
    while (next < steps.size()) {
      wanted = steps.get(next).expect().getBytes(StandardCharsets.UTF_8);
      if (wanted.length > 0) {
        return;
      }
      send();
    }
  }

  private void send() {
    byte[] answer = steps.get(next++).send();
    if (answer.length > 0) {
      session.send(answer);
    }
  }

  void output(int value) {
    if (length == TAIL) {
      int gone = TAIL / 2;
      System.arraycopy(tail, gone, tail, 0, TAIL - gone);
      length -= gone;
      from = Math.max(0, from - gone);
    }
    tail[length++] = (byte) value;
    if (next < steps.size() && endsWithWanted()) {
      from = length;
      since = session.vm().retired();
      send();
      advance();
    }
  }

  private boolean endsWithWanted() {
    int start = length - wanted.length;
    if (start < from) {
      return false;
    }
    for (int i = 0; i < wanted.length; i++) {
      if (tail[start + i] != wanted[i]) {
        return false;
      }
    }
    return true;
  }

  /** Whether every step is done. */
  public boolean done() {
    return next == steps.size();
  }

  long deadline() {
    return done() || timeout > Long.MAX_VALUE - since ? Long.MAX_VALUE : since + timeout;
  }

  String problem() {
    if (done()) {
      return null;
    }
    return String.format(Locale.ROOT,
        "expected %s on the console (step %d of %d) and waited %,d instructions for it; last lines: %s",
        quoted(steps.get(next).expect()), next + 1, steps.size(), session.vm().retired() - since, lastLines());
  }

  private String lastLines() {
    String text = new String(tail, 0, length, StandardCharsets.ISO_8859_1).stripTrailing();
    int start = text.length();
    for (int i = 0; i < SHOWN_LINES && start > 0; i++) {
      start = text.lastIndexOf('\n', start - 1);
      start = Math.max(start, 0);
    }
    return text.isEmpty() ? "none" : quoted(text.substring(start).strip());
  }

  private static String quoted(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      switch (c) {
        case '\n' -> quoted.append("\\n");
        case '\r' -> quoted.append("\\r");
        case '\t' -> quoted.append("\\t");
        case '\\' -> quoted.append("\\\\");
        case ESCAPE -> quoted.append("\\e");
        default -> quoted.append(c < ' ' ? String.format("\\x%02x", (int) c) : Character.toString(c));
      }
    }
    return quoted.append('"').toString();
  }

  /**
   * Reads a text with escapes {@code \n \r \t \e \\ \xHH}.
   *
   * @throws IllegalArgumentException at another escape
   */
  public static byte[] unescape(String text) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c != '\\') {
        int end = text.offsetByCodePoints(i, 1);
        bytes.writeBytes(text.substring(i, end).getBytes(StandardCharsets.UTF_8));
        i = end - 1;
        continue;
      }
      char kind = ++i < text.length() ? text.charAt(i) : 0;
      switch (kind) {
        case 'n' -> bytes.write('\n');
        case 'r' -> bytes.write('\r');
        case 't' -> bytes.write('\t');
        case 'e' -> bytes.write(ESCAPE);
        case '\\' -> bytes.write('\\');
        default -> {
          if (kind != 'x' || !text.substring(i + 1).matches("(?s)[0-9a-fA-F]{2}.*")) {
            throw new IllegalArgumentException("'" + text
                + "': expected \\n, \\r, \\t, \\e, \\\\ or \\xHH behind a backslash");
          }
          bytes.write(Integer.parseInt(text.substring(i + 1, i + 3), 16));
          i += 2;
        }
      }
    }
    return bytes.toByteArray();
  }
}
