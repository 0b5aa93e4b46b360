package dev.gnomon.vmm.polled;

/** A call of a device. */
@FunctionalInterface
interface DeviceCode {
  /** @throws Throwable whatever a device throws */
  Poll call() throws Throwable;
}
