package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;

/** Somebody who acts: a driver, a device, a store buffer that lets a store go, a fault. */
abstract class Actor {
  /** Kinds of what an actor does next, for telling which orders are the same. */
  static final int LOCAL = 0;
  static final int LOAD = 1;
  /** A store that everybody sees. */
  static final int STORE = 2;
  /** A store into the agent's own buffer. */
  static final int BUFFERED = 3;
  /** Whatever else: its order with everything matters. */
  static final int ANYTHING = 4;

  final String name;
  /** Place in the order of the rig's actors; replays name actors by it. */
  int id;
  /** Whose store buffer it uses, −1 if none. */
  int agent = -1;
  /** What it does next, and where. */
  int op = ANYTHING;
  @Gpa long opGpa;
  int opSize;

  Actor(String name) {
    this.name = name;
  }

  /** Whether it can act now. */
  abstract boolean enabled();

  /** Acts: up to its next choice, or for a device that is not in a step, through one step. */
  abstract void act();

  /** The code under test that it runs now, as a report names it. */
  String call() {
    return "driver " + name;
  }

  /** Brings {@link #op} up to date for an actor that is not before an access. */
  void look() {}

  /** Whether it makes no difference which of the two acts first. */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  static boolean independent(Actor a, Actor b) {
    if (a.op == ANYTHING || b.op == ANYTHING || a.agent == b.agent) {
      return false;
    }
    if (a.op == LOCAL || b.op == LOCAL || a.op == BUFFERED || b.op == BUFFERED || a.op == LOAD && b.op == LOAD) {
      return true;
    }
    return a.opGpa >= b.opGpa + b.opSize || b.opGpa >= a.opGpa + a.opSize;
  }

  /** Faults are chosen seldom. */
  boolean isFault() {
    return false;
  }
}
