package dev.gnomon.bench.console;

import dev.gnomon.vmm.RunResult;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Everything that reached a guest from outside in one run, as a text file:
 *
 * <pre>
 *  gnomon input log 1
 *  machine memory=67108864 ns-per-instruction=1 seed=0 state=5c3a0f12
 *  com1 INSTRUCTIONS NS BYTES      queued when so many had retired, due at that virtual time; bytes in hexadecimal
 *  end INSTRUCTIONS NS OUTPUT CRC WHY  the run ended there; bytes that the guest had written to the console, their CRC-32C
 * </pre>
 *
 * @param machine what the replaying machine must have in common; {@code state} sums guest memory before the first
 *     instruction, {@code polled} and {@code poll} name polled devices and when they are polled, if there are any
 * @param inputs in the order of their times
 * @param end null if the recording broke off
 */
public record InputLog(Map<String, String> machine, List<Input> inputs, End end) {
  static final String HEADER = "gnomon input log 1";
  static final String PORT = "com1";
  private static final HexFormat HEX = HexFormat.of();

  /** Bytes for the console. @param dueNs virtual time from which on they may arrive */
  public record Input(long instructions, long dueNs, byte[] bytes) {
    @Override
    public String toString() {
      return PORT + " " + instructions + " " + dueNs + " " + HEX.formatHex(bytes);
    }
  }

  /** Where the recorded run ended and why, and what it had written. */
  public record End(long instructions, long ns, long outputBytes, long outputCrc, RunResult.End why) {
    /** Whether the run was stopped from outside, and the guest could have gone on. */
    public boolean stopped() {
      return why == RunResult.End.BUDGET;
    }

    /** Whether a replay came to the same end. One that is stopped may stop before the guest's last sleep. */
    boolean matches(End other) {
      return instructions == other.instructions && outputBytes == other.outputBytes && outputCrc == other.outputCrc
          && why == other.why && (stopped() || ns == other.ns);
    }

    @Override
    public String toString() {
      return "end " + instructions + " " + ns + " " + outputBytes + " " + Long.toHexString(outputCrc) + " " + why;
    }
  }

  static String machineLine(Map<String, String> machine) {
    StringBuilder line = new StringBuilder("machine");
    machine.forEach((name, value) -> line.append(' ').append(name).append('=').append(value));
    return line.toString();
  }

  /**
   * Reads a log.
   *
   * @param name of the file, for messages
   * @throws IllegalArgumentException naming the line, if it is none
   */
  public static InputLog parse(String name, List<String> lines) {
    if (lines.isEmpty() || !lines.get(0).equals(HEADER)) {
      throw new IllegalArgumentException(name + ": is no input log, expected '" + HEADER + "' in its first line");
    }
    Map<String, String> machine = new LinkedHashMap<>();
    List<Input> inputs = new ArrayList<>();
    End end = null;
    for (int i = 1; i < lines.size(); i++) {
      String[] words = lines.get(i).split(" ");
      try {
        if (words[0].equals("machine") && machine.isEmpty()) {
          for (int k = 1; k < words.length; k++) {
            int equals = words[k].indexOf('=');
            machine.put(words[k].substring(0, equals), words[k].substring(equals + 1));
          }
        } else if (words[0].equals(PORT) && words.length == 4 && end == null) {
          Input input = new Input(number(words[1]), number(words[2]), HEX.parseHex(words[3]));
          if (!inputs.isEmpty() && input.dueNs() < inputs.get(inputs.size() - 1).dueNs()) {
            throw new IllegalArgumentException("earlier than the line before");
          }
          inputs.add(input);
        } else if (words[0].equals("end") && words.length == 6 && end == null) {
          end = new End(number(words[1]), number(words[2]), number(words[3]), Long.parseLong(words[4], 16),
              RunResult.End.valueOf(words[5]));
        } else {
          throw new IllegalArgumentException("unknown");
        }
      } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
        throw new IllegalArgumentException(name + ":" + (i + 1) + ": '" + lines.get(i) + "': expected '" + PORT
            + " INSTRUCTIONS NS BYTES' in the order of time, or 'end INSTRUCTIONS NS OUTPUT CRC WHY' as the last line");
      }
    }
    return new InputLog(machine, List.copyOf(inputs), end);
  }

  private static long number(String text) {
    long number = Long.parseLong(text);
    if (number < 0) {
      throw new NumberFormatException(text);
    }
    return number;
  }
}
