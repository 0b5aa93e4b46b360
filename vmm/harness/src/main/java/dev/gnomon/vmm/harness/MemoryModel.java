package dev.gnomon.vmm.harness;

/** In which order others see the stores of a driver or device. */
public enum MemoryModel {
  /** At once: sequential consistency. Lost wake-ups do not happen. */
  SC,
  /**
   * x86-TSO: each store waits in its agent's FIFO, from which the agent's own loads are answered; only fences, locked
   * instructions and doorbells wait until it is empty. Devices have one too, because the thread that polls runs on such
   * a processor.
   */
  TSO
}
