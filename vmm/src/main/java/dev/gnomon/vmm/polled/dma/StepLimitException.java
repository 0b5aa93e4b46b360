package dev.gnomon.vmm.polled.dma;

/** Ends a device's step that goes on and on; its host stops the device. A device must not catch it. */
public final class StepLimitException extends RuntimeException {
  private static final long serialVersionUID = 1;

  StepLimitException(StepLimits limits) {
    super("more than " + limits.accesses() + " accesses or " + limits.bytes() + " bytes in one step", null,
        false, false);
  }
}
