package dev.gnomon.vmm.device;

/**
 * Told when a guest switches the machine off. It runs inside the register write, so it should only note the request.
 */
@FunctionalInterface
public interface PowerRequest {
  /** The guest asked for soft off (S5). */
  void powerOff();
}
