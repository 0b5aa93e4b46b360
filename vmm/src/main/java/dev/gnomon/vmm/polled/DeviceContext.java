package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;

/** What the hypervisor gives a device. */
public interface DeviceContext {
  /** A window of {@link PolledDevice#windows} at its place. */
  Window window(int index);

  /** The device's interrupt. */
  InterruptSink interrupt();

  /** What survives a restart. */
  DurableState durable();

  /**
   * Asks for pages that the guest has named, for as long as the device needs them; they are gone after a reset.
   *
   * @param gpa any address that a guest gives
   * @param length bytes, any number that a guest gives
   * @param write whether the device will write there
   * @return false if that is not RAM of the guest, or more than allowed: the request must end with an error
   */
  boolean pin(@Gpa long gpa, long length, boolean write);

  /** Gives back what {@link #pin} gave. */
  void unpin(@Gpa long gpa, long length, boolean write);

  /**
   * Says that a request is completed: for statistics, and for tests that each completes exactly once.
   *
   * @param id the guest's number for it
   */
  default void completed(long id) {
    completed(id, 0);
  }

  /** @param written bytes of the guest's buffer that the device says it has written */
  void completed(long id, long written);

  /** Ends in the error state, which only a reset leaves; the reason is logged once. Return {@link Poll#DEAD} then. */
  void fail(String reason);
}
