package dev.gnomon.guest.stress;

import static dev.gnomon.guest.stress.SharedMemory.MEMORY;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.J_Result;

/**
 * LOCKed instructions, bytes among them, which take the word around them; and stores beside them, which must not be
 * lost.
 */
final class Locked {
  private Locked() { }

  private static void increment(int offset, int size) {
    long old;
    do {
      old = MEMORY.load(offset, size);
    } while (!MEMORY.exchange(offset, size, old, old + 1));
  }

  @JCStressTest
  @Outcome(id = "2", expect = ACCEPTABLE, desc = "both counted")
  @Outcome(expect = FORBIDDEN, desc = "an increment was lost")
  @State
  public static class Quadword {
    private final int piece = SharedMemory.piece();

    @Actor
    public void first() {
      increment(piece, 8);
    }

    @Actor
    public void second() {
      increment(piece, 8);
    }

    @Arbiter
    public void sum(J_Result result) {
      result.r1 = MEMORY.load(piece, 8);
    }
  }

  @JCStressTest
  @Outcome(id = "2", expect = ACCEPTABLE, desc = "both counted")
  @Outcome(expect = FORBIDDEN, desc = "an increment was lost")
  @State
  public static class Byte {
    private final int piece = SharedMemory.piece();

    @Actor
    public void first() {
      increment(piece + 3, 1);
    }

    @Actor
    public void second() {
      increment(piece + 3, 1);
    }

    @Arbiter
    public void sum(J_Result result) {
      result.r1 = MEMORY.load(piece + 3, 1);
    }
  }

  /** A LOCKed word, and plain bytes in the doubleword around it. */
  @JCStressTest
  @Outcome(id = "2164326401", expect = ACCEPTABLE, desc = "81 01 at the bytes, 0001 at the word")
  @Outcome(expect = FORBIDDEN, desc = "a store was lost")
  @State
  public static class PlainBesideWord {
    private final int piece = SharedMemory.piece();

    @Actor
    public void locked() {
      increment(piece, 2);
    }

    @Actor
    public void plain() {
      MEMORY.store(piece + 2, 1, 1);
      MEMORY.store(piece + 3, 1, 0x81);
    }

    @Arbiter
    public void all(J_Result result) {
      result.r1 = MEMORY.load(piece, 4);
    }
  }

  @JCStressTest
  @Outcome(id = "513", expect = ACCEPTABLE, desc = "both bytes")
  @Outcome(expect = FORBIDDEN, desc = "a neighbour's store was lost")
  @State
  public static class PlainNeighbours {
    private final int piece = SharedMemory.piece();

    @Actor
    public void first() {
      MEMORY.store(piece, 1, 1);
    }

    @Actor
    public void second() {
      MEMORY.store(piece + 1, 1, 2);
    }

    @Arbiter
    public void all(J_Result result) {
      result.r1 = MEMORY.load(piece, 2);
    }
  }
}
