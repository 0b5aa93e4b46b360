package dev.gnomon.vmm.device;

/**
 * Told when a guest ends its run with a status. It runs inside the register write, so it should only note the request.
 */
@FunctionalInterface
public interface ExitRequest {
  /** A guest asked to end with this status, which is always odd. */
  void exit(int status);
}
