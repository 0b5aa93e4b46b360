package dev.gnomon.vmm.polled;

/**
 * When a device that runs on a thread of its own is polled, in the host's time. Runs with such threads are not
 * reproducible.
 *
 * @param name for reports
 * @param spinNs for so long after the last work it polls without pause
 * @param adaptive whether that time shrinks to none when waits are longer, and grows to it again when they are shorter,
 *     as in QEMU's I/O threads
 * @param pauseNs then it looks once in so long, unless its doorbell rings before; 0 to go on without pause
 */
public record HostPolling(String name, long spinNs, boolean adaptive, long pauseNs) {
  public HostPolling {
    if (spinNs < 0 || pauseNs < 0) {
      throw new IllegalArgumentException("polling for " + spinNs + " ns, then each " + pauseNs
          + " ns: expected no negative times");
    }
  }

  /** Without pause; burns a host processor. */
  public static HostPolling spin() {
    return new HostPolling("spin", Long.MAX_VALUE, false, 0);
  }

  /** Without pause for a while after the last work, then asleep but for a look once in a longer while. */
  public static HostPolling spinThenPark(long spinNs, long pauseNs) {
    return new HostPolling("spin-then-park", spinNs, false, pauseNs);
  }

  /** Once a period. */
  public static HostPolling period(long ns) {
    return new HostPolling("period", 0, false, ns);
  }

  /** Without pause for as long as that has paid lately. */
  public static HostPolling adaptive(long mostNs, long pauseNs) {
    return new HostPolling("adaptive", mostNs, true, pauseNs);
  }
}
