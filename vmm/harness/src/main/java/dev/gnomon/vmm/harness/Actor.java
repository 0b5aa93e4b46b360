package dev.gnomon.vmm.harness;

/** Somebody who acts: a driver, a device, a store buffer that lets a store go, a fault. */
abstract class Actor {
  final String name;
  /** Place in the order of the rig's actors; replays name actors by it. */
  int id;

  Actor(String name) {
    this.name = name;
  }

  /** Whether it can act now. */
  abstract boolean enabled();

  /** Acts: up to its next choice, or for a device that is not in a step, through one step. */
  abstract void act();

  /** Faults are chosen seldom. */
  boolean isFault() {
    return false;
  }
}
