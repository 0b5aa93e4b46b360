package dev.gnomon.vmm.polled;

/** The machine's clock as a device may use it. */
public interface VirtualClock {
  /** Virtual nanoseconds since the machine was built. */
  long nanos();

  /** The guest's time-stamp counter. */
  long tsc();

  /** Asks not to be polled before a virtual time, in nanoseconds. Holds for one step; a doorbell comes before it. */
  void sleepUntil(long ns);
}
