package dev.gnomon.vmm.harness;

/** How schedules are chosen. */
public enum Strategy {
  /** Each choice at random, all that can act being equally likely; a fault once in thirty-two choices. */
  RANDOM,
  /**
   * Priorities at random and a few points at which the running actor falls behind all others (Burckhardt and others, "A
   * Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010). Finds bugs that need few
   * switches at just the right places in long runs.
   */
  PCT,
  /** All schedules, depth first, for tests of litmus size. */
  EXHAUSTIVE
}
