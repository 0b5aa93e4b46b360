package dev.gnomon.guest.stress;

import static dev.gnomon.guest.stress.SharedMemory.MEMORY;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE_INTERESTING;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.J_Result;

/**
 * Aligned accesses of 2, 4 and 8 bytes are whole (SDM vol. 3A, "Guaranteed Atomic Operations"); across a cache line
 * they need not be.
 */
final class Tearing {
  private Tearing() { }

  @JCStressTest
  @Outcome(id = {"0", "-1"}, expect = ACCEPTABLE, desc = "whole")
  @Outcome(expect = FORBIDDEN, desc = "torn")
  @State
  public static class Quadword {
    private final int piece = SharedMemory.piece();

    @Actor
    public void writer() {
      MEMORY.store(piece + 8, 8, -1);
    }

    @Actor
    public void reader(J_Result seen) {
      seen.r1 = MEMORY.load(piece + 8, 8);
    }
  }

  @JCStressTest
  @Outcome(id = {"0", "4294967295"}, expect = ACCEPTABLE, desc = "whole")
  @Outcome(expect = FORBIDDEN, desc = "torn")
  @State
  public static class Doubleword {
    private final int piece = SharedMemory.piece();

    @Actor
    public void writer() {
      MEMORY.store(piece + 4, 4, -1);
    }

    @Actor
    public void reader(J_Result seen) {
      seen.r1 = MEMORY.load(piece + 4, 4);
    }
  }

  @JCStressTest
  @Outcome(id = {"0", "65535"}, expect = ACCEPTABLE, desc = "whole")
  @Outcome(expect = FORBIDDEN, desc = "torn")
  @State
  public static class Word {
    private final int piece = SharedMemory.piece();

    @Actor
    public void writer() {
      MEMORY.store(piece + 2, 2, -1);
    }

    @Actor
    public void reader(J_Result seen) {
      seen.r1 = MEMORY.load(piece + 2, 2);
    }
  }

  /** Four bytes on either side of a cache line's end. */
  @JCStressTest
  @Outcome(id = {"0", "-1"}, expect = ACCEPTABLE, desc = "whole")
  @Outcome(id = {"4294967295", "-4294967296"}, expect = ACCEPTABLE_INTERESTING, desc = "torn where the line ends")
  @Outcome(expect = FORBIDDEN, desc = "torn within a line")
  @State
  public static class AcrossLines {
    private static final int AT = SharedMemory.FAR - 4;
    private final int piece = SharedMemory.piece();

    @Actor
    public void writer() {
      MEMORY.store(piece + AT, 8, -1);
    }

    @Actor
    public void reader(J_Result seen) {
      seen.r1 = MEMORY.load(piece + AT, 8);
    }
  }
}
