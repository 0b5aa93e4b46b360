package dev.gnomon.bench.polled;

import dev.gnomon.bench.CostModel;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PollPolicy;
import java.util.SplittableRandom;

/**
 * What a poller does by its rule alone, with no machine around it: requests fall due by a Poisson process, each is
 * submitted when the one before it is done, and the first look after that serves it in no time. For rules whose cost
 * depends on the rate in no simple way.
 *
 * @param burntNs processor time that the poller burns a request
 * @param latencyNs mean time from when a request was due to its answer
 */
record PollQueue(double burntNs, double latencyNs) {
  private static final int REQUESTS = 10_000;
  private static final long SEED = 0x5EED;
  private static final double NS_PER_S = 1e9;
  /** How finely, and how far below the doorbell's own limit, a crossover is looked for. */
  private static final double STRIDE = 0.9;
  private static final double LOWEST = 1e-3;
  private static final int HALVINGS = 8;

  /** @param rate requests that fall due a second */
  static PollQueue of(BackEnd backEnd, Polling polling, CostModel costs, double rate) {
    PollPolicy policy = polling.policy(0);
    long pauseNs = backEnd.pauseNs(polling);
    double idleNs = ExitClock.ns(costs, costs.cost("poll.idle"));
    double sleepNs = ExitClock.ns(costs, costs.cost("poll.sleep"));
    SplittableRandom random = new SplittableRandom(SEED);
    double due = 0;
    double burnt = 0;
    double waited = 0;
    long done = 0;
    long last = 0;
    long look = policy.next(0, Poll.IDLE);
    for (int i = 0; i < REQUESTS; i++) {
      due -= Math.log1p(-random.nextDouble()) / rate * NS_PER_S;
      double submitted = Math.max(due, done);
      for (boolean served = false; !served; ) {
        served = look >= submitted;
        burnt += (served ? 0 : idleNs) + (look - last > pauseNs ? sleepNs : 0);
        last = look;
        look = policy.next(look, served ? Poll.BUSY : Poll.IDLE);
      }
      done = last;
      waited += done - due;
    }
    return new PollQueue(burnt / REQUESTS, waited / REQUESTS);
  }

  /**
   * The rate from which on the poller burns less a request than a doorbell does.
   *
   * @param doorbellNs what that burns
   * @return null if it burns less at all rates
   */
  static Double crossover(BackEnd backEnd, Polling polling, CostModel costs, double doorbellNs) {
    // Where the doorbell keeps a processor busy no poller burns more.
    double above = NS_PER_S / doorbellNs;
    double below = above;
    double lowest = above * LOWEST;
    while (of(backEnd, polling, costs, below).burntNs <= doorbellNs) {
      above = below;
      below *= STRIDE;
      if (below < lowest) {
        return null;
      }
    }
    for (int i = 0; i < HALVINGS; i++) {
      double middle = Math.sqrt(above * below);
      if (of(backEnd, polling, costs, middle).burntNs <= doorbellNs) {
        above = middle;
      } else {
        below = middle;
      }
    }
    return (double) Math.round(above);
  }
}
