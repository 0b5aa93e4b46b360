package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * A trapped device: the same shape for all.
 *
 * <p>Times are virtual nanoseconds and do not run backwards; a device treats an earlier time as the latest one it has
 * seen.
 */
public interface Device {
  /** The name in statistics, saved state and error messages: short, lower case and unique on its bus. */
  String name();

  /**
   * Puts the registers where a hardware reset puts them. What is plugged in from outside (modem lines, sinks) stays.
   */
  void reset();

  /**
   * Whether {@link #nextDeadline()} can ever be other than {@link Long#MAX_VALUE}; constant for the life of the device.
   */
  default boolean hasTimer() {
    return false;
  }

  /**
   * The virtual time (ns, absolute) at which {@link #advanceTo(long)} must be called, {@link Long#MAX_VALUE} if none.
   */
  default long nextDeadline() {
    return Long.MAX_VALUE;
  }

  /**
   * Brings timers up to {@code nowNs} and drives interrupt lines accordingly. Calling it twice for one time changes
   * nothing more.
   */
  default void advanceTo(long nowNs) {
  }

  /** Writes this device's own section, its version first. */
  void save(DataOutput out) throws IOException;

  /**
   * Reads what {@link #save} wrote. Interrupt lines are not driven: the controller at their other end loads their
   * levels itself.
   *
   * @throws IOException if the section has another version or ends early
   */
  void load(DataInput in) throws IOException;
}
