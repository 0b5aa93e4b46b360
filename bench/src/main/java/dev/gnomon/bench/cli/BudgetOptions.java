package dev.gnomon.bench.cli;

import dev.gnomon.bench.Guest;
import picocli.CommandLine.Option;

/** How long a measured run may last. */
final class BudgetOptions {
  private static final long KERNEL_INSTRUCTIONS = 100_000_000;
  private static final long WORKLOAD_INSTRUCTIONS = 20_000_000_000L;

  @Option(names = "--max-instructions", paramLabel = "N", converter = Quantity.Count.class,
      description =
          "Budget of each run in instructions, such as 100M or 4.3G. Default: 100M for a kernel, 20G for a workload.")
  private Long maxInstructions;

  long instructions(Guest guest) {
    return maxInstructions != null ? maxInstructions : defaultFor(guest);
  }

  /** Of a guest that ends by itself. */
  long workloadInstructions() {
    return maxInstructions != null ? maxInstructions : WORKLOAD_INSTRUCTIONS;
  }

  /** A workload ends by itself, so that its default is only a guard. */
  static long defaultFor(Guest guest) {
    return guest.marksRegion() ? WORKLOAD_INSTRUCTIONS : KERNEL_INSTRUCTIONS;
  }

  /** As a report's provenance names it. */
  String describe() {
    return maxInstructions == null ? "default" : maxInstructions.toString();
  }
}
