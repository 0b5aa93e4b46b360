package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.memory.MemorySlot;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * A device in shared memory. The host polls it at virtual times of its own choice; the guest is not involved, so a poll is never an exit, and it
 * never wakes a processor that sleeps.
 */
public interface PolledDevice {
  /** Short name, unique in the machine. */
  String name();

  /** The reserved memory that guest and device share, mapped in advance and never dirty-logged. */
  MemorySlot slot();

  /** Virtual time (ns, absolute) of the next poll. */
  long nextPoll();

  /** Polls once if {@link #nextPoll} has come: one bounded step, no waiting. */
  void poll(long nowNs);

  /** Forgets all requests, as at a machine reset. */
  void reset();

  /** Writes this device's section, its version first. */
  void save(DataOutput out) throws IOException;

  /** Reads what {@link #save} wrote. */
  void load(DataInput in) throws IOException;
}
