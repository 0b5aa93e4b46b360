package dev.gnomon.vmm.harness;

import java.util.function.BooleanSupplier;

/** A fault that can happen at any choice, a number of times. */
final class FaultActor extends Actor {
  private final BooleanSupplier possible;
  private final Runnable effect;
  private int left;

  FaultActor(String name, int times, BooleanSupplier possible, Runnable effect) {
    super(name);
    this.left = times;
    this.possible = possible;
    this.effect = effect;
  }

  @Override
  boolean enabled() {
    return left > 0 && possible.getAsBoolean();
  }

  @Override
  void act() {
    left--;
    effect.run();
  }

  @Override
  boolean isFault() {
    return true;
  }
}
