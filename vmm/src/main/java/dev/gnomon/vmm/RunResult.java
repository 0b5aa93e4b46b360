package dev.gnomon.vmm;

import java.util.Objects;

/**
 * Why a run ended.
 *
 * @param end what happened
 * @param status exit status that the guest gave, for {@link End#GUEST_EXIT}; 0 otherwise
 * @param detail one line for the user, empty if {@code end} says all
 * @param registers the processor's registers, several lines; empty but for {@link End#TRIPLE_FAULT} and
 *     {@link End#INTERNAL_ERROR}
 */
public record RunResult(End end, int status, String detail, String registers) {
  /** The ways in which a run ends. */
  public enum End {
    /** The instruction budget is used up, or the host asked to stop; the machine can run on. */
    BUDGET,
    /** The processor sleeps and nothing will wake it. */
    HALTED,
    /** The guest wrote the debug-exit port. */
    GUEST_EXIT,
    /** The guest asked for a reset: by a port, or by a triple fault after it loaded an empty IDT. */
    RESET,
    /** The guest switched the machine off. */
    POWER_OFF,
    /** A fault while a double fault was delivered. */
    TRIPLE_FAULT,
    /** The hypervisor has no answer to an exit (KVM: {@code KVM_EXIT_INTERNAL_ERROR}). */
    INTERNAL_ERROR
  }

  public RunResult {
    Objects.requireNonNull(end);
    Objects.requireNonNull(detail);
    Objects.requireNonNull(registers);
  }

  static RunResult of(End end) {
    return new RunResult(end, 0, "", "");
  }

  static RunResult of(End end, String detail) {
    return new RunResult(end, 0, detail, "");
  }

  /** Whether the machine can be run further. */
  public boolean resumable() {
    return end == End.BUDGET;
  }
}
