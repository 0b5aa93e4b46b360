package dev.gnomon.bench.console;

import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.memory.MemoryDigest;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32C;

/**
 * One guest's console during one run. All input goes through {@link #send} and so, if asked for, into the log; with the
 * same log the run is the same to the last counter, because input is due at virtual times only.
 */
public final class Session implements ByteSink {
  /** Parameters that say which polled devices there are, and when they are polled. */
  private static final List<String> DEVICES = List.of("polled", "poll");
  private static final String NONE = "none";

  private final ByteSink screen;
  private final CRC32C crc = new CRC32C();
  private long outputBytes;
  private Vm vm;
  /** All three null if not asked for. */
  private PrintWriter recorder;
  private InputLog replay;
  private Script script;

  /** @param screen where the guest's output goes */
  public Session(ByteSink screen) {
    this.screen = screen;
  }

  /** Writes a log of all input. To be called before {@link #begin}. @param log closed by {@link #end} */
  public void record(PrintWriter log) {
    recorder = log;
  }

  /** Gives the guest the input of a log. To be called before {@link #begin}. */
  public void replay(InputLog log) {
    replay = log;
  }

  /** Lets a script wait for output and answer. To be called before {@link #begin}. */
  public void follow(Script steps) {
    script = steps;
  }

  /**
   * The guest is loaded and has not run yet.
   *
   * @param guest the guest's parameters, of which the log takes those that its memory does not show: polled devices and
   *     when they are polled
   * @param name of the log replayed, for messages
   * @throws IllegalArgumentException if that was recorded with another machine or guest
   */
  public void begin(Vm machine, Map<String, String> guest, String name) {
    vm = machine;
    if (recorder != null || replay != null) {
      Map<String, String> description = describe(vm);
      for (String key : DEVICES) {
        if (guest.containsKey(key)) {
          description.put(key, guest.get(key).replace(' ', ';'));
        }
      }
      if (recorder != null) {
        recorder.println(InputLog.HEADER);
        recorder.println(InputLog.machineLine(description));
        recorder.flush();
      }
      if (replay != null) {
        checkMachine(name, description);
        for (InputLog.Input input : replay.inputs()) {
          queue(input.bytes(), input.dueNs());
        }
      }
    }
    if (script != null) {
      script.begin(this);
    }
  }

  private static Map<String, String> describe(Vm vm) {
    VmOptions options = vm.options();
    Map<String, String> machine = new LinkedHashMap<>();
    machine.put("memory", Long.toString(options.memoryBytes()));
    machine.put("ns-per-instruction", Long.toString(options.nsPerInstruction()));
    machine.put("seed", Long.toString(options.seed()));
    machine.put("state", Integer.toHexString(new MemoryDigest(vm.memory(), vm.slots()).sum()));
    return machine;
  }

  private void checkMachine(String name, Map<String, String> description) {
    Set<String> keys = new LinkedHashSet<>(description.keySet());
    keys.addAll(replay.machine().keySet());
    keys.forEach(key -> {
      String value = description.getOrDefault(key, NONE);
      String recorded = replay.machine().getOrDefault(key, NONE);
      if (!value.equals(recorded)) {
        String what = key.equals("state")
            ? "another guest or command line (memory sum " + recorded + " before its first "
            + "instruction, here " + value + ")" : key + " " + recorded + ", here it is " + value;
        throw new IllegalArgumentException(name + ": was recorded with " + what + "; expected the same");
      }
    });
  }

  /** A byte from the guest. */
  @Override
  public void accept(int value) {
    crc.update(value);
    outputBytes++;
    screen.accept(value);
    if (script != null) {
      script.output(value);
    }
  }

  /** Sends bytes that arrive behind the instruction in hand. */
  public void send(byte[] bytes) {
    send(bytes, vm.now() + vm.options().nsPerInstruction());
  }

  /** Sends bytes. @param dueNs virtual time in the future */
  void send(byte[] bytes, long dueNs) {
    queue(bytes, dueNs);
    if (recorder != null) {
      recorder.println(new InputLog.Input(vm.retired(), dueNs, bytes));
      recorder.flush();
    }
  }

  private void queue(byte[] bytes, long dueNs) {
    for (byte b : bytes) {
      vm.platform().serial().input().add(dueNs, b);
    }
  }

  Vm vm() {
    return vm;
  }

  /** The value of the retired-instruction count at which the run must stop if nothing happens before. */
  public long limit() {
    long limit = script == null ? Long.MAX_VALUE : script.deadline();
    return !replayEndsStopped() ? limit : Math.min(limit, replay.end().instructions());
  }

  /** Whether the run has come to where the log that it follows ends. */
  public boolean replayed() {
    return replayEndsStopped() && vm.retired() >= replay.end().instructions();
  }

  private boolean replayEndsStopped() {
    return replay != null && replay.end() != null && replay.end().stopped();
  }

  /** The run is over. @return one line about what was expected and did not happen, null if all went well */
  public String end(RunResult result) {
    InputLog.End end = new InputLog.End(vm.retired(), vm.now(), outputBytes, crc.getValue(),
        result.end());
    if (recorder != null) {
      recorder.println(end);
      recorder.close();
    }
    if (replay != null && replay.end() != null && !replay.end().matches(end)) {
      return "the run differs from the recorded one: it ended with '" + end + "', expected '" + replay.end() + "'";
    }
    return script == null ? null : script.problem();
  }
}
