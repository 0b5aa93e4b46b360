package dev.gnomon.guest.stress;

import static dev.gnomon.guest.stress.SharedMemory.FAR;
import static dev.gnomon.guest.stress.SharedMemory.MEMORY;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.JJ_Result;

/**
 * Data, then a flag, of every size and alignment: who sees the flag sees the data (x86 keeps stores and loads in
 * order).
 */
final class MessagePassing {
  private MessagePassing() { }

  @JCStressTest
  @Outcome(id = {"0, 0", "0, 1", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "the flag came before the data")
  @State
  public static class Quadword {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver() {
      MEMORY.set64(piece + FAR, 1);
      MEMORY.set64(piece, 1);
    }

    @Actor
    public void device(JJ_Result seen) {
      seen.r1 = MEMORY.get64(piece);
      seen.r2 = MEMORY.get64(piece + FAR);
    }
  }

  @JCStressTest
  @Outcome(id = {"0, 0", "0, 1", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "the flag came before the data")
  @State
  public static class Doubleword {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver() {
      MEMORY.set32(piece + FAR, 1);
      MEMORY.set32(piece, 1);
    }

    @Actor
    public void device(JJ_Result seen) {
      seen.r1 = MEMORY.get32(piece);
      seen.r2 = MEMORY.get32(piece + FAR);
    }
  }

  @JCStressTest
  @Outcome(id = {"0, 0", "0, 1", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "the flag came before the data")
  @State
  public static class Word {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver() {
      MEMORY.set16(piece + FAR, (short) 1);
      MEMORY.set16(piece, (short) 1);
    }

    @Actor
    public void device(JJ_Result seen) {
      seen.r1 = MEMORY.get16(piece);
      seen.r2 = MEMORY.get16(piece + FAR);
    }
  }

  @JCStressTest
  @Outcome(id = {"0, 0", "0, 1", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "the flag came before the data")
  @State
  public static class Byte {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver() {
      MEMORY.set8(piece + FAR, (byte) 1);
      MEMORY.set8(piece, (byte) 1);
    }

    @Actor
    public void device(JJ_Result seen) {
      seen.r1 = MEMORY.get8(piece);
      seen.r2 = MEMORY.get8(piece + FAR);
    }
  }

  /** The data are misaligned within their line, the flag is a byte. */
  @JCStressTest
  @Outcome(id = {"0, 0", "0, 1", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "the flag came before the data")
  @Outcome(id = "0, .*", expect = ACCEPTABLE, desc = "no flag: the data may be on their way")
  @State
  public static class UnalignedData {
    private static final int ODD = FAR + 3;
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver() {
      MEMORY.store(piece + ODD, 8, 1);
      MEMORY.store(piece, 1, 1);
    }

    @Actor
    public void device(JJ_Result seen) {
      seen.r1 = MEMORY.load(piece, 1);
      seen.r2 = MEMORY.load(piece + ODD, 8);
    }
  }

  /** The flag is misaligned. */
  @JCStressTest
  @Outcome(id = {"0, 0", "0, 1", "1, 1"}, expect = ACCEPTABLE, desc = "in order")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "the flag came before the data")
  @State
  public static class UnalignedFlag {
    private final int piece = SharedMemory.piece();

    @Actor
    public void driver() {
      MEMORY.store(piece + FAR, 8, 1);
      MEMORY.store(piece + 1, 4, 1);
    }

    @Actor
    public void device(JJ_Result seen) {
      seen.r1 = MEMORY.load(piece + 1, 4);
      seen.r2 = MEMORY.load(piece + FAR, 8);
    }
  }
}
