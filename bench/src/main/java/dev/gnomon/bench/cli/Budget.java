package dev.gnomon.bench.cli;

import dev.gnomon.bench.Guest;

/** How long a measured run may last. */
final class Budget {
  private static final long KERNEL_INSTRUCTIONS = 100_000_000;
  private static final long WORKLOAD_INSTRUCTIONS = 20_000_000_000L;

  private Budget() {}

  /**
   * Instructions; a workload ends by itself, so that its default is only a guard. @param given null if the user said
   * nothing
   */
  static long of(Long given, Guest guest) {
    return given != null ? given : guest.marksRegion() ? WORKLOAD_INSTRUCTIONS : KERNEL_INSTRUCTIONS;
  }
}
