package dev.gnomon.guest.stress;

import dev.gnomon.guest.memory.HostMemory;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Guest memory that the tests of this package race on: each state object has two cache lines of it. There are more
 * pieces than the harness keeps states alive at a time, so that they are dealt out in turn.
 */
final class SharedMemory {
  static final int PIECE = 128;
  /** Offset of the second word, in another cache line. */
  static final int FAR = 64;
  private static final int PIECES = 1 << 19;

  static final HostMemory MEMORY = new HostMemory(0, (long) PIECES * PIECE, 0);
  private static final AtomicInteger NEXT = new AtomicInteger();

  private SharedMemory() { }

  /** Offset of a piece of zeros. */
  static int piece() {
    int offset = (NEXT.getAndIncrement() & PIECES - 1) * PIECE;
    for (int at = 0; at < PIECE; at += Long.BYTES) {
      MEMORY.set64(offset + at, 0);
    }
    return offset;
  }
}
