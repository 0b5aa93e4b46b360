package dev.gnomon.vmm.polled.dma;

import java.util.ArrayDeque;
import java.util.List;

/**
 * The recorded faults of a machine's devices: the first {@link #CAPACITY} until somebody takes them, and how many did
 * not fit.
 */
public final class FaultLog {
  /** Fault-recording registers that VT-d can have. */
  public static final int CAPACITY = 256;

  private final ArrayDeque<DmaFault> recorded = new ArrayDeque<>();
  private long total;
  private long lost;

  /** Records a fault; from any thread. */
  public synchronized void record(DmaFault fault) {
    total++;
    if (recorded.size() < CAPACITY) {
      recorded.add(fault);
    } else {
      lost++;
    }
  }

  /** What is recorded, oldest first. */
  public synchronized List<DmaFault> faults() {
    return List.copyOf(recorded);
  }

  /** What is recorded, oldest first; the log is empty then. */
  public synchronized List<DmaFault> take() {
    List<DmaFault> all = List.copyOf(recorded);
    recorded.clear();
    lost = 0;
    return all;
  }

  /** Faults since the machine was built. */
  public synchronized long total() {
    return total;
  }

  /** Faults that found the log full since it was last taken. */
  public synchronized long lost() {
    return lost;
  }

  /** Forgets all faults and counts. */
  public synchronized void clear() {
    recorded.clear();
    total = 0;
    lost = 0;
  }
}
