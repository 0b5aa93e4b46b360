package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.polled.dma.DmaPort;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * A device: an engine that looks at memory which it shares with the guest, one bounded step at a time. Whether a poll
 * or a trapped access calls the step is the host's business; the device cannot tell.
 *
 * <p>A device is used by one thread at a time. It owns no memory but its windows and what the guest names, reached by
 * the {@link DmaPort} of the step; what it must remember beyond the life of its process belongs in {@link DurableState}
 * or in shared memory. It must take everything that a guest can write for hostile: fetch it once, check it, then use
 * it.
 */
public interface PolledDevice {
  /** Short name, lower case, unique in the machine. */
  String name();

  /** What the device shares with the guest; constant. The first is its register file where it is trapped. */
  List<Window> windows();

  /**
   * The first window as registers. By default all of the first page can be written, and each write and read makes the
   * device take a step.
   */
  default RegisterFile registers() {
    RegisterFile.Range all = new RegisterFile.Range(0, 4096);
    return new RegisterFile(4096, List.of(all), List.of(all), true);
  }

  /**
   * Comes before everything else, once in the life of the object. The windows are zero, unless {@link #restart}
   * follows.
   */
  void attach(DeviceContext context);

  /** One bounded step that does not wait: looks whether there is something to do and does some of it. */
  Poll step(DmaPort memory, VirtualClock clock);

  /** Takes over from an instance that died: what there is to know lies in shared memory and in {@link DurableState}. */
  default void restart(DmaPort memory) {}

  /** The guest was reset: forgets every address and request. The windows and the durable state are zero again. */
  default void reset() {}

  /** Writes what the object holds itself; the hypervisor saves windows, pins and durable state. */
  default void save(DataOutput out) throws IOException {}

  /** Reads what {@link #save} wrote. */
  default void load(DataInput in) throws IOException {}
}
