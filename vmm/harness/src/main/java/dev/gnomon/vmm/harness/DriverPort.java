package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.dma.WordPort;

/**
 * A mock driver's processor: memory in x86's order, doorbells, interrupts, and marks for the history. A driver keeps
 * what it knows in local variables, for it is run from its start again and again with the same answers.
 */
public interface DriverPort extends WordPort {
  /** LOCK CMPXCHG of 4 bytes, a full fence. */
  boolean cas32(@Gpa long gpa, int expected, int value);

  /** MFENCE. */
  void fence();

  /** PAUSE in a loop that waits: the driver runs on once something that it could see has changed. */
  void pause();

  /** Sleeps until an interrupt has come since the last sleep. */
  void halt();

  /** Rings a device's doorbell: an exit, and a full fence. */
  void kick(Rig.Device device);

  /** Any other trapped access: an exit at an address, and a full fence. */
  void trap(@Gpa long gpa);

  /** The driver says that it is ready: devices may touch what it has named from now on. */
  void ready();

  /** The request of this number begins: its stores follow. */
  void begin(long id);

  /** The driver has found the request of this number completed. */
  void end(long id);

  /** How often the guest has been reset. */
  int boots();

  /** Virtual time in nanoseconds. */
  long nanos();
}
