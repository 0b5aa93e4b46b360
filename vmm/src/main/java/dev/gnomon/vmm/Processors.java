package dev.gnomon.vmm;

/**
 * How many processors a machine has, and how they share the host's one.
 *
 * @param count 1 to {@link #MAX}
 * @param turn instructions that one retires before it is the next one's turn; without effect on a machine with one
 */
public record Processors(int count, long turn) {
  /** What CPUID leaf 4 can say of cores. */
  public static final int MAX = 64;
  /**
   * Long against the cost of a change, short against the time that system software waits for another processor; and a
   * prime, so that no loop that takes a lock again right after releasing it holds it at the end of every turn.
   */
  public static final long DEFAULT_TURN = 997;
  public static final Processors ONE = new Processors(1, DEFAULT_TURN);

  public Processors {
    if (count < 1 || count > MAX) {
      throw new IllegalArgumentException(count + " processors: expected 1 to " + MAX);
    }
    if (turn < 1) {
      throw new IllegalArgumentException("turns of " + turn + " instructions: expected at least 1");
    }
  }
}
