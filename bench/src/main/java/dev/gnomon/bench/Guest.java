package dev.gnomon.bench;

import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import java.util.Map;

/** Something that a machine can run, and how its run is judged. One guest may be run on many machines. */
public interface Guest {
  /** For headings and messages. */
  String name();

  /** What makes it this guest beside its name, such as a workload's parameters or a kernel's command line. */
  Map<String, String> parameters();

  /** The options, with more memory if the guest needs it and they leave that open. */
  VmOptions adapt(VmOptions options, boolean memoryGiven);

  /** Adds what the guest needs to its machine, before it is built. */
  default void equip(VmBuilder builder, Region region) {}

  /** Loads the guest. @throws IllegalArgumentException if it is malformed or does not fit */
  void boot(Vm vm);

  /** Linear addresses of its labels; empty if it has none to tell. */
  default Map<String, Long> symbols() {
    return Map.of();
  }

  /** Whether it marks the region that is to be measured. */
  boolean marksRegion();

  /** What the status that the guest gave at its end means. */
  Verdict verdict(int status);

  /** Whether a line on the console means that the guest has died, although its processor runs on. */
  default boolean dies(String line) {
    return false;
  }

  /** Whether a line on the console is the last that a guest which has died will ever write. */
  default boolean ends(String line) {
    return false;
  }

  /** A guest's own judgement. */
  enum Verdict {
    SUCCESS,
    /** It ran, and its result is wrong. */
    WRONG_RESULT,
    /** It gave up. */
    FAILURE
  }
}
