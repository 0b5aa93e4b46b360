package dev.gnomon.vmm.polled;

/** Where a device's interrupts go. Calls in a step take effect at the step's end at the latest. */
@FunctionalInterface
public interface InterruptSink {
  /** Interrupts that nobody hears. */
  InterruptSink NONE = () -> { };

  /** Raises the device's interrupt, edge-triggered. */
  void raise();
}
