package dev.gnomon.guest.stress;

import static dev.gnomon.guest.stress.SharedMemory.FAR;
import static dev.gnomon.guest.stress.SharedMemory.MEMORY;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE_INTERESTING;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.lang.invoke.VarHandle;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.JJ_Result;

/**
 * Each side stores its own word and then loads the other's. Without fences both may read the old value, as on x86: it
 * is how a wake-up gets lost. MFENCE, and any LOCKed instruction, forbids it.
 */
final class StoreBuffering {
  private StoreBuffering() { }

  @JCStressTest
  @Outcome(id = {"0, 1", "1, 0", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "0, 0", expect = ACCEPTABLE_INTERESTING, desc = "both loads passed the stores, which x86 allows")
  @State
  public static class NoFence {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver(JJ_Result seen) {
      MEMORY.set64(piece, 1);
      seen.r1 = MEMORY.get64(piece + FAR);
    }

    @Actor
    public void device(JJ_Result seen) {
      MEMORY.set64(piece + FAR, 1);
      seen.r2 = MEMORY.get64(piece);
    }
  }

  @JCStressTest
  @Outcome(id = {"0, 1", "1, 0", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "0, 0", expect = FORBIDDEN, desc = "a load passed a fence")
  @State
  public static class Mfence {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver(JJ_Result seen) {
      MEMORY.set64(piece, 1);
      VarHandle.fullFence();
      seen.r1 = MEMORY.get64(piece + FAR);
    }

    @Actor
    public void device(JJ_Result seen) {
      MEMORY.set64(piece + FAR, 1);
      VarHandle.fullFence();
      seen.r2 = MEMORY.get64(piece);
    }
  }

  /** The driver's store is a LOCKed instruction, the device has a fence. */
  @JCStressTest
  @Outcome(id = {"0, 1", "1, 0", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "0, 0", expect = FORBIDDEN, desc = "a load passed a LOCKed store")
  @State
  public static class Locked {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver(JJ_Result seen) {
      VarHandle.fullFence();
      MEMORY.exchange(piece, 4, 0, 1);
      VarHandle.fullFence();
      seen.r1 = MEMORY.get32(piece + FAR);
    }

    @Actor
    public void device(JJ_Result seen) {
      MEMORY.set32(piece + FAR, 1);
      VarHandle.fullFence();
      seen.r2 = MEMORY.get32(piece);
    }
  }
}
