package dev.gnomon.vmm.polled;

/** What one step of a device came to. */
public enum Poll {
  /** There was nothing to do. */
  IDLE,
  /** There was something to do and there may be more. */
  BUSY,
  /**
   * There is nothing to do and the device has told the guest so in shared memory: it is not polled again until its
   * doorbell rings.
   */
  SLEEP,
  /** The device has given up, as after {@link DeviceContext#fail}: it is not polled again until a reset. */
  DEAD
}
